"""Recall: find memories and messages again, by keyword and, where installed, by vector."""
