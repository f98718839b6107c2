"""Compression: fewer tokens for the same facts. The law, and one file for each strategy."""

from ctxplug.compression.strategy import (
    VERBATIM,
    CompressionStrategy,
    CompressionTools,
    Summarizer,
    Unit,
    merged,
    total,
)

__all__ = [
    "VERBATIM",
    "CompressionStrategy",
    "CompressionTools",
    "Summarizer",
    "Unit",
    "merged",
    "total",
]
