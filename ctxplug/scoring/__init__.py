"""Importance: how much would be missed. The law, and one file for each scorer."""

from ctxplug.scoring.combined import Combined, Scores, combined, history_of, score_all
from ctxplug.scoring.scorer import History, ImportanceScorer, Item

__all__ = [
    "Combined",
    "History",
    "ImportanceScorer",
    "Item",
    "Scores",
    "combined",
    "history_of",
    "score_all",
]
