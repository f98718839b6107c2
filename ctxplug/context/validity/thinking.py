"""Rules T01 and T02: thinking blocks are bound to what stood before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from ctxplug import anthropic_format, codec
from ctxplug.context.validity.anthropic_blocks import THINKING
from ctxplug.context.validity.fault import Fault
from ctxplug.messages import Message


def check_thinking(before: Sequence[Message], after: Sequence[Message]) -> list[Fault]:
    """Return where `after`, made from `before`, breaks the binding of a thinking block.

    Both are compared in Anthropic's wire form; cache marks do not count. The signatures
    in `before` must be unique for T02 to be told from T01. Paths are those of `after`.
    """
    known: dict[tuple[bytes, ...], bytes] = {}
    for _, thinking, prefix in _turns(before):
        known.setdefault(thinking, prefix)
    faults: list[Fault] = []
    for path, thinking, prefix in _turns(after):
        if thinking and thinking not in known:
            faults.append(Fault("T01", path, "thinking blocks were changed, moved or dropped"))
        elif thinking and known[thinking] != prefix:
            text = "the messages before these thinking blocks have changed"
            faults.append(Fault("T02", path, text))
    return faults


def _turns(messages: Sequence[Message]) -> Iterator[tuple[str, tuple[bytes, ...], bytes]]:
    """Yield each turn's path, its thinking blocks and a digest of all blocks before it."""
    prefix = sha256()
    for i, turn in enumerate(anthropic_format.to_messages(messages)[1]):
        blocks = [_bare(block) for block in turn["content"]]
        thinking = tuple(codec.canonical(b) for b in blocks if b.get("type") in THINKING)
        yield f"messages[{i}]", thinking, prefix.digest()
        prefix.update(codec.canonical([turn["role"], *blocks]))


def _bare(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _bare(value) for key, value in data.items() if key != "cache_control"}
    return [_bare(item) for item in data] if isinstance(data, list) else data
