"""RunLog: the runs of one session, as its log tells of them. Usable from any thread."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ctxplug.errors import ConflictError
from ctxplug.messages import Message
from ctxplug.storage import Append, Backend, Entry, Stream
from ctxplug.tools.runners import is_running, this_runner
from ctxplug.tools.runs import (
    FINISHED,
    INTERRUPTED,
    OUTPUT,
    STARTED,
    End,
    Start,
    ToolRun,
    end_appends,
    message_of,
    start_append,
    to_run,
)

ATTEMPTS = 1_000
SOUND = 0.5  # seconds for which a log that has not grown is not looked at again
PAGE = 1_024


@dataclass(slots=True)
class Known:
    """What the log says of a call id; versions are those of its entries."""

    run: str
    digest: str
    started: int | None
    finished: tuple[int, int] | None  # and its place in the entry
    start: Start | None = None  # while it has not ended
    runner: Any = None
    until: datetime | None = None

    def is_dead(self) -> bool:
        """Say whether it has no end, and will come to none."""
        if self.finished is not None or self.until is None:
            return False
        return not is_running(self.run, self.runner or {}, self.until)


class RunLog:
    """What is recorded of tool calls in the log of `stream`."""

    def __init__(self, backend: Backend, stream: Stream, agent: str | None) -> None:
        self.stream = stream
        self._backend = backend
        self._agent = agent
        self._lock = threading.Lock()
        self._forget()

    def known(self, calls: Iterable[str]) -> dict[str, Known]:
        """Return what is known of those of `calls` that were ever begun here."""
        with self._lock:
            self._refresh()
            return {call: replace(self._calls[call]) for call in calls if call in self._calls}

    def begin(self, starts: Sequence[Start], ends: Sequence[End], until: datetime) -> set[str]:
        """Record calls that are about to run, until then, and `ends` of such as are not let run.

        One atomic write, with which runs that a crash interrupted get their end. Returns the
        ids of runs that were recorded; of another call of the same id there is one already.
        """
        with self._lock:
            for attempt in range(ATTEMPTS):
                head = self._refresh()
                dead = [_interrupted(one) for one in self._open.values() if one.is_dead()]
                new = [start for start in starts if start.call not in self._calls]
                refused = [end for end in ends if end.start.call not in self._calls]
                ops = end_appends([*dead, *refused], self.stream, self._agent)
                if new:
                    ops.append(start_append(new, self.stream, self._agent, this_runner(), until))
                if self._written(ops, head):
                    return {start.run for start in new} | {end.start.run for end in refused}
                time.sleep(random.random() * min(attempt + 1, 20) / 1_000)
        raise ConflictError("The session is written to without a pause.", expected=0, found=0)

    def recover(self) -> list[str]:
        """Give an end to every run that a crash interrupted; return their call ids."""
        with self._lock:
            self._refresh()
            dead = [one.start.call for one in self._open.values() if one.start and one.is_dead()]
        if dead:
            self.begin((), (), datetime.now(UTC))
        return dead

    def note(self, end: End) -> ToolRun:
        """Record a call that did not run because its id is another's; the other stays found."""
        ops = end_appends([end], self.stream, self._agent)
        return self._made([end], ops[-1], self._backend.write(*ops)[-1])[0]

    def started(self, run: Start) -> int | None:
        """Return the version of the start of a run."""
        known = self._calls.get(run.call)
        return known.started if known and known.run == run.run else None

    def finish(self, ends: Sequence[End]) -> list[ToolRun | None]:
        """Record ends in one atomic write; return their runs, None where another end was first."""
        ops = end_appends(ends, self.stream, self._agent)
        versions = self._backend.write(*ops)
        with self._lock:
            self._take_in(ops, versions)
            known = [self._calls.get(end.start.call) for end in ends]
        made = self._made(ends, ops[-1], versions[-1])
        return [
            run if one is None or one.finished in (None, (versions[-1], place)) else None
            for place, (run, one) in enumerate(zip(made, known, strict=True))
        ]

    def read(self, call: str) -> ToolRun | None:
        """Return the run of a call id that has ended, with its whole message."""
        known = self.known([call]).get(call)
        if known is None or known.finished is None:
            return None
        version, place = known.finished
        (entry,) = self._at(version)
        (run,) = self._runs([(entry, place)])
        body = entry.body["ends"][place]
        if "output" not in body:
            return replace(run, message=message_of(body, entry.created_at))
        (output,) = self._at(version - body["output"])
        return replace(run, message=Message.from_dict(output.body["message"]))

    def history(self, *, limit: int | None, tool: str | None) -> list[ToolRun]:
        """Return the runs that have ended, the newest first."""
        found: list[tuple[Entry, int]] = []
        before = None
        while limit is None or len(found) < limit:
            page = self._backend.read(
                self.stream, kinds=[FINISHED], newest_first=True, before=before, limit=PAGE
            )
            found += [
                (entry, place)
                for entry in page
                for place in reversed(range(len(entry.body["ends"])))
                if tool is None or entry.body["ends"][place]["tool"] == tool
            ]
            if len(page) < PAGE:
                break
            before = page[-1].version
        return self._runs(found[:limit])

    # -- inside --------------------------------------------------------------------------

    def _forget(self) -> None:
        self._calls: dict[str, Known] = {}
        self._open: dict[str, Known] = {}  # of those that have no end
        self._seen = 0
        self._sound_until = 0.0
        self._last: tuple[int, str] | None = None  # of the entries seen: its version and run

    def _refresh(self) -> int:
        """Take in what was added to the log since, and return its newest version."""
        head = self._backend.head(self.stream)
        if head == self._seen and time.monotonic() < self._sound_until:
            return head
        self._sound_until = time.monotonic() + SOUND
        if self._last is not None:
            last = self._at(self._last[0])
            if not last or _key(last[0].body) != self._last[1]:
                self._forget()  # it was erased, and begun anew
        if head < self._seen:
            self._forget()
        while self._seen < head:
            entries = self._backend.read(
                self.stream,
                after=self._seen,
                before=head + 1,
                kinds=[STARTED, FINISHED],
                limit=PAGE,
            )
            for entry in entries:
                self._fold(entry.version, entry.kind, entry.body, entry.created_at)
            self._seen = entries[-1].version if len(entries) == PAGE else head
        return head

    def _take_in(self, ops: Sequence[Append], versions: Sequence[int]) -> None:
        """Take in what was just written; what others wrote before it is read."""
        if not versions:
            return
        if versions[0] != self._seen + 1:
            self._refresh()
            return
        for op, version in zip(ops, versions, strict=True):
            if op.kind != OUTPUT:
                self._fold(version, op.kind, op.body, op.created_at)
        self._seen = versions[-1]

    def _fold(self, version: int, kind: str, body: Any, at: datetime) -> None:
        self._last = version, _key(body)
        if kind == STARTED:
            until = datetime.fromisoformat(body["until"])
            for run in body["runs"]:
                if run["call"] not in self._calls:
                    known = Known(run["run"], run["digest"], version, None, _start(run, at))
                    known.runner, known.until = body["runner"], until
                    self._calls[run["call"]] = self._open[run["run"]] = known
            return
        for place, end in enumerate(body["ends"]):
            fresh = Known(end["run"], end.get("digest", ""), None, (version, place))
            known = self._calls.setdefault(end["call"], fresh)
            if known.run == end["run"] and known.finished is None:
                known.finished = version, place
                known.start = known.runner = known.until = None
                self._open.pop(end["run"], None)

    def _written(self, ops: Sequence[Append], head: int) -> bool:
        """Write `ops` unless somebody wrote meanwhile; say whether that is done."""
        if not ops:
            return True
        try:
            versions = self._backend.write(replace(ops[0], expected=head), *ops[1:])
        except ConflictError:
            return False
        self._take_in(ops, versions)
        return True

    def _made(self, ends: Sequence[End], last: Append, version: int) -> list[ToolRun]:
        """Return the runs whose ends were just written."""
        entry = Entry(self.stream, version, FINISHED, last.body, last.created_at, self._agent)
        return [
            to_run(
                entry,
                place,
                end.start.arguments,
                end.output or message_of(last.body["ends"][place], last.created_at),
                end.failure,
            )
            for place, end in enumerate(ends)
        ]

    def _at(self, version: int) -> list[Entry]:
        return self._backend.read(self.stream, after=version - 1, before=version + 1)

    def _runs(self, found: Sequence[tuple[Entry, int]]) -> list[ToolRun]:
        """Return the runs at places of entries, with the arguments that stand at their starts."""
        bodies = [entry.body["ends"][place] for entry, place in found]
        wanted = {body["started"] for body in bodies if "started" in body}
        starts: dict[str, Any] = {}
        if wanted:
            entries = self._backend.read(
                self.stream, after=min(wanted) - 1, before=max(wanted) + 1, kinds=[STARTED]
            )
            starts = {run["run"]: run["arguments"] for e in entries for run in e.body["runs"]}
        return [
            to_run(entry, place, body.get("arguments") or starts.get(body["run"], {}))
            for (entry, place), body in zip(found, bodies, strict=True)
        ]


def _interrupted(known: Known) -> End:
    assert known.start is not None
    return End(
        known.start,
        "interrupted",
        datetime.now(UTC),
        error=INTERRUPTED,
        attempts=1,
        started=known.started,
    )


def _start(body: Any, at: datetime) -> Start:
    return Start(body["run"], body["call"], body["tool"], body["version"], body["arguments"], at)


def _key(body: Any) -> str:
    """Return what tells one entry from another of its version."""
    runs = body.get("runs") or body.get("ends") or [body]
    return str(runs[0].get("run"))
