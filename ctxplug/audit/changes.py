"""What a write changes, as an audit tells of it: read off its operations, so nothing gets past.

One write is one entry, whoever made it: a verb of AgentMemory, a tool, an adapter, a plugin.
Its main verb comes first; what else was done with it stands in `data["also"]`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ctxplug.audit.entry import STREAM
from ctxplug.errors import InvalidValueError
from ctxplug.records import MemoryRecord
from ctxplug.scope import RESERVED, Namespace
from ctxplug.storage import (
    Append,
    ArchiveLog,
    ArchiveRecords,
    Delete,
    Expect,
    Fork,
    Op,
    Put,
    Stream,
    Unarchive,
)
from ctxplug.storage.kept import KEPT

MOST_IDS = 500  # that one entry names; it counts the others
# ctxplug's own logs that tell nothing of what was done to a memory.
_QUIET = (STREAM, *(f"{RESERVED}{name}" for name in ("usage", "calibration", "trace:")))
_MAINTENANCE, _ACCESS = f"{RESERVED}maintenance", f"{RESERVED}access"
_FIELDS = (
    "content",
    "kind",
    "tier",
    "importance",
    "tags",
    "metadata",
    "expires_at",
    "valid_from",
    "valid_to",
)
# Which of several verbs of one write is the main one.
_ORDER = (
    "consolidate",
    "maintain",
    "restore",
    "keep",
    "fork",
    "import",
    "remember",
    "capture",
    "supersede",
    "update",
    "promote",
    "forget",
    "archive",
    "unarchive",
)
_OTHERS = "add erase erase_session snapshot write tool.refused grant deny revoke chain alert"
_READS = (
    "read recall context messages original expand memories search_archive trace.window trace.replay"
)
VERBS = frozenset((*_ORDER, *_OTHERS.split(), *_READS.split()))
_STEPS = ("steps", "parts", "tool.started", "tool.output", "compaction")  # that change nothing
_COMMON = ("message", *_STEPS)
_OF_ACCESS = {"rule": "grant", "revoked": "revoke"}


def is_own(verb: str) -> bool:
    """Say whether ctxplug itself enters `verb`, so that nobody else may."""
    return verb in VERBS or verb.startswith("session.")


@dataclass(slots=True)
class Draft:
    """What an entry is going to tell."""

    what: str
    namespace: Namespace
    session: str | None = None
    ids: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    records: list[MemoryRecord] = field(default_factory=list)  # which say how sensitive it is


_Told: TypeAlias = tuple[str, Namespace, str | None, Iterable[str], dict[str, Any]]


def drafts_of(ops: Sequence[Op], everything: bool = False) -> list[Draft]:
    """Return what `ops` do, a draft for each namespace; adds only with `everything`."""
    found: dict[Namespace, list[Draft]] = {}
    skipped = _STEPS if everything else _COMMON  # that most writes are made of
    before: dict[str, MemoryRecord | None] | None = None
    for op in ops:
        if type(op) is Append and op.kind in skipped and not _is_ours(op.stream):
            continue
        if isinstance(op, Put):
            if before is None:
                before = {one.id: one.record for one in ops if isinstance(one, Expect)}
            drafts: Iterable[Draft] = (_put(op, before),)
        elif read := _READ.get(type(op)):
            drafts = [_draft(*told) for told in read(op) if everything or told[0] != "add"]
        else:
            continue
        for draft in drafts:
            if not everything and any(name.startswith(RESERVED) for name in draft.namespace):
                continue  # what an adapter keeps behind a label of its own, such as a store's items
            found.setdefault(draft.namespace, []).append(draft)
    return [_merged(drafts) for drafts in found.values()]


def _merged(drafts: list[Draft]) -> Draft:
    """Make one draft of all that one write does to a namespace."""
    main = min(drafts, key=lambda one: _ORDER.index(one.what) if one.what in _ORDER else 99)
    if len(drafts) == 1:
        return main
    by_verb: dict[str, list[Draft]] = {}
    for draft in drafts:
        by_verb.setdefault(draft.what, []).append(draft)
    whole = Draft(main.what, main.namespace, main.session)
    for draft in by_verb.pop(main.what):
        whole.ids += draft.ids
        whole.data |= draft.data
        whole.records += draft.records
    told = main.what in ("maintain", "consolidate")  # of which the changes name all ids
    also = {} if told else {verb: [i for d in ds for i in d.ids] for verb, ds in by_verb.items()}
    whole.ids += [id for ids in also.values() for id in ids]
    whole.records += [record for ds in by_verb.values() for d in ds for record in d.records]
    if also:
        whole.data["also"] = {verb: ids[:MOST_IDS] for verb, ids in also.items()}
    return whole


def limited(draft: Draft) -> tuple[list[str], dict[str, Any]]:
    """Return the ids that an entry names, each once, and its data, which counts them if many."""
    ids = draft.ids if len(draft.ids) == 1 else [*dict.fromkeys(draft.ids)]
    if len(ids) <= MOST_IDS:
        return ids, draft.data
    return ids[:MOST_IDS], {**draft.data, "ids": len(ids)}


def _draft(
    what: str, namespace: Namespace, session: str | None, ids: Iterable[str], data: dict[str, Any]
) -> Draft:
    return Draft(what, namespace, session, list(ids), data)


def _put(op: Put, before: Mapping[str, MemoryRecord | None]) -> Draft:
    new = op.record
    old = before.get(new.id)
    data: dict[str, Any] = {}
    if old is None:
        made_by = new.made_by.partition(":")[0]
        what = made_by if made_by in ("import", "capture") else "remember"
    else:
        changed = [name for name in _FIELDS if getattr(old, name) != getattr(new, name)]
        if "valid_to" in changed:
            what = "supersede"
        elif "tier" in changed and set(changed) <= {"tier", "expires_at"}:
            what, data = "promote", {"tier": new.tier}
        else:
            what, data = "update", {"changed": changed}
    return Draft(what, new.namespace, None, [new.id], data, [new])


def _is_ours(stream: Stream) -> bool:
    """Say whether a stream is an audit log, or a chain."""
    return stream.session == STREAM or stream.namespace[0] == STREAM


def _append(op: Append) -> Iterator[_Told]:
    namespace, session, kind = op.stream.namespace, op.stream.session, op.kind
    if _is_ours(op.stream):
        raise InvalidValueError(
            "The audit log is written by ctxplug alone; memory.audit.note(...) enters something"
            " in it.",
            path="stream",
        )
    if kind == "message":
        yield "add", namespace, session, [op.body["message"]["id"]], {}
    elif session.startswith(RESERVED):
        yield from _reserved(op)
    elif kind == KEPT:
        restored = op.body.get("restored")
        data = {} if restored is None else {"version": restored}
        yield "keep" if restored is None else "restore", namespace, session, [session], data
    elif kind == "snapshot":
        yield "snapshot", namespace, session, [session], {"name": op.body.get("name")}
    elif kind == "session":
        event = op.body.get("event") or op.body.get("state") or "changed"
        yield f"session.{event}", namespace, session, [session], {}
    elif kind == "tool.finished":
        yield from _refused(op)


def _reserved(op: Append) -> Iterator[_Told]:
    namespace, session = op.stream.namespace, op.stream.session
    if session.startswith(_QUIET):
        return
    if session == _MAINTENANCE:
        changes = op.body.get("changes")
        if op.kind == "changes" and changes:
            ids = [id for _, id, _ in changes]
            data = {"changes": dict(Counter(what for what, _, _ in changes))}
            yield op.body["verb"], namespace, None, ids, data
    elif session == _ACCESS:
        ids = op.body.get("ids") or [op.body.get("id")]
        told = {name: op.body[name] for name in ("action", "agent") if name in op.body}
        what = "deny" if told.get("action") == "deny" else _OF_ACCESS.get(op.kind, op.kind)
        yield what, namespace, None, filter(None, ids), told
    else:  # a log of an adapter or a plugin
        yield "write", namespace, None, (), {"log": session, "kind": op.kind}


def _refused(op: Append) -> Iterator[_Told]:
    refused = [end for end in op.body["ends"] if end["outcome"] == "refused"]
    if refused:
        tools = list(dict.fromkeys(end["tool"] for end in refused))
        ids = [end["call"] for end in refused]
        yield "tool.refused", op.stream.namespace, op.stream.session, ids, {"tools": tools}


def _delete(op: Delete) -> Iterator[_Told]:
    yield "forget", op.namespace, None, [op.id], {}


def _archive_log(op: ArchiveLog) -> Iterator[_Told]:
    session = op.stream.session
    yield "archive", op.stream.namespace, session, [session], {"through": op.through}


def _archive_records(op: ArchiveRecords) -> Iterator[_Told]:
    yield "archive", op.namespace, None, [record.id for record in op.records], {}


def _unarchive(op: Unarchive) -> Iterator[_Told]:
    ids = [op.session] if op.session is not None else op.ids or ()
    yield "unarchive", op.namespace, op.session, ids, {}


def _fork(op: Fork) -> Iterator[_Told]:
    namespace, session = op.stream.namespace, op.stream.session
    yield "fork", namespace, session, [session, op.parent], {"parent": op.parent, "at": op.upto}


_READ: Mapping[type, Callable[[Any], Iterator[_Told]]] = {
    Append: _append,
    Delete: _delete,
    ArchiveLog: _archive_log,
    ArchiveRecords: _archive_records,
    Unarchive: _unarchive,
    Fork: _fork,
}
