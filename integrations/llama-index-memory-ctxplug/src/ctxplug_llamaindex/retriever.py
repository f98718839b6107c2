"""CtxplugRetriever: memories and messages of a namespace as LlamaIndex nodes."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError
from ctxplug.recall.recalled import Recalled
from ctxplug.scope import namespace_key
from ctxplug.storage import Backend
from ctxplug_llamaindex.opening import memory_of

__all__ = ["FILTERS", "CtxplugRetriever", "to_node"]

FILTERS = (
    "kinds",
    "tags",
    "metadata",
    "session",
    "agent",
    "since",
    "until",
    "valid_at",
    "include_superseded",
    "weights",
)
_OF_RETRIEVERS = ("callback_manager", "object_map", "objects", "verbose")
_SHOWN = ("kind", "created_at", "origin", "trust")  # to a model, with a node's text
_TOP_K = 10


class CtxplugRetriever(BaseRetriever):
    """Recall what fits a query, from one namespace, as nodes with their scores.

    Takes an AgentMemory, or a path or spec with the keywords of `AgentMemory.open`. `k`
    (LlamaIndex's `similarity_top_k`) is how many nodes there are at most; `kinds`, `tags`,
    `metadata`, `session`, `agent`, `since`, `until`, `valid_at`, `include_superseded` and
    `weights` narrow and weigh as they do for `AgentMemory.recall`.
    """

    def __init__(
        self,
        memory: AgentMemory | str | os.PathLike[str] | Backend = "memory:",
        *,
        k: int | None = None,
        similarity_top_k: int | None = None,
        **options: Any,
    ) -> None:
        own = {name: options.pop(name) for name in _OF_RETRIEVERS if name in options}
        self.filters = {name: options.pop(name) for name in FILTERS if name in options}
        self.k = _count(k, similarity_top_k)
        self.memory = memory_of(memory, **options)
        super().__init__(**own)

    @property
    def similarity_top_k(self) -> int:
        """LlamaIndex's name for `k`."""
        return self.k

    @similarity_top_k.setter
    def similarity_top_k(self, k: int) -> None:
        self.k = _count(k, None)

    def __deepcopy__(self, memo: Any) -> CtxplugRetriever:
        return self  # it holds a connection

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self.memory.recall(query_bundle.query_str, k=self.k, **self.filters)
        return [to_node(one) for one in found]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = await self.memory.arecall(query_bundle.query_str, k=self.k, **self.filters)
        return [to_node(one) for one in found]


def to_node(found: Recalled) -> NodeWithScore:
    """Return a recalled record as a node: its words, its id, and in metadata all else.

    Times are ISO 8601 texts, and what has no value is left out. The record's own metadata is
    under "metadata", so that none of its keys can pass for one of ours. A model is shown
    kind, time, origin and trust with the text; nothing of the metadata is embedded.
    """
    record = found.record
    plain = _plain(found)
    node = TextNode(
        id_=record.id,
        text=record.content,
        metadata=plain,
        excluded_llm_metadata_keys=[name for name in plain if name not in _SHOWN],
        excluded_embed_metadata_keys=list(plain),
    )
    return NodeWithScore(node=node, score=found.score)


def _plain(found: Recalled) -> dict[str, Any]:
    record = found.record
    metadata = {
        "kind": record.kind,
        "created_at": record.created_at,
        "origin": record.origin,
        "trust": record.trust,
        "tier": record.tier,
        "importance": record.importance,
        "why": dict(found.why),
        "namespace": namespace_key(record.namespace),
        "session": record.session,
        "agent": record.agent,
        "made_by": record.made_by,
        "tags": list(record.tags),
        "sources": list(record.sources),
        "valid_from": record.valid_from,
        "valid_to": record.valid_to,
        "expires_at": record.expires_at,
        "archived": found.archived or None,
        "metadata": dict(record.metadata),
    }
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in metadata.items()
        if value is not None
    }


def _count(k: int | None, similarity_top_k: int | None) -> int:
    """Return how many there are at most, by the one name or the other."""
    if k is not None and similarity_top_k is not None and k != similarity_top_k:
        raise InvalidValueError(
            f"k={k!r} and similarity_top_k={similarity_top_k!r} are two names of one number; give"
            " one of them.",
            path="k",
        )
    chosen = similarity_top_k if k is None else k
    chosen = _TOP_K if chosen is None else chosen
    if isinstance(chosen, bool) or not isinstance(chosen, int) or chosen < 1:
        raise InvalidValueError(
            f"k is how many nodes at most, a whole number above zero, not {chosen!r:.40}.", path="k"
        )
    return chosen
