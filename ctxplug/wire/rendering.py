"""What may go on the wire: text and call ids in the form that providers accept.

Rendering is the only place where these change anything; what is stored stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from ctxplug import codec
from ctxplug.messages import ToolCallPart

LEGACY_CALL = "legacy-function:"
"""Prefix of the id of a call that had none: OpenAI's legacy functions are paired by name."""

_SURROGATES = re.compile("([\ud800-\udbff])([\udc00-\udfff])|[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Return `text` as valid Unicode: a lone surrogate becomes U+FFFD (A09).

    Two surrogates that form a pair become the character they stand for. Everything
    else, NUL included, stays: JSON escapes it.
    """
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return _SURROGATES.sub(_mend, text)


def clean(value: Any) -> Any:
    """Return a deep copy of JSON data with every text and key cleaned."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean_text(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def add_extra(block: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Add the fields of `extra` that `block` does not have, and return `block`."""
    for key, value in extra.items():
        block.setdefault(clean_text(key), clean(value))
    return block


def own_extra(extra: Mapping[str, Any], provider: str) -> Mapping[str, Any]:
    """Return the fields that belong to `provider`; nothing of another provider."""
    fields = extra.get(provider)
    return fields if isinstance(fields, Mapping) else {}


def arguments_text(call: ToolCallPart) -> str:
    """Return the call's arguments as JSON text: the model's own where it is kept."""
    if call.raw_arguments is not None:
        return clean_text(call.raw_arguments)
    return codec.encode(clean(call.arguments)).decode()


class CallIds:
    """Ids of calls and results in one request, as a provider accepts them.

    An id that `accepted` does not match in full becomes `prefix` and a hash of it, for
    the call and its result alike, in every request (A15). With `unique`, an id that is
    used again after it was answered becomes another one each time (A16): recorded runs
    do this, and legacy functions always. Two open calls of one id stay a fault.
    """

    def __init__(self, accepted: re.Pattern[str], prefix: str, *, unique: bool) -> None:
        self._accepted = accepted
        self._prefix = prefix
        self._unique = unique
        self._answered: set[str] = set()
        self._again: Counter[str] = Counter()

    def of_call(self, id: str) -> str:
        """Return the wire id of the next call with this id."""
        if self._unique and id in self._answered:
            self._answered.discard(id)
            self._again[id] += 1
        return self._wire(id)

    def of_result(self, id: str) -> str:
        """Return the wire id of the latest call with this id."""
        self._answered.add(id)
        return self._wire(id)

    def _wire(self, id: str) -> str:
        again = self._again[id]
        if not again and self._accepted.fullmatch(id):
            return id
        key = f"{again}:{id}".encode("utf-8", "surrogatepass")
        return self._prefix + sha256(key).hexdigest()[:32]


def _mend(match: re.Match[str]) -> str:
    if match[1] is None:
        return "\ufffd"
    return match[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")
