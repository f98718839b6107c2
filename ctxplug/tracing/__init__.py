"""Tracing: what an agent's memory did, step by step, and what can be read from it."""

from ctxplug.tracing.step import Step

__all__ = ["Step"]
