"""Trying again where another writer came first."""

from __future__ import annotations

from collections.abc import Callable
from random import random
from time import sleep
from typing import TypeVar

from ctxplug.errors import ConflictError

T = TypeVar("T")
LONGEST_PAUSE = 0.05  # seconds before a write is tried again


def until_written(attempt: Callable[[], T]) -> T:
    """Return what `attempt` does, again after every ConflictError: others write meanwhile."""
    pause = 0.001
    while True:
        try:
            return attempt()
        except ConflictError:
            sleep(random() * pause)
            pause = min(2 * pause, LONGEST_PAUSE)
