"""The verbs about memories: made, found, changed and forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ctxplug.recall.recalled import Recalled
from ctxplug.recall.weights import RecallWeights
from ctxplug.records import MemoryRecord, Tier, to_tags
from ctxplug_server.client.arguments import json_dict, json_text, seconds, texts, time
from ctxplug_server.client.calls import Call, nothing
from ctxplug_server.client.checks import (
    check_change,
    check_filters,
    check_k,
    check_new,
    check_query,
)
from ctxplug_server.client.link import Link, path, reads
from ctxplug_server.client.twins import twins
from ctxplug_server.wire import to_json

Texts = Iterable[str] | str | None
Time = datetime | str | float | None


class MemoryVerbs:
    """Make, find, change and forget memories; RemoteMemory brings the attributes below.

    Each says and does what the verb of that name of AgentMemory does.
    """

    link: Link

    def _remember(
        self,
        content: str,
        *,
        kind: str = "fact",
        importance: float = 0.5,
        tags: Texts = None,
        metadata: Mapping[str, Any] | None = None,
        ttl: timedelta | float | None = None,
        origin: str = "user",
        supersedes: Iterable[str] | str = (),
        valid_from: Time = None,
    ) -> Call[MemoryRecord]:
        """Store a memory for all sessions of the namespace."""
        check_new(
            content,
            self.link.scope,
            kind=kind,
            importance=importance,
            tags=tags,
            metadata=metadata,
            ttl=ttl,
            origin=origin,
            valid_from=valid_from,
        )
        body = {
            "content": content,
            "kind": kind,
            "importance": importance,
            "tags": texts(tags),
            "metadata": json_dict(metadata, "metadata"),
            "ttl": seconds(ttl),
            "origin": origin,
            "supersedes": texts(supersedes),
            "valid_from": time(valid_from),
        }
        return self.link.call(
            "POST", "/memories", reads(MemoryRecord), body=given(body), params=self._here
        )

    def _recall(
        self,
        query: str,
        *,
        k: int = 10,
        kinds: Texts = None,
        tags: Texts = None,
        session: str | None = None,
        agent: str | None = None,
        since: Time = None,
        until: Time = None,
        valid_at: Time = None,
        include_superseded: bool = False,
        metadata: Mapping[str, Any] | None = None,
        weights: RecallWeights | None = None,
    ) -> Call[list[Recalled]]:
        """Return the `k` best memories and messages of the namespace for `query`."""
        check_k(k)
        check_query(query)
        filters = {
            "kinds": texts(kinds),
            "tags": texts(tags),
            "session": session,
            "agent": agent,
            "since": time(since),
            "until": time(until),
            "valid_at": time(valid_at),
            "include_superseded": include_superseded,
            "metadata": json_dict(metadata, "metadata"),
        }
        check_filters(self.link.scope, **filters)
        body = {"query": query, "k": k, **filters, "weights": to_json(weights)}
        return self.link.call(
            "POST",
            "/recall",
            reads(list[Recalled], "found"),
            body=given(body),
            params=self._here,
            writes=False,
        )

    def _memories(
        self,
        *,
        kinds: Texts = None,
        tiers: Texts = None,
        tags: Texts = None,
        session: str | None = None,
        agent: str | None = None,
        since: Time = None,
        until: Time = None,
        valid_at: Time = None,
        include_superseded: bool = False,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Call[list[MemoryRecord]]:
        """Return the memories of the namespace, without its messages, newest first."""
        filters: dict[str, Any] = {
            "kinds": texts(kinds),
            "tiers": texts(tiers),
            "tags": texts(tags),
            "session": session,
            "since": time(since),
            "until": time(until),
            "valid_at": time(valid_at),
            "include_superseded": include_superseded,
        }
        check_filters(self.link.scope, agent=agent, metadata=metadata, **filters)
        params = {
            **filters,
            "by": agent,
            "metadata": None if metadata is None else json_text(metadata, "metadata"),
            "limit": limit,
            "offset": offset,
        }
        read = reads(list[MemoryRecord], "memories")
        return self.link.call("GET", "/memories", read, params=params)

    def _update(
        self,
        record_id: str,
        *,
        content: str | None = None,
        kind: str | None = None,
        importance: float | None = None,
        tags: Texts = None,
        metadata: Mapping[str, Any] | None = None,
        tier: Tier | None = None,
        ttl: timedelta | float | None = None,
    ) -> Call[MemoryRecord]:
        """Change a memory in place and return it; what is left out stays as it is."""
        fields = {"content": content, "kind": kind, "importance": importance, "metadata": metadata}
        changes: dict[str, Any] = given(fields)
        if tags is not None:
            changes["tags"] = to_tags(tags)
        check_change(self.link.scope, changes, tier=tier, ttl=ttl)
        body = {
            **changes,
            "metadata": json_dict(metadata, "metadata"),
            "tags": texts(tags),
            "tier": tier,
            "ttl": seconds(ttl),
        }
        at = path("memories", record_id)
        return self.link.call("PATCH", at, reads(MemoryRecord), body=given(body))

    def _promote(self, record_id: str, tier: Tier | None = None) -> Call[MemoryRecord]:
        """Move a memory up to `tier`, or to the next one, and return it; its time begins anew."""
        at = path("memories", record_id, "promote")
        return self.link.call("POST", at, reads(MemoryRecord), body=given({"tier": tier}))

    def _forget(self, record_id: str) -> Call[None]:
        """Remove one memory; raise NotFoundError if this namespace has none of that id."""
        return self.link.call("DELETE", path("memories", record_id), nothing, params=self._here)

    remember, aremember = twins(_remember)
    recall, arecall = twins(_recall)
    memories, amemories = twins(_memories)
    update, aupdate = twins(_update)
    promote, apromote = twins(_promote)
    forget, aforget = twins(_forget)

    # -- inside --------------------------------------------------------------------------

    @property
    def _here(self) -> Mapping[str, Any]:
        """Where it is done: the session whose steps tell of it."""
        return {"session": self.link.scope.session}


def given(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of `body` is not None: what is left out is as the verb has it."""
    return {name: value for name, value in body.items() if value is not None}
