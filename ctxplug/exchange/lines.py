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
from ctxplug.storage import Entry, Stream
from ctxplug.times import to_datetime
from ctxplug.transcripts import EXPORT_MARK
from ctxplug.transcripts.files import fault, read_lines

FORMAT = 1
MAX_ACCESSES = 100_000
"""A recall count above this is kept at it: the law counts accesses one by one."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line: an entry with whether it is searchable and its accesses, or a record."""

    line: int
    content: Entry | MemoryRecord
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


def read_items(path: str) -> Iterator[Item]:
    """Yield the lines of the export `path`; raise TranscriptError if it is damaged or cut short."""
    lines = read_lines(path)
    first = next(lines, None)
    head = first.value if first and isinstance(first.value, Mapping) else {}
    if head.get(EXPORT_MARK) != FORMAT:
        found = f"format {head[EXPORT_MARK]!r}" if EXPORT_MARK in head else "no export"
        reason = f"this is {found}, and this ctxplug imports format {FORMAT}"
        raise fault(path, first.number if first else 0, reason)
    counts, last = {"entries": 0, "records": 0}, 1
    for line in lines:
        last = line.number
        data = line.value if isinstance(line.value, Mapping) else {}
        if data.get("type") == "end":
            if {key: data.get(key) for key in counts} != counts or next(lines, None) is not None:
                reason = f"the end says {dict(data)!r:.80}, but there are {counts} before it"
                raise fault(path, last, reason)
            return
        try:
            item = _item(line.number, data)
        except (InvalidValueError, KeyError, TypeError, ValueError) as exc:
            reason = f"the field {exc} is missing" if isinstance(exc, KeyError) else str(exc)
            raise fault(path, line.number, f"this is no entry and no record: {reason}") from exc
        counts["entries" if isinstance(item.content, Entry) else "records"] += 1
        yield item
    raise fault(path, last, "the export was cut short: its last line, of type 'end', is missing")


def _item(line: int, data: Mapping[str, Any]) -> Item:
    if data["type"] == "record":
        record = MemoryRecord.from_dict(data["record"])
        return Item(line, record, data["searchable"] is True)
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
        stream=Stream(to_namespace(data["namespace"]), check_label(data["session"], "session")),
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
