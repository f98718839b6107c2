"""CtxplugByteStore: LangChain's key-value store, such as caches of embeddings and documents use."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.stores import BaseStore
from langgraph.store.base import GetOp, PutOp, SearchOp

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError
from ctxplug.storage import Backend
from langchain_ctxplug.store import CtxplugStore


class CtxplugByteStore(BaseStore[str, bytes]):
    """Bytes by key, in the namespace `path` of a CtxplugStore; each `mset` is one atomic write.

    `target` and `options` are those of CtxplugStore, or `target` is such a store.
    """

    def __init__(
        self,
        target: CtxplugStore | AgentMemory | str | os.PathLike[str] | Backend = "memory:",
        *,
        path: tuple[str, ...] = ("bytes",),
        **options: Any,
    ) -> None:
        self.store = target if isinstance(target, CtxplugStore) else CtxplugStore(target, **options)
        self.path = path

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the bytes of each key, None where there are none."""
        found = self.store.batch([GetOp(self.path, key) for key in keys])
        return [_bytes(item) for item in found]

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Async twin of `mget`."""
        found = await self.store.abatch([GetOp(self.path, key) for key in keys])
        return [_bytes(item) for item in found]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Store the bytes of each key."""
        self.store.batch([self._put(key, value) for key, value in key_value_pairs])

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Async twin of `mset`."""
        await self.store.abatch([self._put(key, value) for key, value in key_value_pairs])

    def mdelete(self, keys: Sequence[str]) -> None:
        """Remove the keys."""
        self.store.batch([PutOp(self.path, key, None) for key in keys])

    async def amdelete(self, keys: Sequence[str]) -> None:
        """Async twin of `mdelete`."""
        await self.store.abatch([PutOp(self.path, key, None) for key in keys])

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """Yield the keys that begin with `prefix`, as they were when it began."""
        (found,) = self.store.batch([SearchOp(self.path, limit=sys.maxsize, refresh_ttl=False)])
        yield from self._keys(found, prefix)

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        """Async twin of `yield_keys`."""
        op = SearchOp(self.path, limit=sys.maxsize, refresh_ttl=False)
        (found,) = await self.store.abatch([op])
        for key in self._keys(found, prefix):
            yield key

    def _put(self, key: str, value: bytes) -> PutOp:
        if not isinstance(value, bytes):
            raise InvalidValueError(f"A byte store holds bytes, not {value!r:.60}.", path="value")
        return PutOp(self.path, key, {"bytes": base64.b64encode(value).decode()}, index=False)

    def _keys(self, found: Any, prefix: str | None) -> list[str]:
        keys = [item.key for item in found if item.namespace == self.path]
        return [key for key in keys if key.startswith(prefix or "")]


def _bytes(item: Any) -> bytes | None:
    return None if item is None else base64.b64decode(item.value["bytes"])
