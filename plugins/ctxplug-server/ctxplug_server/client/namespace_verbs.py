"""The verbs about the namespace as a whole: its sessions, its care, its archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ctxplug.memories.archive import ArchiveReport, UnarchiveReport
from ctxplug.memories.erasure import ErasureReport
from ctxplug.memories.report import MaintenanceReport
from ctxplug.memories.stats import MemoryStats
from ctxplug.recall.embedder import Embedder
from ctxplug.recall.recalled import Recalled
from ctxplug.scope import namespace_key
from ctxplug.sessions.info import SessionState
from ctxplug.sessions.retention import RetireReport
from ctxplug.sessions.session import check_whole
from ctxplug.sessions.states import to_states
from ctxplug.storage import CheckReport, EraseReceipt
from ctxplug_server.client.arguments import refuse_given, seconds, texts, time
from ctxplug_server.client.calls import Call
from ctxplug_server.client.checks import check_before
from ctxplug_server.client.link import Link, reads
from ctxplug_server.client.memory_verbs import Texts, Time, given
from ctxplug_server.client.twins import twins

MOST = 10_000  # of what a server lists at once
Progress = Callable[[int, int], None]
NO_PROGRESS = "the server tells how far it is in its log alone. Leave progress= out."


class NamespaceVerbs:
    """Look after a namespace; RemoteMemory brings the attributes below.

    Each says and does what the verb of that name of AgentMemory does.
    """

    link: Link

    def _sessions(
        self,
        state: Texts = None,
        *,
        parent: str | None = None,
        limit: int | None = None,
    ) -> Call[list[SessionState]]:
        """Return the sessions of the namespace, those that last grew first."""
        if limit is not None:
            check_whole(limit, "limit")
        params = {"state": to_states(state), "parent": parent, "limit": limit}
        read = reads(list[SessionState], "sessions")
        return self.link.call("GET", "/sessions", read, params=params)

    def _retire(
        self,
        older_than: timedelta | float | None = None,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Call[RetireReport]:
        """Remove for good the sessions that ended longer ago than `older_than`."""
        refuse_given(progress, "progress", NO_PROGRESS)
        body = given({"older_than": seconds(older_than), "dry_run": dry_run})
        return self.link.call("POST", "/retire", reads(RetireReport), body=body, slow=True)

    def _consolidate(self, *, dry_run: bool = False) -> Call[MaintenanceReport]:
        """Merge what says the same, supersede what is contradicted, promote, sum up sessions."""
        return self._maintained("consolidate", dry_run)

    def _maintain(
        self, *, dry_run: bool = False, stopped: Callable[[], bool] | None = None
    ) -> Call[MaintenanceReport]:
        """Remove what expired, consolidate, remove what there is no room for, and archive."""
        refuse_given(stopped, "stopped", "the server cannot ask it. Leave stopped= out.")
        return self._maintained("maintain", dry_run)

    def _maintenance_log(self, limit: int | None = 20) -> Call[list[MaintenanceReport]]:
        """Return what the last runs of `maintain` and `consolidate` did, newest first."""
        read = reads(list[MaintenanceReport], "reports")
        params = {"limit": MOST if limit is None else limit}
        return self.link.call("GET", "/maintenance", read, params=params)

    def _archive(
        self,
        before: datetime | timedelta | None = None,
        *,
        sessions: Texts = None,
        records: bool = True,
    ) -> Call[ArchiveReport]:
        """Compress sessions and memories that were not used since `before`."""
        check_before(before)
        when = (
            {"age": before.total_seconds()}
            if isinstance(before, timedelta)
            else {"before": time(before)}
        )
        body = given({**when, "sessions": texts(sessions), "records": records})
        return self.link.call(
            "POST", "/memories/archive", reads(ArchiveReport), body=body, slow=True
        )

    def _unarchive(self, sessions: Texts = None, *, ids: Texts = None) -> Call[UnarchiveReport]:
        """Bring back `sessions` and the memories `ids`, or everything, as it was before."""
        body = given({"sessions": texts(sessions), "ids": texts(ids)})
        return self.link.call(
            "POST", "/memories/unarchive", reads(UnarchiveReport), body=body, slow=True
        )

    def _search_archive(
        self,
        query: str,
        *,
        k: int = 10,
        kinds: Texts = None,
        tags: Texts = None,
        session: str | None = None,
        since: Time = None,
        until: Time = None,
    ) -> Call[list[Recalled]]:
        """Return the `k` best archived memories and messages that hold words of `query`."""
        body = {
            "query": query,
            "k": k,
            "kinds": texts(kinds),
            "tags": texts(tags),
            "session": session,
            "since": time(since),
            "until": time(until),
        }
        read = reads(list[Recalled], "found")
        return self.link.call(
            "POST", "/memories/search-archive", read, body=given(body), writes=False, slow=True
        )

    def _verify_erased(self, receipt: EraseReceipt | Mapping[str, Any]) -> Call[ErasureReport]:
        """Say whether anything of what `receipt` (or its `to_dict`) lists has come back."""
        told = receipt.to_dict() if isinstance(receipt, EraseReceipt) else dict(receipt)
        return self.link.call(
            "POST", "/erase/verify", reads(ErasureReport), body={"receipt": told}, writes=False
        )

    def _erase(self) -> Call[EraseReceipt]:
        """Remove everything of the namespace, all sessions included, and return a receipt."""
        body = {"confirm": namespace_key(self.link.scope.namespace)}
        return self.link.call("POST", "/erase", reads(EraseReceipt), body=body, slow=True)

    def _reindex(
        self, embedder: str | Embedder | None = None, progress: Progress | None = None
    ) -> Call[int]:
        """Make the namespace's vectors anew by the embedder of that name; return how many."""
        refuse_given(progress, "progress", NO_PROGRESS)
        if not isinstance(embedder, str):
            refuse_given(
                embedder, "embedder object", "name one that the server has, as 'wordllama'."
            )
        body = given({"embedder": embedder})
        return self.link.call("POST", "/memories/reindex", reads(int, "made"), body=body, slow=True)

    def _stats(self) -> Call[MemoryStats]:
        """Return counts for this session and namespace."""
        params = {"session": self.link.scope.session}
        return self.link.call("GET", "/stats", reads(MemoryStats), params=params)

    def _check(self) -> Call[CheckReport]:
        """Examine the whole store; the report's `ok` says whether it is sound."""
        return self.link.call("GET", "/check", reads(CheckReport), slow=True)

    sessions, asessions = twins(_sessions)
    retire, aretire = twins(_retire)
    consolidate, aconsolidate = twins(_consolidate)
    maintain, amaintain = twins(_maintain)
    maintenance_log, amaintenance_log = twins(_maintenance_log)
    archive, aarchive = twins(_archive)
    unarchive, aunarchive = twins(_unarchive)
    search_archive, asearch_archive = twins(_search_archive)
    verify_erased, averify_erased = twins(_verify_erased)
    erase, aerase = twins(_erase)
    reindex, areindex = twins(_reindex)
    stats, astats = twins(_stats)
    check, acheck = twins(_check)

    # -- inside --------------------------------------------------------------------------

    def _maintained(self, verb: str, dry_run: bool) -> Call[MaintenanceReport]:
        body = {"dry_run": dry_run}
        read = reads(MaintenanceReport)
        return self.link.call("POST", f"/memories/{verb}", read, body=body, slow=True)
