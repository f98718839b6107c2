"""UsageStream: where a ledger's entries are read and appended, one writer at a time.

Every append is on the condition that nobody else wrote since the totals were read; if
somebody did, the totals are read anew and the entry is decided anew. Totals are kept, so a
call reads what others wrote since; a checkpoint every 64 entries lets a fresh process
begin there.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, TypeAlias

from ctxplug.errors import ConflictError
from ctxplug.scope import Scope, new_id
from ctxplug.storage import Append, Backend, Entry, Stream
from ctxplug.tokens.book import CHECKPOINT, Book, Cell

SESSION = "ctxplug:usage"  # the stream's name among the sessions of its namespace
CHECKPOINT_EVERY = 64
GAP = 4 * CHECKPOINT_EVERY  # entries of others from which on a checkpoint is the shorter way
ATTEMPTS = 1_000

Draft: TypeAlias = tuple[str, dict[str, Any]]  # an entry's kind and body
Build: TypeAlias = Callable[[Book], Sequence[Draft]]


class UsageStream:
    """The usage entries of one namespace and what they add up to. Usable from any thread."""

    def __init__(self, backend: Backend, scope: Scope) -> None:
        self.key = Stream(scope.namespace, SESSION)
        self._backend = backend
        self._agent = scope.agent
        self._lock = threading.Lock()
        self._book = Book()

    def book(self) -> Book:
        """Return the totals with all entries in them; not to be changed."""
        with self._lock:
            self._book = self._refreshed()
            return self._book

    def append(self, build: Build, follow: Build, now: datetime) -> list[Draft]:
        """Append what `build` makes of the totals and `follow` of the totals after that.

        One atomic write, repeated with fresh totals when another writer was first; what
        `build` raises ends it. Returns what was appended.
        """
        for attempt in range(ATTEMPTS):
            with self._lock:
                self._book = self._refreshed()
                drafts, after = _decided(self._book, build, follow, now)
                if not drafts:
                    return drafts
                try:
                    self._backend.write(*self._appends(self._book.version, drafts, now))
                except ConflictError:
                    if attempt + 1 == ATTEMPTS:
                        raise
                else:
                    self._book = after
                    return drafts
            time.sleep(random.random() * min(attempt + 1, 20) / 2_000)
        raise AssertionError("the last attempt returns or raises")

    def pages(self, head: int, since: date) -> Iterator[Cell]:
        """Yield what the checkpoints up to version `head` add up, from day `since` on."""
        before = head + 1
        while entries := self._backend.read(
            self.key, kinds=[CHECKPOINT], newest_first=True, before=before, limit=16
        ):
            for entry in entries:
                if entry.created_at.date() < since:
                    return
                yield from (Cell.from_row(row) for row in entry.body["page"])
            before = entries[-1].version

    def _appends(self, head: int, drafts: Sequence[Draft], now: datetime) -> Iterator[Append]:
        for n, (kind, body) in enumerate(drafts):
            yield Append(
                stream=self.key,
                kind=kind,
                body=body,
                created_at=now,
                agent=self._agent,
                expected=head + n,
            )

    def _refreshed(self) -> Book:
        """Return the totals up to date: from what is new, or from the last checkpoint on."""
        book = self._book
        # The last known entry is read again: if it is not there, the namespace was erased.
        entries = self._backend.read(self.key, after=max(0, book.version - 1), limit=GAP)
        if not entries and book.version == 0:
            return book
        known = bool(entries) and entries[0].body["id"] == book.last
        if not known or len(entries) == GAP:
            return self._reopened()
        return _entered(book.copy(), entries[1:]) if len(entries) > 1 else book

    def _reopened(self) -> Book:
        newest = self._backend.read(self.key, kinds=[CHECKPOINT], newest_first=True, limit=1)
        book = _entered(Book(), newest)
        while entries := self._backend.read(self.key, after=book.version, limit=GAP):
            book = _entered(book, entries)
        return book


def _decided(book: Book, build: Build, follow: Build, now: datetime) -> tuple[list[Draft], Book]:
    """Return the entries to append, ids and checkpoint included, and the totals after them."""
    after = book.copy()
    drafts: list[Draft] = []

    def enter(more: Sequence[Draft]) -> None:
        for kind, body in more:
            drafts.append((kind, {"id": new_id(), **body}))
            after.apply(after.version + 1, *drafts[-1])

    enter(build(book))
    if drafts:
        enter(follow(after))
    if drafts and after.since >= CHECKPOINT_EVERY:
        enter([(CHECKPOINT, after.checkpoint(now))])
    return drafts, after


def _entered(book: Book, entries: Sequence[Entry]) -> Book:
    for entry in entries:
        book.apply(entry.version, entry.kind, entry.body)
    return book
