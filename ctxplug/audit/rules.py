"""The built-in compliance rules: what somebody should be told of at once.

A rule looks at an entry that is about to be written, and at what the same agent did in the
last minute; it returns the text of an alert, or None. An alert is an event ("audit.alert")
and an entry of the audit log.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ctxplug.audit.entry import BEGUN, OK, AuditEntry
from ctxplug.audit.sensitivity import is_sensitive

MASS = 500  # records that one agent reads, or forgets, within a minute
MINUTE = 60.0
READS = frozenset(
    ("recall", "context", "memories", "search_archive", "messages", "original", "expand")
)


class Recent:
    """How many records were read and forgotten in the last minute, by agent."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str | None], deque[tuple[float, int]]] = {}

    def count(self, sort: str, entry: AuditEntry) -> tuple[int, int]:
        """Take in what `entry` touched; return how many there were before it, and with it."""
        key = sort, entry.agent
        now = self._clock()
        seen = self._seen.setdefault(key, deque())
        while seen and seen[0][0] <= now - MINUTE:
            seen.popleft()
        before = sum(number for _, number in seen)
        seen.append((now, len(entry.ids)))
        return before, before + len(entry.ids)


Rule: TypeAlias = Callable[[AuditEntry, Recent], str | None]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A rule, and the verbs that it is about."""

    rule: Rule
    verbs: frozenset[str]


def erase_without_purpose(entry: AuditEntry, recent: Recent) -> str | None:
    """Tell of an erasure for which no purpose is given."""
    if entry.outcome == BEGUN and not entry.purpose:
        return "Something is erased, and no purpose is given."
    return None


def sensitive_read(entry: AuditEntry, recent: Recent) -> str | None:
    """Tell of what is confidential or restricted, and read without a purpose."""
    if is_sensitive(entry.sensitivity) and not entry.purpose:
        return f"What is {entry.sensitivity} is read, and no purpose is given."
    return None


def mass_read(entry: AuditEntry, recent: Recent) -> str | None:
    """Tell of an agent that reads more than 500 records within a minute; once."""
    return _many("read", "reads", entry, recent)


def mass_forget(entry: AuditEntry, recent: Recent) -> str | None:
    """Tell of an agent that forgets more than 500 records within a minute; once."""
    return _many("forget", "forgets", entry, recent)


def _many(sort: str, verb: str, entry: AuditEntry, recent: Recent) -> str | None:
    if entry.outcome != OK:
        return None
    before, now = recent.count(sort, entry)
    if before <= MASS < now:
        return f"An agent {verb} {now:,} records within a minute."
    return None


RULES: Mapping[str, BuiltIn] = {
    "erase-without-purpose": BuiltIn(erase_without_purpose, frozenset(("erase", "erase_session"))),
    "sensitive-read": BuiltIn(sensitive_read, READS),
    "mass-read": BuiltIn(mass_read, READS),
    "mass-forget": BuiltIn(mass_forget, frozenset(("forget",))),
}
