"""One memory on a page: its fields, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ctxplug import codec
from ctxplug.cli import screen
from ctxplug.messages import Message
from ctxplug.records import MemoryRecord
from ctxplug.storage import Backend, Stream

CUT = 300  # characters of a source
_HOW = {
    "remember": "remembered on purpose",
    "import": "imported",
    "consolidate": "made by consolidation",
    "capture": "captured by the rule",
    "said": "a message of the log",
}


def as_json(record: MemoryRecord) -> dict[str, Any]:
    """Return a record as JSON, with its trust."""
    return {**record.to_dict(), "trust": record.trust}


def page(backend: Backend, record: MemoryRecord) -> RenderableType:
    """Return all that is known of a memory, for a terminal of any width."""
    fields = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    fields.add_column(style="dim", no_wrap=True)
    fields.add_column(overflow="fold")
    for name, value in _fields(record):
        fields.add_row(name, Text(screen.visible(value)))
    for source in record.sources:
        fields.add_row("source", escape(screen.visible(_source(backend, record, source))))
    content = Text(screen.visible(record.content), style="bold", overflow="fold")
    return Group(content, Padding(fields, (1, 0, 0, 0)))


def _fields(record: MemoryRecord) -> Iterator[tuple[str, str]]:
    yield "id", record.id
    yield "kind, tier", f"{record.kind}, {record.tier}"
    yield "importance", f"{record.importance:.2f}"
    if record.tags:
        yield "tags", ", ".join(record.tags)
    yield "from", f"{record.origin} (trust: {record.trust})"
    how, _, rule = record.made_by.partition(":")
    yield "made by", f"{_HOW.get(how, how)} {rule}".strip()
    if record.session:
        yield "session", record.session
    if record.agent:
        yield "agent", record.agent
    for name, time in (
        ("made", record.created_at),
        ("holds from", record.valid_from),
        ("held until", record.valid_to),
        ("expires", record.expires_at),
    ):
        if time is not None:
            yield name, f"{screen.when(time)} UTC"
    last = f", last {screen.when(record.last_accessed)} UTC" if record.last_accessed else ""
    yield "recalled", f"{record.access_count:,} times{last}"
    if record.metadata:
        yield "metadata", codec.encode(record.metadata).decode("utf-8", "surrogatepass")


def _source(backend: Backend, record: MemoryRecord, id: str) -> str:
    """Return what a source says: a message of the record's session, or another record."""
    other = backend.get(record.namespace, id)
    if other is not None:
        return f"{id}: {screen.short(other.content, CUT)}"
    if record.session:
        stream = Stream(record.namespace, record.session)
        for entry in backend.read(stream, kinds=["message"], newest_first=True):
            if entry.body["message"].get("id") == id:
                message = Message.from_dict(entry.body["message"])
                who = f"{message.role} {message.name or ''}".strip()
                said = screen.short(message.text, CUT)
                return f"@{entry.version} of the session, {who}: {said}"
    return f"{id} (not in this store)"
