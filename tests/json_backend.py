"""A backend from the law alone, as somebody else might write it: one JSON file per namespace.

It declares nothing but "durable", and shares no code with those of ctxplug.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from ctxplug import codec
from ctxplug.errors import ClosedError, ConflictError, UnsupportedError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import (
    Append,
    ArchiveLog,
    ArchiveRecords,
    Backend,
    CheckReport,
    Delete,
    Embed,
    Entry,
    EraseReceipt,
    Expect,
    Fork,
    Op,
    Put,
    SessionInfo,
    Stream,
    Touch,
    Unarchive,
    Unembed,
    Where,
    entry_record,
    is_listed,
    matches,
    receipt_of,
)
from ctxplug.times import to_datetime

Space: TypeAlias = dict[str, Any]  # the "namespace", its "logs" and its "records"
NEEDS: dict[type, str] = {
    **dict.fromkeys((Embed, Unembed), "vector"),
    **dict.fromkeys((ArchiveLog, ArchiveRecords, Unarchive), "archive"),
    Fork: "fork",
}


class JsonBackend(Backend):
    """One file per namespace, which every write replaces: for a few hundred records."""

    capabilities = frozenset({"durable"})

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, *ops: Op) -> list[int]:
        for op in ops:
            if type(op) in NEEDS:
                raise UnsupportedError("JSON files do not.", capability=NEEDS[type(op)])
        with self._lock:
            self._refuse_closed()
            for op in ops:
                if isinstance(op, Expect):
                    _require(self.get(op.namespace, op.id), op)
            spaces: dict[Namespace, Space] = {}

            def space(namespace: Namespace) -> Space:
                if namespace not in spaces:
                    spaces[namespace] = self._load(namespace)
                return spaces[namespace]

            done = [_apply(op, space) for op in ops]
            self._save(list(spaces.values()))
            return done

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
        found = [
            entry
            for entry in _entries(stream, self._load(stream.namespace))
            if entry.version > after
            and (before is None or entry.version < before)
            and (kinds is None or entry.kind in kinds)
            and (pinned is None or entry.pinned == pinned)
        ]
        found = found[::-1] if newest_first else found
        return found[: None if limit is None else max(0, limit)]

    def head(self, stream: Stream) -> int:
        return len(self._load(stream.namespace)["logs"].get(stream.session, ()))

    def sessions(self, namespace: Namespace) -> list[SessionInfo]:
        space = self._load(namespace)
        logs = {name: _entries(Stream(namespace, name), space) for name in space["logs"]}
        return [
            SessionInfo(name, len(log), log[0].created_at, max(e.created_at for e in log))
            for name, log in logs.items()
        ]

    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        held = [tuple(space["namespace"]) for space in self._all()]
        return sorted(namespace for namespace in held if is_listed(namespace, prefix))

    def get(self, namespace: Namespace, id: str) -> MemoryRecord | None:
        row = self._load(namespace)["records"].get(id)
        return MemoryRecord.from_dict(row["record"]) if row else None

    def find(
        self, where: Where, *, limit: int | None = None, offset: int = 0
    ) -> list[MemoryRecord]:
        rows = self._load(where.namespace)["records"].values()
        records = [MemoryRecord.from_dict(row["record"]) for row in rows]
        found = [record for record in records if matches(record, where)]
        found.sort(key=lambda record: (record.created_at, record.id), reverse=True)
        return found[max(0, offset) :][: None if limit is None else max(0, limit)]

    def count(self, where: Where) -> int:
        return len(self.find(where))

    def erase(self, namespace: Namespace) -> EraseReceipt:
        with self._lock:
            space = self._load(namespace)
            receipt = _receipt(namespace, space, list(space["logs"]), list(space["records"]))
            self._save([{**space, "logs": {}, "records": {}}])
        return receipt

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        names = tuple(dict.fromkeys((session, *others)))
        with self._lock:
            space = self._load(namespace)
            there = [name for name in names if name in space["logs"]]
            ids = [f"{n}@{v}" for n in there for v in range(1, len(space["logs"][n]) + 1)]
            ids = [id for id in ids if space["records"].get(id, {}).get("is_view")]
            receipt = _receipt(namespace, space, there, ids)
            for held, gone in (("logs", there), ("records", ids)):
                space[held] = {key: v for key, v in space[held].items() if key not in gone}
            self._save([space])
        return replace(receipt, sessions=names)

    def check(self) -> CheckReport:
        spaces = self._all()
        entries = sum(len(log) for space in spaces for log in space["logs"].values())
        records = sum(len(space["records"]) for space in spaces)
        return CheckReport((), {"entries": entries, "records": records})

    def close(self) -> None:
        self._closed = True
        self._threads().dismiss()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClosedError("This folder was closed; open it again.")

    def _path(self, namespace: Namespace) -> Path:
        name = hashlib.sha256(codec.encode(list(namespace))).hexdigest()
        return self._folder / f"{name}.json"

    def _load(self, namespace: Namespace) -> Space:
        with self._lock:
            self._refuse_closed()
            path = self._path(namespace)
            if not path.exists():
                return {"namespace": list(namespace), "logs": {}, "records": {}}
            space: Space = codec.decode(path.read_bytes())
            return space

    def _all(self) -> list[Space]:
        with self._lock:
            self._refuse_closed()
            return [codec.decode(path.read_bytes()) for path in self._folder.glob("*.json")]

    def _save(self, spaces: list[Space]) -> None:
        """Replace files, when all that could fail has been done."""
        written = [(self._path(tuple(s["namespace"])), s, codec.encode(s)) for s in spaces]
        for path, space, data in written:
            if space["logs"] or space["records"]:
                path.with_suffix(".new").write_bytes(data)
                os.replace(path.with_suffix(".new"), path)
            else:
                path.unlink(missing_ok=True)


def _apply(op: Op, space: Callable[[Namespace], Space]) -> int:
    if isinstance(op, Append):
        return _append(op, space(op.stream.namespace))
    if isinstance(op, Put):
        held = space(op.record.namespace)
        log = held["logs"].get(op.record.session or "", ())
        is_view = op.version is not None and op.version <= len(log)
        held["records"][op.record.id] = {"is_view": is_view, "record": op.record.to_dict()}
        return 1
    if isinstance(op, Delete):
        return int(space(op.namespace)["records"].pop(op.id, None) is not None)
    if isinstance(op, Touch):
        rows = space(op.namespace)["records"]
        found = [rows[id] for id in op.ids if id in rows]
        for row in found:
            row["record"] = _touched(MemoryRecord.from_dict(row["record"]), op).to_dict()
        return len(found)
    if isinstance(op, Expect):
        return 1
    raise TypeError(f"{op!r:.60} is no operation.")


def _append(op: Append, space: Space) -> int:
    log = space["logs"].setdefault(op.stream.session, [])
    head = len(log)
    if op.expected not in (None, head):
        raise ConflictError("Someone wrote first.", expected=op.expected or 0, found=head)
    if op.unless is not None:
        kind, after = op.unless
        if head < after or any(e["pinned"] and e["kind"] == kind for e in log[after:]):
            raise ConflictError("Someone wrote first.", expected=after, found=head)
    body = codec.decode(codec.encode(op.body))  # a copy, and refused if it is no JSON
    at = to_datetime(op.created_at).isoformat()
    line = {"kind": op.kind, "body": body, "at": at, "agent": op.agent, "pinned": op.pinned}
    log.append(line)
    if op.terms is not None:
        record = entry_record(_entry(op.stream, len(log), line))
        space["records"][record.id] = {"is_view": True, "record": record.to_dict()}
    return len(log)


def _touched(record: MemoryRecord, op: Touch) -> MemoryRecord:
    at, end = to_datetime(op.at), record.expires_at
    if end is not None and op.until is not None and end > at:
        end = max(end, to_datetime(op.until))
    last = max(at, record.last_accessed or at)
    return record.evolve(access_count=record.access_count + 1, last_accessed=last, expires_at=end)


def _require(stored: MemoryRecord | None, op: Expect) -> None:
    if stored != op.record:
        raise ConflictError(
            "Someone wrote first.", expected=int(op.record is not None), found=int(bool(stored))
        )


def _entries(stream: Stream, space: Space) -> list[Entry]:
    log = space["logs"].get(stream.session, ())
    return [_entry(stream, version, line) for version, line in enumerate(log, 1)]


def _entry(stream: Stream, version: int, line: dict[str, Any]) -> Entry:
    at = datetime.fromisoformat(line["at"])
    return Entry(stream, version, line["kind"], line["body"], at, line["agent"], line["pinned"])


def _receipt(namespace: Namespace, space: Space, names: list[str], ids: list[str]) -> EraseReceipt:
    rows = [space["records"][id] for id in ids]
    return receipt_of(
        namespace,
        datetime.now(UTC),
        marked=[e for name in names for e in _entries(Stream(namespace, name), space)],
        others=[MemoryRecord.from_dict(row["record"]) for row in rows if not row["is_view"]],
        records=len(ids),
        remaining=0,
    )
