"""Where a LangGraph namespace lies in a ctxplug store.

It lies under a root, behind the label MARK, one label for each of its own. LangGraph allows
labels that ctxplug does not (with a slash, a line break, of any length) and namespaces of any
depth, so labels are written as `labels` says, and where one is a hash the items tell its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from langgraph.store.base import InvalidNamespaceError

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.scope import MAX_LABELS, Namespace
from langchain_ctxplug.labels import HASHED, from_label, to_label

MARK = "ctxplug:store"
_DEEP = "%+"  # begins the hash of all labels from here on
LEAST_ROOM = 4


@dataclass(frozen=True, slots=True)
class Paths:
    """The way from LangGraph namespaces to ctxplug's and back, under one root."""

    root: Namespace

    def __post_init__(self) -> None:
        if self.room < LEAST_ROOM:
            raise InvalidValueError(
                f"The namespace {'/'.join(self.root)!r} has {len(self.root)} labels, which leaves"
                f" too few of the {MAX_LABELS} for those of a store; use a shorter one.",
                path="namespace",
            )

    @property
    def room(self) -> int:
        """How many labels there are for a LangGraph namespace."""
        return MAX_LABELS - len(self.root) - 1

    def location(self, path: tuple[str, ...]) -> Namespace:
        """Return the ctxplug namespace of the items of `path`."""
        labels = [to_label(label) for label in path]
        if len(labels) > self.room:
            rest = codec.encode(list(path[self.room - 1 :]))
            labels[self.room - 1 :] = [_DEEP + hashlib.sha256(rest).hexdigest()]
        return (*self.root, MARK, *labels)

    def above(self, path: tuple[str, ...]) -> Namespace:
        """Return what the locations of `path` and of all below it begin with."""
        return (*self.root, MARK, *map(to_label, path[: self.room - 1]))

    def path(self, location: Namespace) -> tuple[str, ...] | None:
        """Return the LangGraph namespace of `location`; None if only its items know it."""
        labels = location[len(self.root) + 1 :]
        if any(label.startswith((HASHED, _DEEP)) for label in labels):
            return None
        return tuple(from_label(label) for label in labels)


def checked_path(labels: Any) -> tuple[str, ...]:
    """Return `labels` as a tuple, or raise LangGraph's InvalidNamespaceError.

    Its rule: labels are non-empty texts without a period and without NUL.
    """
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise InvalidNamespaceError(
            f"A namespace is a tuple of labels such as ('users', 'alice'), not {labels!r:.80}."
        )
    path = tuple(labels)
    for label in path:
        if not isinstance(label, str):
            fault = f"is of type {type(label).__name__}; labels are texts"
        elif not label:
            fault = "is empty"
        elif "." in label:
            fault = "holds a period ('.')"
        elif "\x00" in label:
            fault = "holds a NUL character"
        else:
            continue
        raise InvalidNamespaceError(f"The label {label!r:.60} of the namespace {path!r} {fault}.")
    return path
