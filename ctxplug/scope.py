"""Namespaces and sessions: the keys that keep one user's memory from another's."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from os import urandom
from typing import TypeAlias

from ctxplug.errors import InvalidNamespaceError

Namespace: TypeAlias = tuple[str, ...]
MAX_LABEL_BYTES = 128
MAX_LABELS = 16
RESERVED = "ctxplug:"  # sessions of this prefix are ctxplug's own: usage, calibration
PRIVATE = "ctxplug:audit"  # the first label of namespaces that only ctxplug writes to


@dataclass(frozen=True, slots=True)
class Scope:
    """Who acts where: what guards, observers and tools are told."""

    namespace: Namespace
    session: str
    agent: str | None = None


def to_namespace(value: str | Iterable[str]) -> Namespace:
    """Return `value` ("acme/alice", or its labels) as a tuple of labels.

    A label is non-empty text of at most 128 bytes in NFC without "/", control
    characters or surrogates; case counts. The first is not PRIVATE. Raises
    InvalidNamespaceError otherwise.
    """
    labels = to_labels(value)
    if labels[0] == PRIVATE:
        raise InvalidNamespaceError(
            f"The namespace {value!r:.200} begins with {PRIVATE!r}, which is kept for ctxplug's"
            " own records; choose another name.",
            path="namespace",
        )
    return labels


def to_labels(value: str | Iterable[str]) -> Namespace:
    """Return the labels of a namespace, one of ctxplug's own too; see to_namespace."""
    if not isinstance(value, Iterable):
        raise InvalidNamespaceError(
            f"A namespace is text such as 'acme/alice', or its labels, not {value!r:.60}.",
            path="namespace",
        )
    labels = tuple(value.split("/")) if isinstance(value, str) else tuple(value)
    if not labels or len(labels) > MAX_LABELS:
        raise InvalidNamespaceError(
            f"A namespace has 1 to {MAX_LABELS} labels, and {value!r} has {len(labels)};"
            " write it like 'acme/alice'.",
            path="namespace",
        )
    for label in labels:
        check_label(label, "namespace")
    return labels


def check_label(label: object, what: str) -> str:
    """Return `label` if it can be part of a key, else raise InvalidNamespaceError."""
    reason = _fault(label)
    if reason:
        raise InvalidNamespaceError(f"The {what} label {label!r:.60} {reason}.", path=what)
    return str(label)


def to_session(value: str) -> str:
    """Return `value` as the name of a session; raises InvalidNamespaceError otherwise."""
    session = check_label(value, "session")
    if session.startswith(RESERVED):
        raise InvalidNamespaceError(
            f"The session {session!r} begins with {RESERVED!r}, which is kept for ctxplug's own"
            " logs; choose another name.",
            path="session",
        )
    return session


def namespace_key(namespace: Namespace) -> str:
    """Return the one text that stands for `namespace`; labels hold no "/"."""
    return "/".join(namespace)


def new_id() -> str:
    """Return a new random id of 128 bits, as 32 hexadecimal digits."""
    return urandom(16).hex()


def _fault(label: object) -> str:
    if not isinstance(label, str):
        return f"is of type {type(label).__name__}; labels are text"
    if not label.strip():
        return "is empty; name the user or tenant"
    if label.isascii() and label.isprintable():
        return _length_or_slash(label, len(label))
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in label):
        return "holds a control character or a lone surrogate"
    if not unicodedata.is_normalized("NFC", label):
        return "is not in Unicode form NFC; normalise it with unicodedata.normalize('NFC', ...)"
    return _length_or_slash(label, len(label.encode()))


def _length_or_slash(label: str, size: int) -> str:
    if "/" in label:
        return "holds '/', which separates labels; give a tuple of labels without it"
    if size > MAX_LABEL_BYTES:
        return f"takes {size} bytes, more than {MAX_LABEL_BYTES}; use a shorter id"
    return ""
