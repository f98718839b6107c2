"""Analysis: where a session failed and why, and what it spends for nothing, with the evidence."""

from ctxplug.tracing.analysis.analyze import analyze
from ctxplug.tracing.analysis.finding import CAUSES, KINDS, Analysis, Finding
from ctxplug.tracing.analysis.subject import Recorded, Seen, Subject

__all__ = ["CAUSES", "KINDS", "Analysis", "Finding", "Recorded", "Seen", "Subject", "analyze"]
