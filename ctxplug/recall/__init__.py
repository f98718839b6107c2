"""Recall: find memories and messages again, by keyword and, where installed, by vector."""

from ctxplug.recall.embedder import Embedder

__all__ = ["Embedder"]
