"""What if: one transcript under several policies, with what each costs and keeps."""

from ctxplug.comparison.compare import Comparison, Row, compare
from ctxplug.comparison.policies import POLICIES

__all__ = ["POLICIES", "Comparison", "Row", "compare"]
