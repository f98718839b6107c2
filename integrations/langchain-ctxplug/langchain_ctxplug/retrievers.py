"""CtxplugRetriever: memories and messages of a namespace as LangChain documents."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import RunnableConfig, ensure_config, set_config_context
from pydantic import ConfigDict, Field, PrivateAttr

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError
from ctxplug.memory_like import MemoryLike
from ctxplug.recall.recalled import Recalled
from ctxplug.scope import namespace_key
from langchain_ctxplug.runs import HasMemory, Memories, Run

__all__ = ["FILTERS", "CtxplugRetriever", "to_document"]

Time = datetime | str | float

# Our names for the filters of AgentMemory.recall: `tags` and `metadata` of a retriever are
# LangChain's own, for tracing.
FILTERS: Mapping[str, str] = {
    "kinds": "kinds",
    "with_tags": "tags",
    "with_metadata": "metadata",
    "session": "session",
    "since": "since",
    "until": "until",
    "valid_at": "valid_at",
    "include_superseded": "include_superseded",
}


class CtxplugRetriever(BaseRetriever):
    """Recall what fits a query, from one namespace, as documents.

    Takes an AgentMemory, or a path or spec with the keywords of `AgentMemory.open`. Where many
    users share a retriever, the namespace comes from the run, as with `memory_tools`:
    `namespace=lambda run: ("acme", run.configurable["user_id"])`, a function that gives the
    memory of a Run, or the agent's CtxplugMiddleware. `k` is how many documents there are at
    most. `kinds`, `with_tags`, `with_metadata`, `session`, `since`, `until`, `valid_at` and
    `include_superseded` narrow it as they do for `AgentMemory.recall`. Each may also be given
    for one call: `retriever.invoke(query, k=3, kinds="preference")`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    memory: AgentMemory | MemoryLike | Memories = Field(exclude=True, repr=False)
    k: int = Field(default=10, ge=1)
    kinds: str | Sequence[str] | None = None
    with_tags: str | Sequence[str] | None = None
    with_metadata: Mapping[str, Any] | None = None
    session: str | None = None
    since: Time | None = None
    until: Time | None = None
    valid_at: Time | None = None
    include_superseded: bool = False
    _find: Memories = PrivateAttr()

    def __init__(
        self,
        memory: AgentMemory
        | str
        | os.PathLike[str]
        | Callable[[Run], AgentMemory]
        | HasMemory
        | Memories = "memory:",
        **options: Any,
    ) -> None:
        ours = {name: options.pop(name) for name in list(options) if name in _FIELDS}
        find = memory if isinstance(memory, Memories) else Memories(memory, options)
        fixed = find if find.fixed is None else find.fixed
        super().__init__(memory=fixed, **ours)  # type: ignore[call-arg]
        self._find = find

    def invoke(
        self, input: str, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the documents for a query, from the memory of the run that `config` is of."""
        with set_config_context(ensure_config(config)) as context:
            return context.run(super().invoke, input, config, **kwargs)

    async def ainvoke(
        self, input: str, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """Async twin of `invoke`."""
        with set_config_context(ensure_config(config)) as context:
            work = super().ainvoke(input, config, **kwargs)
            return await asyncio.create_task(work, context=context)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        **filters: Any,
    ) -> list[Document]:
        memory = self._find(ensure_config())
        found = memory.recall(query, **self._asked(k, filters))
        return [to_document(one) for one in found]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        **filters: Any,
    ) -> list[Document]:
        memory = await self._find.awaited(ensure_config())
        found = await memory.arecall(query, **self._asked(k, filters))
        return [to_document(one) for one in found]

    def _asked(self, k: int | None, filters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords of recall; those of this call win over the retriever's."""
        unknown = sorted(set(filters) - set(FILTERS))
        if unknown:
            raise InvalidValueError(
                f"{unknown[0]!r} narrows no recall; use k, {', '.join(FILTERS)}.",
                path=unknown[0],
            )
        asked = {name: getattr(self, name) for name in FILTERS} | dict(filters)
        return {"k": self.k if k is None else k} | {FILTERS[n]: v for n, v in asked.items()}


_FIELDS = frozenset(CtxplugRetriever.model_fields) - {"memory"}


def to_document(found: Recalled) -> Document:
    """Return a recalled record as a document: its words, its id, and in metadata all else.

    Times are ISO 8601 texts, and what has no value is left out. The record's own metadata is
    under "metadata", so that none of its keys can pass for one of ours.
    """
    record = found.record
    metadata = {
        "score": found.score,
        "why": dict(found.why),
        "kind": record.kind,
        "tier": record.tier,
        "importance": record.importance,
        "created_at": record.created_at,
        "namespace": namespace_key(record.namespace),
        "session": record.session,
        "agent": record.agent,
        "origin": record.origin,
        "trust": record.trust,
        "made_by": record.made_by,
        "tags": list(record.tags),
        "sources": list(record.sources),
        "valid_from": record.valid_from,
        "valid_to": record.valid_to,
        "expires_at": record.expires_at,
        "archived": found.archived or None,
        "metadata": dict(record.metadata),
    }
    plain = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in metadata.items()
        if value is not None
    }
    return Document(page_content=record.content, id=record.id, metadata=plain)
