"""The keys of chat stores, any text, as names of sessions; no two keys become one.

A name that ctxplug takes stays as it is, so that a key and the session of AgentMemory are
one conversation; anything else is percent-encoded, and what is too long becomes a hash.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote, unquote

from ctxplug.errors import InvalidNamespaceError, InvalidValueError
from ctxplug.scope import MAX_LABEL_BYTES
from ctxplug.scope import to_session as legal_session

EMPTY = "%"  # stands for the empty key; no percent-encoding is like this
_HASHED = re.compile(r"%~[0-9a-f]{64}\Z")


def to_session(key: str) -> str:
    """Return the session that `key` stands for; raises InvalidValueError if it is not text."""
    if not isinstance(key, str):
        raise InvalidValueError(
            f"The key of a chat store is text, not {key!r:.60}; give a session id.", path="key"
        )
    if not key:
        return EMPTY
    if _is_plain(key):
        return key
    encoded = _quoted(key)
    if len(encoded) <= MAX_LABEL_BYTES:
        return encoded
    return "%~" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def to_key(session: str) -> str | None:
    """Return the key of a session's name; None for a hash, which does not tell it."""
    if _HASHED.match(session):
        return None
    if session == EMPTY:
        return ""
    return _unquoted(session) if _is_code(session) else session


def to_ascii(key: str) -> str:
    """Return `key` in a form that JSON always holds, for `from_ascii`."""
    return _quoted(key)


def from_ascii(text: str) -> str:
    """Return the key that `to_ascii` wrote."""
    return _unquoted(text)


def _is_plain(key: str) -> bool:
    try:
        return legal_session(key) == key and not _is_code(key)
    except InvalidNamespaceError:
        return False


def _is_code(session: str) -> bool:
    """Say whether `session` is what `to_session` makes of another text."""
    if "%" not in session:
        return False
    if session == EMPTY or _HASHED.match(session):
        return True
    try:
        key = _unquoted(session)
    except UnicodeDecodeError:
        return False
    return key != session and _quoted(key) == session and not _is_plain(key)


def _quoted(key: str) -> str:
    return quote(key.encode("utf-8", "surrogatepass"), safe="")


def _unquoted(text: str) -> str:
    return unquote(text, errors="surrogatepass")
