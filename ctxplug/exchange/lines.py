"""The lines of an export: from data to what they stand for, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.messages import Message
from ctxplug.records import MemoryRecord
from ctxplug.scope import check_label, to_namespace
from ctxplug.storage import Entry, Fork, SessionInfo, Stream
from ctxplug.times import to_datetime
from ctxplug.transcripts import EXPORT_MARK
from ctxplug.transcripts.files import fault, read_lines

FORMAT = 1
WITH_FORKS = 2
MAX_ACCESSES = 100_000
"""A recall count above this is kept at it: the law counts accesses one by one."""


_COUNTED = {Entry: "entries", Fork: "forks", MemoryRecord: "records"}


@dataclass(frozen=True, slots=True)
class Item:
    """One line: an entry with whether it is searchable and its accesses, a fork, or a record."""

    line: int
    content: Entry | Fork | MemoryRecord
    searchable: bool = False
    accesses: tuple[int, datetime] | None = None


def entry_data(entry: Entry, record: MemoryRecord | None) -> dict[str, Any]:
    """Return the line of `entry`, given the record that it is found by, if there is one."""
    data: dict[str, Any] = {
        "type": "entry",
        "namespace": list(entry.stream.namespace),
        "session": entry.stream.session,
        "version": entry.version,
        "kind": entry.kind,
        "created_at": entry.created_at.isoformat(),
        "pinned": entry.pinned,
        "searchable": record is not None,
    }
    if entry.agent is not None:
        data["agent"] = entry.agent
    if record is not None and record.last_accessed is not None:
        data["accessed"] = [record.access_count, record.last_accessed.isoformat()]
    return data | {"body": entry.body}


def fork_data(stream: Stream, info: SessionInfo) -> dict[str, Any]:
    """Return the line that a fork begins with."""
    return {
        "type": "fork",
        "namespace": list(stream.namespace),
        "session": stream.session,
        "parent": info.parent,
        "upto": info.forked,
        "created_at": info.created_at.isoformat(),
    }


def read_items(path: str) -> Iterator[Item]:
    """Yield the lines of the export `path`; raise TranscriptError if it is damaged or cut short."""
    lines = read_lines(path)
    first = next(lines, None)
    head = first.value if first and isinstance(first.value, Mapping) else {}
    if head.get(EXPORT_MARK) not in (FORMAT, WITH_FORKS):
        found = f"format {head[EXPORT_MARK]!r}" if EXPORT_MARK in head else "no export"
        reason = f"this is {found}, and this ctxplug imports formats {FORMAT} and {WITH_FORKS}"
        raise fault(path, first.number if first else 0, reason)
    counts, last = dict.fromkeys(_COUNTED.values(), 0), 1
    for line in lines:
        last = line.number
        data = line.value if isinstance(line.value, Mapping) else {}
        if data.get("type") == "end":
            if {key: data.get(key, 0) for key in counts} != counts or next(lines, None) is not None:
                reason = f"the end says {dict(data)!r:.80}, but there are {counts} before it"
                raise fault(path, last, reason)
            return
        try:
            item = _item(line.number, data)
        except (InvalidValueError, KeyError, TypeError, ValueError) as exc:
            reason = f"the field {exc} is missing" if isinstance(exc, KeyError) else str(exc)
            raise fault(path, line.number, f"this is no entry and no record: {reason}") from exc
        counts[_COUNTED[type(item.content)]] += 1
        yield item
    raise fault(path, last, "the export was cut short: its last line, of type 'end', is missing")


def _item(line: int, data: Mapping[str, Any]) -> Item:
    if data["type"] == "record":
        record = MemoryRecord.from_dict(data["record"])
        to_namespace(record.namespace)
        return Item(line, record, data["searchable"] is True)
    if data["type"] == "fork":
        return Item(line, _fork(data))
    if data["type"] != "entry":
        raise InvalidValueError(f"its type is {data['type']!r:.40}, not 'entry' or 'record'")
    if not isinstance(data["kind"], str) or not isinstance(data["body"], dict):
        raise InvalidValueError("kind is text and body is an object")
    if "message" in data["body"]:
        Message.from_dict(data["body"]["message"])
    elif data["searchable"]:
        raise InvalidValueError("it is searchable, but holds no message")
    agent = data.get("agent")
    entry = Entry(
        stream=_stream(data),
        version=data["version"],
        kind=data["kind"],
        body=data["body"],
        created_at=to_datetime(data["created_at"]),
        agent=None if agent is None else check_label(agent, "agent"),
        pinned=data["pinned"] is True,
    )
    accessed = None
    if "accessed" in data:
        count, last = data["accessed"]
        accessed = (min(int(count), MAX_ACCESSES), to_datetime(last))
    return Item(line, entry, data["searchable"] is True, accessed)


def _fork(data: Mapping[str, Any]) -> Fork:
    parent = check_label(data["parent"], "session")
    return Fork(_stream(data), parent, data["upto"], to_datetime(data["created_at"]))


def _stream(data: Mapping[str, Any]) -> Stream:
    return Stream(to_namespace(data["namespace"]), check_label(data["session"], "session"))
