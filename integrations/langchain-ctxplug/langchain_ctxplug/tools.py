"""The memory tools: remember, recall, forget and expand, for a LangChain agent.

Whose memory it is comes from the memory given, or from the run (its config and context), and
is no part of a schema: a model cannot choose it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, Field

from ctxplug import AgentMemory
from ctxplug.compression.cutting import cut
from ctxplug.errors import CtxplugError, InvalidValueError
from ctxplug.recall.recalled import Recalled
from langchain_ctxplug.answers import FORGOT, HEAD, NOTHING, REMEMBERED, is_answer
from langchain_ctxplug.runs import HasMemory, Memories, Run
from langchain_ctxplug.tool_conversion import (
    as_function,
    as_langchain_tool,
    registered_tools,
    tools_plugin,
)

__all__ = [
    "Run",
    "as_function",
    "as_langchain_tool",
    "memory_tools",
    "registered_tools",
    "tools_plugin",
]

RECALL_TOKENS = 2_000
BY_MODEL = "assistant"  # the origin of what a model remembers: trusted as the model is
MOST_LOOKED_AT = 800  # records, for those that are no answers of these tools


class Remember(BaseModel):
    """What `remember` takes."""

    content: str = Field(description="What to remember, as a statement that stands alone.")
    kind: str = Field("fact", description="Such as fact, preference, decision or task.")
    importance: float = Field(0.5, ge=0, le=1, description="0.0 to 1.0.")
    tags: list[str] = Field(default_factory=list, description="Words to find it by.")
    replaces: list[str] = Field(
        default_factory=list, description="Ids of memories that no longer hold because of this."
    )


class Recall(BaseModel):
    """What `recall` takes."""

    query: str = Field(description="What to look for, in words that may have been used.")
    k: int = Field(5, ge=1, le=50, description="How many records at most.")
    kinds: list[str] | None = Field(
        None, description='Only these kinds; "message" is what was said in conversations.'
    )
    since: str | None = Field(None, description="Only from this date on, such as 2026-01-31.")
    until: str | None = Field(None, description="Only before this date.")


class Forget(BaseModel):
    """What `forget` takes."""

    memory_id: str = Field(description="The id of the memory, as recall shows it.")


class Expand(BaseModel):
    """What `expand` takes."""

    ref: str = Field(description='The reference in a shortened part, such as "@12" or "@3-40".')
    start: int = Field(0, ge=0, description="The character to go on from.")


def memory_tools(
    memory: AgentMemory
    | str
    | os.PathLike[str]
    | Callable[[Run], AgentMemory]
    | HasMemory = "memory:",
    *,
    names: Iterable[str] = ("remember", "recall", "forget", "expand"),
    recall_tokens: int = RECALL_TOKENS,
    **options: Any,
) -> list[BaseTool]:
    """Return the memory tools for an agent.

    `memory` is an AgentMemory, or a path or spec with the keywords of `AgentMemory.open`, each
    of which may be a function of the Run: `namespace=lambda run: ("acme", run.context.user)`,
    `session=lambda run: run.configurable["thread_id"]`. It may also be a function that gives
    the memory of a Run, or the agent's CtxplugMiddleware, whose memory it then is. What
    `recall` shows takes at most `recall_tokens`; the records in full are its artifact. Raises
    InvalidValueError for a name that is no memory tool.
    """
    find = Memories(memory, options)
    made = _Tools(find, recall_tokens)
    chosen = list(names)
    unknown = [name for name in chosen if name not in _SPECS]
    if unknown:
        raise InvalidValueError(
            f"{unknown[0]!r} is no memory tool; they are {', '.join(_SPECS)}.", path="names"
        )
    return [made.tool(name) for name in chosen]


class _Tools:
    """Makes the tools; each exists as a function and as a coroutine."""

    def __init__(self, find: Memories, recall_tokens: int) -> None:
        self._find = find
        self._recall_tokens = recall_tokens

    def tool(self, name: str) -> BaseTool:
        schema, description, ask, answer = _SPECS[name]

        def call(config: RunnableConfig, **given: Any) -> Any:
            with _Told():
                memory = self._find(config)
                return self._said(answer, memory, given, ask(memory, **given)())

        async def acall(config: RunnableConfig, **given: Any) -> Any:
            with _Told():
                memory = await self._find.awaited(config)
                return self._said(
                    answer, memory, given, await memory.backend.arun(ask(memory, **given))
                )

        return StructuredTool.from_function(
            call,
            acall,
            name=name,
            description=description,
            args_schema=schema,
            response_format="content_and_artifact" if name == "recall" else "content",
            handle_tool_error=True,
        )

    def _said(
        self, answer: Callable[..., str], memory: AgentMemory, given: dict[str, Any], got: Any
    ) -> Any:
        if answer is not _shown:
            return answer(got, given)
        artifact = [_plain(one) for one in got]
        return _shown(got, memory, self._recall_tokens), artifact


class _Told:
    """Turns an error of ctxplug into one that the model is told, so that it can mend it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, CtxplugError):
            raise ToolException(str(error)) from error


def _ask_remember(
    memory: AgentMemory, content: str, replaces: Sequence[str] = (), **fields: Any
) -> Callable[[], Any]:
    return partial(memory.remember, content, supersedes=replaces, origin=BY_MODEL, **fields)


def _ask_recall(memory: AgentMemory, query: str, **filters: Any) -> Callable[[], Any]:
    return partial(_found, memory, query, **filters)


def _found(memory: AgentMemory, query: str, *, k: int = 5, **filters: Any) -> list[Recalled]:
    """Return the best `k` records without what these tools answered in the conversation."""
    asked = k
    while True:
        found = memory.recall(query, k=asked, **filters)
        kept = [one for one in found if not _is_answer(one)]
        if len(kept) >= k or len(found) < asked or asked >= MOST_LOOKED_AT:
            return kept[:k]
        asked *= 4


def _is_answer(one: Recalled) -> bool:
    record = one.record
    is_result = record.kind == "message" and record.origin.startswith("tool")
    return is_result and is_answer(record.content)


def _ask_forget(memory: AgentMemory, memory_id: str) -> Callable[[], Any]:
    return partial(memory.forget, memory_id)


def _ask_expand(memory: AgentMemory, ref: str, start: int = 0) -> Callable[[], Any]:
    return partial(memory.expand, ref, start)


def _remembered(record: Any, given: Mapping[str, Any]) -> str:
    return f"{REMEMBERED}{record.id}."


def _forgotten(nothing: None, given: Mapping[str, Any]) -> str:
    return f"{FORGOT}{given['memory_id']}."


def _expanded(text: str, given: Mapping[str, Any]) -> str:
    return text


def _shown(found: Sequence[Recalled], memory: AgentMemory, tokens: int) -> str:
    """Return records as JSON lines in at most about `tokens`; no text can leave its line."""
    if not found:
        return NOTHING
    counter = memory.counter
    left = tokens - counter.count_text(HEAD)
    lines = [HEAD]
    for n, one in enumerate(found):
        share = max(left // (len(found) - n), 0)
        line = _line(one, one.record.content)
        if counter.count_text(line) > share:
            frame = counter.count_text(_line(one, ""))
            line = _line(one, cut(one.record.content, max(share - frame, 16), counter))
        lines.append(line)
        left -= counter.count_text(line)
    return "\n".join(lines)


def _line(one: Recalled, content: str) -> str:
    record = one.record
    said = {
        "id": record.id,
        "kind": record.kind,
        "from": record.origin,
        "trust": record.trust,
        "at": record.created_at.date().isoformat(),
        "text": content,
    }
    return json.dumps(said, ensure_ascii=False)


def _plain(one: Recalled) -> dict[str, Any]:
    return {"score": one.score, "why": dict(one.why), "record": one.record.to_dict()}


_SPECS: Mapping[str, tuple[type[BaseModel], str, Callable[..., Any], Callable[..., str]]] = {
    "remember": (
        Remember,
        "Remember something for later conversations: a fact, a preference, a decision.",
        _ask_remember,
        _remembered,
    ),
    "recall": (
        Recall,
        "Search what was remembered and said, in this and earlier conversations.",
        _ask_recall,
        _shown,
    ),
    "forget": (
        Forget,
        "Forget one memory for good, by its id. To say that a fact has changed, use remember"
        " with `replaces`.",
        _ask_forget,
        _forgotten,
    ),
    "expand": (
        Expand,
        "Show in full what a shortened part of the conversation said.",
        _ask_expand,
        _expanded,
    ),
}
