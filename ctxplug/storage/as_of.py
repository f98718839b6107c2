"""AsOf: a log as it stood at one of its versions, for a reader that knows nothing of later ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ctxplug.storage.backend import Entry, Stream


class LogReader(Protocol):
    """What reads a log: a backend, or AsOf."""

    def read(
        self,
        stream: Stream,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        kinds: Sequence[str] | None = None,
        pinned: bool | None = None,
    ) -> list[Entry]:
        """Return entries with `after` < version < `before`."""

    def head(self, stream: Stream) -> int:
        """Return the newest version of `stream`."""


class AsOf:
    """The log of `stream` up to version `head`, and of what follows only the entry `base`.

    A compaction is written behind messages that others added while it was made, and that it
    does not know: it is `base` then.
    """

    def __init__(self, backend: LogReader, head: int, base: int = 0) -> None:
        self._backend = backend
        self._head = head
        self._base = base if base > head else 0

    def head(self, stream: Stream) -> int:
        """Return the version up to which the log is read without a gap."""
        return min(self._head, self._backend.head(stream))

    def read(
        self,
        stream: Stream,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        kinds: Sequence[str] | None = None,
        pinned: bool | None = None,
    ) -> list[Entry]:
        """Return entries with `after` < version < `before`, as a backend does."""
        base = []
        if self._base > after and (before is None or self._base < before):
            base = self._backend.read(
                stream, after=self._base - 1, before=self._base + 1, kinds=kinds, pinned=pinned
            )
        end = self._head + 1 if before is None else min(before, self._head + 1)
        entries = self._backend.read(
            stream,
            after=after,
            before=end,
            limit=limit,
            newest_first=newest_first,
            kinds=kinds,
            pinned=pinned,
        )
        found = [*base, *entries] if newest_first else [*entries, *base]
        return found[:limit]
