"""The mark of a logged message: how many there are up to it, and the digest of all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from langchain_core.messages import BaseMessage

from ctxplug import Message, codec
from langchain_ctxplug.calls import KEY
from langchain_ctxplug.json_data import to_json

MARK = "state"  # in extra["langchain"]: [how many messages, digest of all of them]
_UNSEEN = ("artifact", "additional_kwargs", "response_metadata", "fields")
_SENT = ("tool_calls", "invalid_tool_calls", "tool_call_id", "status", "role")


def marked(message: Message, id: str, count: int, digest: str, *, bare: bool = False) -> Message:
    """Return `message` with `id`, and the digest of the `count` messages that end with it.

    With `bare` what redactors do not see is left out: artifacts and additional fields.
    """
    own = message.extra.get(KEY, {})
    if bare:
        own = {key: value for key, value in own.items() if key not in _UNSEEN}
    if id != message.id:
        own = {"id": message.id, **own}
    extra = {**message.extra, KEY: {**own, MARK: [count, digest]}}
    return replace(message, id=id, extra=extra)


def mark_of(message: Message) -> tuple[int, str]:
    """Return the count and digest that a message carries; (0, "") for one of other origin."""
    own = message.extra.get(KEY)
    mark = own.get(MARK) if isinstance(own, dict) else None
    return (mark[0], mark[1]) if isinstance(mark, list) and len(mark) == 2 else (0, "")


def digests(before: str, messages: Iterable[BaseMessage]) -> Iterable[str]:
    """Yield for each message the digest of all up to it: of what a model gets to see."""
    digest = before
    for message in messages:
        hashed = hashlib.blake2b(digest.encode(), digest_size=12)
        hashed.update(_said(message))
        digest = hashed.hexdigest()
        yield digest


def _said(message: BaseMessage) -> bytes:
    kind, content, name = message.type.removesuffix("Chunk"), message.content, message.name or ""
    kind = "ai" if kind == "AIMessage" else kind
    if kind in ("human", "system") and isinstance(content, str):
        return codec.encode([kind, name, content])
    fields = message.__dict__
    more = [fields[key] for key in _SENT if key in fields]
    return codec.encode(to_json([kind, name, content, more]))
