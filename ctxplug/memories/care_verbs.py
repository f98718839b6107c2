"""The verbs of AgentMemory that look after a namespace as a whole: erase, reindex, stats, check."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ctxplug.scope import Scope
from ctxplug.storage import Backend, CheckReport, EraseReceipt
from ctxplug.tokens import TokenCounter

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.memories.accesses import Accesses
    from ctxplug.memories.stats import MemoryStats
    from ctxplug.recall.embedder import Embedder
    from ctxplug.recall.embedding_queue import Progress
    from ctxplug.recall.search import RecordSearch
    from ctxplug.registry import Registry


class CareVerbs:
    """Erase, reindex, count and check; AgentMemory brings the attributes below."""

    backend: Backend
    scope: Scope
    counter: TokenCounter

    if TYPE_CHECKING:
        _accesses: Accesses
        _search: RecordSearch
        _registry: Registry

        def _tell(self, kind: str, /, **data: Any) -> None: ...
        def _refuse_closed(self) -> None: ...
        def _forget_read(self) -> None: ...

    def erase(self) -> EraseReceipt:
        """Remove everything of the namespace, all sessions included, and return a receipt."""
        self._refuse_closed()
        receipt = self.backend.erase(self.scope.namespace)
        self._forget_read()
        self._accesses.take()  # of what is gone
        self._tell("namespace.erased", entries=receipt.entries, records=receipt.records)
        return receipt

    def reindex(
        self, embedder: str | Embedder | None = None, progress: Progress | None = None
    ) -> int:
        """Make the namespace's vectors anew by `embedder`, from then on used by this memory.

        Left out, it is the memory's own, for what has no vector yet. Vectors of another
        embedder are removed first. `progress` is called with how many are done, and of how
        many. Returns how many were made; raises PluginError when the embedder fails.
        """
        self._refuse_closed()
        return self._search.reindex(self._registry.resolve("embedder", embedder), progress)

    def stats(self) -> MemoryStats:
        """Return counts for this session and namespace."""
        self._refuse_closed()
        from ctxplug.memories.stats import collect

        return collect(self.backend, self.scope, self.counter)

    def check(self) -> CheckReport:
        """Examine the whole store; the report's `ok` says whether it is sound."""
        self._refuse_closed()
        return self.backend.check()

    async def aerase(self) -> EraseReceipt:
        """Async twin of `erase`."""
        return await self.backend.arun(self.erase)

    async def areindex(self, *args: Any, **options: Any) -> int:
        """Async twin of `reindex`."""
        return await self.backend.arun(partial(self.reindex, *args, **options))

    async def astats(self) -> MemoryStats:
        """Async twin of `stats`."""
        return await self.backend.arun(self.stats)

    async def acheck(self) -> CheckReport:
        """Async twin of `check`."""
        return await self.backend.arun(self.check)
