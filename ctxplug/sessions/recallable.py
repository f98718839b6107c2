"""What recall finds of a session when its view changes.

A message that an edit puts out of view is taken out of recall, and one that a restore brings
back into view is put there again, unless it was forgotten by itself. So every edit says which
messages it took out. Those of a session that this one was forked from are left alone: that
session goes on without regard to what its forks see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ctxplug.messages import Message
from ctxplug.sessions.log import MESSAGE
from ctxplug.storage import Backend, Delete, Op, Put, Stream, Unarchive, Where
from ctxplug.storage.backend import entry_record
from ctxplug.storage.kept import KEPT, Kept, Run, from_runs, to_runs, without


@dataclass(frozen=True, slots=True)
class RecallChange:
    """The operations that go with an edit, and the versions that they take out or put back."""

    ops: tuple[Op, ...] = ()
    out: tuple[Run, ...] = ()
    back: tuple[Run, ...] = ()

    def to_dict(self) -> dict[str, list[list[int]]]:
        """Return what the entry of the edit says of it."""
        said = {"unlisted": [list(run) for run in self.out]}
        return said | ({"listed": [list(run) for run in self.back]} if self.back else {})


def recall_change(
    backend: Backend, stream: Stream, before: Sequence[Run], after: Sequence[Run]
) -> RecallChange:
    """Return what becomes of recall when of `stream` no longer `before` is in view but `after`."""
    leaving, coming = without(before, after), without(after, before)
    if not leaving and not coming:
        return RecallChange()
    own = _own(backend, stream)
    leaving, coming = _both(leaving, own), _both(coming, own)
    if coming:
        coming = _both(coming, _taken_out(backend, stream))
    found = _found(backend, stream, [*from_runs(leaving), *from_runs(coming)])
    out = to_runs([version for version in from_runs(leaving) if version in found])
    puts = [put for run in coming for put in _puts(backend, stream, run, found)]
    ops: list[Op] = [Delete(stream.namespace, _id(stream, version)) for version in from_runs(out)]
    if puts and _is_archived(backend, stream, puts[0][0]):  # what is in use again belongs here
        ops.append(Unarchive(stream.namespace, stream.session))
    ops += [put for _, put in puts]
    back = to_runs([version for version, _ in puts])
    return RecallChange(tuple(ops), tuple(out), tuple(back))


def _own(backend: Backend, stream: Stream) -> list[Run]:
    """Return the versions of what was said in `stream` itself, and not before it was forked."""
    *past, (_, head) = [("", 0), *backend.lineage(stream)]
    first = past[-1][1] + 1
    return [(first, head)] if first <= head else []


def _found(backend: Backend, stream: Stream, versions: Iterable[int]) -> set[int]:
    """Return which of `versions` a search finds, here or in the archive."""
    ids = {_id(stream, version): version for version in versions}
    if not ids:
        return set()
    where = Where(stream.namespace, ids=list(ids))
    found = {ids[one.id] for one in backend.glance(where)}
    if "archive" in backend.capabilities:
        found |= {ids[one.record.id] for one in backend.archived(where)}
    return found


def _is_archived(backend: Backend, stream: Stream, version: int) -> bool:
    """Say whether the entry of `version` is in the archive."""
    infos = backend.sessions(stream.namespace)
    return any(info.session == stream.session and version <= info.archived for info in infos)


def _puts(backend: Backend, stream: Stream, run: Run, found: set[int]) -> Iterable[tuple[int, Put]]:
    """Yield what puts the messages of a run back into recall, but those that are found."""
    from ctxplug.recall.indexing import index_form  # at first use: it compiles much

    for entry in backend.read(stream, after=run[0] - 1, before=run[1] + 1, kinds=[MESSAGE]):
        if entry.version not in found:
            message = Message.from_dict(entry.body["message"])
            form = index_form(message.text, message.name)
            yield entry.version, Put(entry_record(entry), *form, version=entry.version)


def _taken_out(backend: Backend, stream: Stream) -> list[Run]:
    """Return the versions that edits took out of recall, and did not put back."""
    out: list[Run] = []
    kept = Kept()
    for entry in backend.read(stream, kinds=[KEPT], pinned=True):
        body, last = entry.body, kept
        kept = Kept.of(entry)
        gone = body.get("unlisted")
        if gone is None:  # an edit of before they said so: whatever left the view was taken out
            gone = without(last.up_to(entry.version - 1), kept.runs)
        out = _all(without(out, body.get("listed", [])), gone)
    return out


def _both(runs: Sequence[Run], others: Sequence[Run]) -> list[Run]:
    """Return what is in `runs` and in `others`."""
    return without(runs, without(runs, others))


def _all(runs: Sequence[Run], others: Sequence[Run]) -> list[Run]:
    """Return what is in `runs` or in `others`."""
    joined: list[Run] = []
    for first, last in sorted((run[0], run[1]) for run in (*runs, *others)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def _id(stream: Stream, version: int) -> str:
    return f"{stream.session}@{version}"
