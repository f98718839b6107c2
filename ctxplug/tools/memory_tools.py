"""The memory tools: remember, recall, forget and expand, for an agent to use itself.

Whose memory they work on is fixed by whoever makes them, and is no part of a schema: a
model cannot choose it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ctxplug.errors import GuardError, InvalidValueError, NotFoundError, ToolError
from ctxplug.tools.host import Remembers
from ctxplug.tools.memory_answers import (
    BY_MODEL,
    FORGOT,
    RECALL_TOKENS,
    REMEMBERED,
    found,
    shown,
)
from ctxplug.tools.memory_schemas import (
    Content,
    Importance,
    Kind,
    Kinds,
    MemoryId,
    Most,
    Query,
    Ref,
    Replaces,
    Since,
    Start,
    Tags,
    Until,
)
from ctxplug.tools.tool import Tool

SOURCE = "the memory tools of ctxplug"


def memory_tools(memory: Remembers, *, recall_tokens: int = RECALL_TOKENS) -> list[Tool]:
    """Return the memory tools of `memory`, an AgentMemory.

    What `recall` shows takes about `recall_tokens` at most, by the memory's counter.
    """
    return [
        _tool(_expand(memory), idempotent=True, side_effects=False),
        _tool(_forget(memory)),
        _tool(_recall(memory, recall_tokens), idempotent=True, side_effects=False),
        _tool(_remember(memory)),
    ]


def _tool(function: Callable[..., str], **fields: Any) -> Tool:
    name = function.__name__

    @wraps(function)
    def call(**arguments: Any) -> str:
        try:
            return function(**arguments)
        except (InvalidValueError, NotFoundError, GuardError) as exc:
            raise ToolError(str(exc), tool=name) from exc  # the model can mend it

    return Tool.of(call, source=SOURCE, **fields)


def _remember(memory: Remembers) -> Callable[..., str]:
    def remember(
        content: Content,
        kind: Kind = "fact",
        importance: Importance = 0.5,
        tags: Tags = [],  # noqa: B006  # copied for each call
        replaces: Replaces = [],  # noqa: B006
    ) -> str:
        """Remember something for later conversations: a fact, a preference, a decision."""
        record = memory.remember(
            content,
            kind=kind,
            importance=importance,
            tags=tags,
            supersedes=replaces,
            origin=BY_MODEL,
        )
        return f"{REMEMBERED}{record.id}."

    return remember


def _recall(memory: Remembers, recall_tokens: int) -> Callable[..., str]:
    def recall(
        query: Query, k: Most = 5, kinds: Kinds = None, since: Since = None, until: Until = None
    ) -> str:
        """Search what was remembered and said, in this and earlier conversations."""
        records = found(memory.recall, query, k=k, kinds=kinds, since=since, until=until)
        return shown(records, memory.counter, recall_tokens)

    return recall


def _forget(memory: Remembers) -> Callable[..., str]:
    def forget(memory_id: MemoryId) -> str:
        """Forget one memory for good, by its id.

        To say that a fact has changed, use remember with `replaces`.
        """
        memory.forget(memory_id)
        return f"{FORGOT}{memory_id}."

    return forget


def _expand(memory: Remembers) -> Callable[..., str]:
    def expand(ref: Ref, start: Start = 0) -> str:
        """Show in full what a shortened part of the conversation said."""
        return memory.expand(ref, start)

    return expand
