"""The memory tools: remember, recall, forget and expand, for a LangChain agent.

Whose memory it is comes from the memory given, or from the run (its config and context), and
is no part of a schema: a model cannot choose it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel

from ctxplug import AgentMemory
from ctxplug.errors import CtxplugError, InvalidValueError
from ctxplug.recall.recalled import Recalled
from ctxplug.tools.memory_answers import (
    BY_MODEL,
    FORGOT,
    RECALL_TOKENS,
    REMEMBERED,
    found,
    shown,
)
from ctxplug.tools.memory_schemas import DESCRIPTIONS, Expand, Forget, Recall, Remember
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
        schema, ask, answer = _SPECS[name]

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
            description=DESCRIPTIONS[name],
            args_schema=schema,
            response_format="content_and_artifact" if name == "recall" else "content",
            handle_tool_error=True,
        )

    def _said(
        self, answer: Callable[..., str], memory: AgentMemory, given: dict[str, Any], got: Any
    ) -> Any:
        if answer is not shown:
            return answer(got, given)
        artifact = [_plain(one) for one in got]
        return shown(got, memory.counter, self._recall_tokens), artifact


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
    return partial(found, memory.recall, query, **filters)


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


def _plain(one: Recalled) -> dict[str, Any]:
    return {"score": one.score, "why": dict(one.why), "record": one.record.to_dict()}


_SPECS: Mapping[str, tuple[type[BaseModel], Callable[..., Any], Callable[..., str]]] = {
    "remember": (Remember, _ask_remember, _remembered),
    "recall": (Recall, _ask_recall, shown),
    "forget": (Forget, _ask_forget, _forgotten),
    "expand": (Expand, _ask_expand, _expanded),
}
