"""How sensitive a record is, and which rules apply to it: by its tags, and by plugins.

A memory says so itself with tags such as "sensitivity:restricted" or "compliance:gdpr". A
plugin's `classify` sees every record that is audited and may say more, never less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.records import MemoryRecord

LEVELS = ("public", "internal", "confidential", "restricted")  # the least sensitive first
_LEVEL, _TAG = "sensitivity:", "compliance:"
_TAGS = (list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class Classification:
    """A class of LEVELS, None where nothing is known, and compliance tags such as "gdpr"."""

    level: str | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.level is not None and self.level not in LEVELS:
            raise InvalidValueError(
                f"A sensitivity class is one of {LEVELS}, not {self.level!r:.60}.", path="level"
            )
        if any(not isinstance(tag, str) or not tag for tag in self.tags):
            raise InvalidValueError(
                f"Compliance tags are texts, such as 'gdpr', not {self.tags!r:.60}.", path="tags"
            )

    def __or__(self, other: Classification) -> Classification:
        """Return the more sensitive class of both, and the tags of both."""
        if other.level is None and not other.tags:
            return self
        known = [level for level in (self.level, other.level) if level is not None]
        level = max(known, key=LEVELS.index) if known else None
        return Classification(level, tuple(dict.fromkeys((*self.tags, *other.tags))))


NONE = Classification()


def of_tags(records: Iterable[MemoryRecord]) -> Classification:
    """Return what the tags of `records` say."""
    found = NONE
    for record in records:
        for tag in record.tags:
            if tag.startswith(_LEVEL) and tag[len(_LEVEL) :] in LEVELS:
                found |= Classification(tag[len(_LEVEL) :])
            elif tag.startswith(_TAG) and len(tag) > len(_TAG):
                found |= Classification(None, (tag[len(_TAG) :],))
    return found


def to_classification(answer: Any) -> Classification:
    """Return what a plugin's `classify` answered; raise InvalidValueError for what it may not."""
    if answer is None:
        return NONE
    if isinstance(answer, Classification):
        return answer
    if isinstance(answer, str):
        return Classification(answer)
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], _TAGS):
        return Classification(answer[0], tuple(answer[1]))
    raise InvalidValueError(
        f"classify answers with a class of {LEVELS}, or with it and a list of tags, not"
        f" {answer!r:.60}.",
        path="classify",
    )


def is_sensitive(level: str | None) -> bool:
    """Say whether a class is "confidential" or above."""
    return level in LEVELS[2:]
