"""Doctor: looks at what ctxplug runs on and with, and says what to do; it changes nothing."""

from __future__ import annotations

from ctxplug.doctor.examining import AREAS, examine
from ctxplug.doctor.finding import Finding, Level

__all__ = ["AREAS", "Finding", "Level", "examine"]
