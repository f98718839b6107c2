"""Names that a framework allows, as labels that ctxplug allows; no two names become one.

What ctxplug takes stays as it is; anything else is percent-encoded, and what is still too
long becomes a hash.
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote, unquote

from ctxplug.errors import InvalidNamespaceError, InvalidValueError
from ctxplug.scope import MAX_LABEL_BYTES, check_label

HASHED = "%~"  # no percent-encoding begins like this


def to_label(name: str) -> str:
    """Return the label of `name`, any text but the empty one."""
    if not isinstance(name, str) or not name:
        raise InvalidValueError(f"A name is text and not empty, not {name!r:.60}.")
    if "%" not in name:
        try:
            return check_label(name, "name")
        except InvalidNamespaceError:
            pass
    text = quote(name.encode("utf-8", "surrogatepass"), safe="")
    return text if len(text) <= MAX_LABEL_BYTES and "%" in text else hashed(name)


def hashed(name: str) -> str:
    """Return a label by which `name` cannot be told, only known again."""
    return HASHED + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def from_label(label: str) -> str:
    """Return the name of `label`, which must not be a hash."""
    return unquote(label, errors="surrogatepass") if "%" in label else label
