"""WindowState: the view of one session under one budget, kept up to date from the log.

Compactions are entries of the log, so whoever opens the session sees the same window and
reads only what came after the last one. Two writers may compact at once: a compaction
names the one it builds on, and the first that builds on it wins; the other is ignored by
every reader, its writer included. Messages behind a compaction's `upto` are not touched
by it, so none is ever lost to one. Where an edit of the conversation stands behind all of
them (`storage.kept`), the window starts anew from what it left in view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from ctxplug.compression import Unit
from ctxplug.context.backlog import backlog_end, cut_backlog
from ctxplug.context.entries import (
    BLOCKS,
    CHUNK,
    COMPACTION,
    MESSAGE,
    block_from_entry,
    block_to_entry,
    unit_from_dict,
    unit_to_dict,
    verbatim_versions,
)
from ctxplug.context.turning_points import opening, returns, turning_points
from ctxplug.context.units import skipped_unit
from ctxplug.context.view import View
from ctxplug.errors import AccessError, ReadOnlyError
from ctxplug.messages import Logged, TextPart
from ctxplug.storage import Append, Backend, Entry, Stream
from ctxplug.storage.as_of import AsOf, LogReader
from ctxplug.storage.kept import KEPT, Kept, to_runs
from ctxplug.tokens import TokenCounter

READ = (MESSAGE, COMPACTION, *BLOCKS, KEPT)  # what a window is made from; the rest may be large


class WindowState:
    """What the model sees of `stream` under `budget`; `refresh` before each use.

    `logged` turns a message entry into the message as it is sent. Not thread-safe: the
    caller holds a lock.
    """

    base: int
    head: int
    opened: bool
    last_call: datetime | None
    _raw: dict[int, Logged]  # what a reader of the log gets, where it is in use
    _seen: tuple[int, datetime] | None

    def __init__(
        self,
        backend: Backend,
        stream: Stream,
        budget: int,
        counter: TokenCounter,
        logged: Callable[[Entry], Logged],
    ) -> None:
        self.budget = budget
        self._backend = backend
        self._stream = stream
        self._counter = counter
        self._logged = logged
        self._forget()

    @classmethod
    def as_of(
        cls,
        backend: LogReader,
        stream: Stream,
        budget: int,
        counter: TokenCounter,
        logged: Callable[[Entry], Logged],
        *,
        head: int,
        base: int = 0,
    ) -> WindowState:
        """Return the state of a reader who knew the log up to `head`, and the entry `base`."""
        past: Any = AsOf(backend, head, base)  # a reader: nothing is written through it
        state = cls(past, stream, budget, counter, logged)
        while state.refresh():
            pass
        return state

    def refresh(self) -> bool:
        """Read what was added to the log since, one chunk at most; say whether there is more."""
        if not self.opened:
            self._open()
            self.opened = True
        # The last known entry is read again: if it is not the same, the log was erased.
        after = self.head if self._seen is None else self.head - 1
        entries = self._backend.read(self._stream, after=after, limit=CHUNK, kinds=READ)
        if self._seen is not None:
            if not entries or (entries[0].version, entries[0].created_at) != self._seen:
                self._forget()
                return True
            entries = entries[1:]
        for entry in entries:
            # What was compacted here gives way to what all readers see, and all to an edit.
            if entry.kind == KEPT or (self._local and self._follows(entry)):
                self._forget()
                return True
            self._fold(entry)
            self.head = entry.version
            self._seen = entry.version, entry.created_at
        return len(entries) >= CHUNK - 1

    def record(self, units: Sequence[Unit], details: Mapping[str, Any], at: datetime) -> None:
        """Write a compaction that leaves `units` of what was read, and adopt it.

        If another writer compacted first, theirs counts: this state is then no longer
        `opened`, and the next `refresh` starts from it.
        """
        body = self._body(units, details)
        append = Append(stream=self._stream, kind=COMPACTION, body=body, created_at=at, pinned=True)
        version = self._backend.write(append)[0]
        rivals = turning_points(self._backend, self._stream, after=self.base, before=version + 1)
        edited = any(entry.kind == KEPT for entry in rivals)
        first = next((entry.version for entry in rivals if self._follows(entry)), None)
        if first == version and not edited and not self._local:
            self._adopt(body)
            self.base = version
            self.last_call = at
        else:
            self._forget()

    def attach(self, version: int, block: TextPart, at: datetime) -> None:
        """Put a block behind the user message `version`, for every reader."""
        kind, body = block_to_entry(version, block)
        entry = Append(stream=self._stream, kind=kind, body=body, created_at=at)
        try:
            self._backend.write(entry)
        except (AccessError, ReadOnlyError):
            self.view.put_block(version, block, self._counter, frozen=True)
        else:
            while self.refresh():
                pass

    def adopt(self, units: Sequence[Unit], details: Mapping[str, Any]) -> None:
        """Take over `units` without writing, as where the store is read-only."""
        self._adopt(self._body(units, details))
        self._local = True

    def _forget(self) -> None:
        self.view = View()
        self.base = self.head = self.compactions = 0
        self.last_call = None
        self._kept = Kept()
        self._raw = {}
        self._seen = None
        self.opened = self._local = False  # local: compacted, not in the log, which is read-only

    def _body(self, units: Sequence[Unit], details: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of a compaction; an answer that is still to come stays out of it."""
        upto = self.head
        waiting = self.view.waiting
        if waiting is not None:
            upto = waiting - 1
            units = [unit for unit in units if unit.versions[0] < waiting]
        return {
            "budget": self.budget,
            "counter": self._counter.name,
            "base": self.base,
            **({"kept": self._kept.version} if self._kept.version else {}),
            "upto": upto,
            "units": [unit_to_dict(unit, self._raw) for unit in units],
            **details,
        }

    def _open(self) -> None:
        """Start at the last compaction under this budget or the last edit, if there is one."""
        entry = opening(self._backend, self._stream, self.budget)
        if entry is None:
            self._skip_backlog()
        elif entry.kind == KEPT:
            self._start_from(Kept.of(entry))
        else:
            self._start_at(entry)

    def _skip_backlog(self) -> None:
        """Start near the end of a long log that was filled without any window."""
        start = backlog_end(self._backend, self._stream, self.budget, self._logged)
        kept = self._read_messages(before=start, pinned=True) if start > 1 else []
        if start == 1 or any(logged.message.role != "system" for logged in kept):
            return
        self.view = View([skipped_unit(range(1, start), self._counter)], kept)
        self.head = start - 1

    def _start_from(self, kept: Kept) -> None:
        """Start from what an edit left in view."""
        self._kept = kept
        self.base = self.head = kept.version
        if kept.restored:
            self._go_back(kept)
            return
        entries = kept.entries(self._backend, self._stream, kind=MESSAGE)
        said = [self._logged(e) for e in takewhile(lambda e: e.version < kept.version, entries)]
        skipped, rest = cut_backlog(said, self.budget, self._counter)
        self.view = View(skipped)
        for logged in rest:
            self._raw[logged.version] = logged
            self.view.add(logged)

    def _go_back(self, kept: Kept) -> None:
        """Go on with the window as it was where `kept` returns to: what was sent is cached."""
        first, *later = returns(self._backend, self._stream, self.budget, kept)
        reading = self._backend, self._stream, self.budget, self._counter, self._logged
        past = self.as_of(*reading, head=first.restored)
        for one in later:
            log: Any = AsOf(self._backend, one.restored)
            past._backend, past._kept, past._seen = log, first, None
            past.base = past.head = first.version
            while past.refresh():
                pass
            first = one
        self.view, self._raw = past.view, past._raw
        self.compactions, self.last_call = past.compactions, past.last_call

    def _follows(self, entry: Entry) -> bool:
        """Say whether `entry` is a compaction under this budget that builds on the last."""
        if entry.kind != COMPACTION or entry.body.get("budget") != self.budget:
            return False
        return bool(entry.body["base"] == self.base)

    def _start_at(self, entry: Entry) -> None:
        upto, edit = entry.body["upto"], entry.body.get("kept", 0)
        if edit:
            (kept,) = self._backend.read(self._stream, after=edit - 1, before=edit + 1)
            self._kept = Kept.of(kept)
        system = self._read_messages(before=upto + 1, pinned=True)
        self._raw = {
            logged.version: logged
            for first, last in to_runs(verbatim_versions(entry.body["units"]))
            for logged in self._read_messages(after=first - 1, before=last + 1)
        }
        self.view = View(
            self._units(entry.body),
            [logged for logged in system if logged.message.role == "system"],
        )
        self.base = entry.version
        self.compactions = entry.body.get("number", 1)
        self.last_call = entry.created_at
        self.head = upto

    def _read_messages(self, **where: Any) -> list[Logged]:
        entries = self._backend.read(self._stream, kinds=[MESSAGE], **where)
        return [self._logged(entry) for entry in entries if self._kept.holds(entry.version)]

    def _fold(self, entry: Entry) -> None:
        """Apply one entry; entries of other kinds mean nothing to a window."""
        if entry.kind == MESSAGE:
            logged = self._raw[entry.version] = self._logged(entry)
            self.view.add(logged)
            if logged.message.role != "assistant":
                return
        elif self._follows(entry):
            self._adopt(entry.body)
            self.base = entry.version
        elif entry.kind in BLOCKS:
            block = block_from_entry(entry.kind, entry.body)
            # A compaction that stands behind this entry has decided without it.
            frozen = entry.version > self.base
            self.view.put_block(entry.body["version"], block, self._counter, frozen=frozen)
        else:
            return
        self.last_call = entry.created_at  # the model was called, or was about to be

    def _adopt(self, body: Mapping[str, Any]) -> None:
        later = [logged for logged in self.view.recent if logged.version > body["upto"]]
        self.view = View(self._units(body), self.view.system)
        for logged in later:
            self.view.add(logged)
        used = {*verbatim_versions(body["units"]), *(logged.version for logged in later)}
        self._raw = {version: logged for version, logged in self._raw.items() if version in used}
        self.compactions = body.get("number", 1)

    def _units(self, body: Mapping[str, Any]) -> list[Unit]:
        """Rebuild the units of a compaction, recounted if another counter made it."""
        recount = None if body.get("counter") == self._counter.name else self._counter
        return [unit_from_dict(unit, self._raw, recount) for unit in body["units"]]
