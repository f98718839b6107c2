"""CtxplugToolSpec: remember, recall, forget and expand, for an agent of LlamaIndex.

Whose memory it is comes from the memory given, or from the run, and is no part of a schema: a
model cannot choose it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from llama_index.core.memory import Memory
from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
from llama_index.core.workflow import Context

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError
from ctxplug.memory_like import is_memory
from ctxplug.storage import Backend
from ctxplug.tools.memory_answers import RECALL_TOKENS
from ctxplug_llamaindex.memory_block import CtxplugMemoryBlock
from ctxplug_llamaindex.memory_verbs import VERBS
from ctxplug_llamaindex.opening import memory_of
from ctxplug_llamaindex.tool_conversion import (
    as_function,
    as_function_tool,
    registered_tools,
    tools_plugin,
)

__all__ = [
    "CtxplugToolSpec",
    "as_function",
    "as_function_tool",
    "registered_tools",
    "tools_plugin",
]


class CtxplugToolSpec(BaseToolSpec):
    """The memory tools: `CtxplugToolSpec(memory).to_tool_list()`.

    Takes an AgentMemory, or a path or spec with the keywords of `AgentMemory.open`. Where an
    agent serves many users, `CtxplugToolSpec.of_run()` has tools for the memory of each run.
    What `recall` shows takes at most `recall_tokens`.
    """

    spec_functions: list[SPEC_FUNCTION_TYPE] = [(name, f"a{name}") for name in VERBS]  # noqa: RUF012

    def __init__(
        self,
        memory: AgentMemory | str | os.PathLike[str] | Backend = "memory:",
        *,
        recall_tokens: int = RECALL_TOKENS,
        **options: Any,
    ) -> None:
        self._memory: AgentMemory | None = memory_of(memory, **options)
        self._recall_tokens = recall_tokens

    @classmethod
    def of_run(cls, *, recall_tokens: int = RECALL_TOKENS) -> CtxplugToolSpec:
        """Return a spec whose tools use the memory of the run that they are called in.

        It is the CtxplugMemory of `agent.run(..., memory=memory)`, or the CtxplugMemoryBlock
        of a Memory. Such tools work only where LlamaIndex gives them the run's context.
        """
        spec = cls.__new__(cls)
        spec._memory, spec._recall_tokens = None, recall_tokens
        return spec

    @property
    def memory(self) -> AgentMemory:
        """The memory of the tools; raises InvalidValueError where each run has its own."""
        if self._memory is None:
            raise InvalidValueError(
                "These tools use the memory of a run, so there is none outside of one; give them"
                " to an agent, or make the spec with a memory.",
                path="memory",
            )
        return self._memory

    def remember(self, content: str, **more: Any) -> str:
        """Remember `content`, with `kind`, `importance`, `tags` and `replaces`."""
        return self._done("remember", {"content": content, **more})

    def recall(self, query: str, **more: Any) -> str:
        """Show what is found for `query`, with `k`, `kinds`, `since` and `until`."""
        return self._done("recall", {"query": query, **more})

    def forget(self, memory_id: str) -> str:
        """Forget one memory for good."""
        return self._done("forget", {"memory_id": memory_id})

    def expand(self, ref: str, start: int = 0) -> str:
        """Show in full what a shortened part of the conversation said."""
        return self._done("expand", {"ref": ref, "start": start})

    async def aremember(self, content: str, **more: Any) -> str:
        """Async twin of `remember`."""
        return await self._adone("remember", {"content": content, **more})

    async def arecall(self, query: str, **more: Any) -> str:
        """Async twin of `recall`."""
        return await self._adone("recall", {"query": query, **more})

    async def aforget(self, memory_id: str) -> str:
        """Async twin of `forget`."""
        return await self._adone("forget", {"memory_id": memory_id})

    async def aexpand(self, ref: str, start: int = 0) -> str:
        """Async twin of `expand`."""
        return await self._adone("expand", {"ref": ref, "start": start})

    # -- as LlamaIndex asks for them -------------------------------------------------------

    def get_metadata_from_fn_name(
        self, fn_name: str, spec_functions: list[SPEC_FUNCTION_TYPE] | None = None
    ) -> ToolMetadata | None:
        """Return what a model is told of a tool."""
        name = fn_name if fn_name in VERBS else fn_name.removeprefix("a")
        if name not in VERBS:
            return super().get_metadata_from_fn_name(fn_name, spec_functions)
        return ToolMetadata(VERBS[name].description, name, VERBS[name].schema)

    def to_tool_list(
        self,
        spec_functions: list[SPEC_FUNCTION_TYPE] | None = None,
        func_to_metadata_mapping: dict[str, ToolMetadata] | None = None,
    ) -> list[FunctionTool]:
        """Return the tools, sync and async; `spec_functions` chooses, as in `["recall"]`."""
        chosen = [self._pair(one) for one in spec_functions or self.spec_functions]
        if self._memory is not None:
            return super().to_tool_list(chosen, func_to_metadata_mapping)
        given = func_to_metadata_mapping or {}
        return [self._tool_of_run(str(pair[0]), given.get(str(pair[0]))) for pair in chosen]

    # -- inside ----------------------------------------------------------------------------

    def _pair(self, one: SPEC_FUNCTION_TYPE) -> SPEC_FUNCTION_TYPE:
        """Return the names of a tool, sync and async; functions of subclasses are as they say."""
        name = one if isinstance(one, str) else one[0]
        if name in VERBS:
            return name, f"a{name}"
        if not callable(getattr(self, name, None)) or self._memory is None:
            raise InvalidValueError(
                f"{name!r} is no memory tool; they are {', '.join(VERBS)}.", path="spec_functions"
            )
        return one

    def _tool_of_run(self, name: str, metadata: ToolMetadata | None) -> FunctionTool:
        tokens = self._recall_tokens

        async def call(ctx: Context, **given: Any) -> str:
            memory = _within(await ctx.store.get("memory", default=None))
            return await memory.backend.arun(partial(VERBS[name].run, memory, tokens, given))

        call.__annotations__["ctx"] = Context  # by the type itself LlamaIndex finds it
        metadata = metadata or self.get_metadata_from_fn_name(name)
        return FunctionTool.from_defaults(async_fn=call, tool_metadata=metadata)

    def _done(self, name: str, given: Mapping[str, Any]) -> str:
        return VERBS[name].run(self.memory, self._recall_tokens, given)

    async def _adone(self, name: str, given: Mapping[str, Any]) -> str:
        act = partial(VERBS[name].run, self.memory, self._recall_tokens, given)
        return await self.memory.backend.arun(act)


def _within(memory: Any) -> AgentMemory:
    """Return the AgentMemory in a run's memory."""
    if isinstance(memory, Memory):
        for block in memory.memory_blocks:
            if isinstance(block, CtxplugMemoryBlock):
                return block.memory_of(memory.session_id)
    found = getattr(memory, "memory", None)
    if is_memory(found):
        return found
    raise InvalidValueError(
        f"The memory of this run is a {type(memory).__name__}, which holds none of ctxplug; run"
        " the agent with memory=CtxplugMemory(...).",
        path="memory",
    )
