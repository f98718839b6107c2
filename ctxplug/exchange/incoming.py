"""From an export into a store: examined whole, then written a session at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

from ctxplug.audit.entering import with_entries
from ctxplug.errors import ConflictError
from ctxplug.exchange.lines import Item, read_items
from ctxplug.exchange.outgoing import AUDIT, same_but_for_access
from ctxplug.guards import Guards
from ctxplug.messages import Message
from ctxplug.plugins import Plugins
from ctxplug.recall.indexing import index_form
from ctxplug.records import MemoryRecord
from ctxplug.scope import RESERVED, Namespace, Scope, namespace_key
from ctxplug.storage import Append, Backend, Entry, Fork, Op, Put, Stream, Touch
from ctxplug.transcripts.files import fault

_Key: TypeAlias = tuple[Namespace, str | None]
_Batch: TypeAlias = tuple[_Key, list[Item]]


@dataclass(frozen=True, slots=True)
class ImportReceipt:
    """What an import wrote; `present` counts sessions and memories that were there already.

    `sessions` are conversations: of ctxplug's own logs only the `entries` are counted.
    """

    sessions: int
    entries: int
    records: int
    present: int


def import_export(path: str, backend: Backend, plugins: Plugins) -> ImportReceipt:
    """Write the export `path` into `backend`: a session, and a namespace's memories, at a time.

    The whole file is examined before anything is written, and redactors and judges see all of it.
    A session that is there already is passed over, so an interrupted import can be repeated.
    Raises TranscriptError for a file that is damaged or cut short, ConflictError where
    the store holds something else under the same name, GuardError where a plugin refuses.
    """
    guards = Guards(plugins)
    for batch in _batches(path):  # once without writing
        _operations(backend, *_guarded(guards, batch))
    sessions = entries = records = present = 0
    for batch in _batches(path):
        (namespace, session), items = _guarded(guards, batch)
        ops = _operations(backend, (namespace, session), items)
        if ops:
            backend.write(*with_entries(backend, ops, "import"))
        written = sum(isinstance(op, Append | Put) for op in ops)
        sessions += bool(ops) and session is not None and not session.startswith(RESERVED)
        entries += written if session is not None else 0
        records += written if session is None else 0
        present += not ops if session is not None else len(items) - written
    return ImportReceipt(sessions, entries, records, present)


def examine_export(path: str) -> None:
    """Read the export `path` to its end; raise TranscriptError if it cannot be imported."""
    for _ in _batches(path):
        pass


def _batches(path: str) -> Iterator[_Batch]:
    """Yield the sessions of the file, and each namespace's records, checked to be whole."""
    seen: dict[_Key, int] = {}
    for key, group in groupby(read_items(path), _key):
        items = list(group)
        if key[1] == AUDIT:
            raise fault(path, items[0].line, "an audit log belongs to the store it was made in")
        if key in seen:
            reason = f"{_called(key)} came before; its lines belong together"
            raise fault(path, items[0].line, reason)
        seen[key] = _checked(path, key, items, seen)
        yield key, items


def _checked(path: str, key: _Key, items: Sequence[Item], seen: Mapping[_Key, int]) -> int:
    """Return the newest version of a session; raise TranscriptError if it has a gap."""
    version = 0
    for item in items:
        content = item.content
        if isinstance(content, Fork):
            length = seen.get((key[0], content.parent), 0)
            upto = content.upto if type(content.upto) is int else 0
            if version or not 0 < upto <= length:
                found = f"{content.upto!r:.40} entries of {content.parent!r}, which has {length}"
                raise fault(path, item.line, f"{_called(key)} cannot be a fork of {found} here")
            version = upto
        elif isinstance(content, Entry):
            version += 1
            if content.version != version:
                found = f"version {content.version} where {version} is next"
                raise fault(path, item.line, f"{_called(key)} has {found}")
    return version


def _guarded(guards: Guards, batch: _Batch) -> _Batch:
    """Return the batch as the plugins that redact and judge leave it."""
    (namespace, session), items = batch
    scope = Scope(namespace, session or "import")
    return (namespace, session), [_guarded_item(guards, scope, item) for item in items]


def _guarded_item(guards: Guards, scope: Scope, item: Item) -> Item:
    content = item.content
    if isinstance(content, MemoryRecord):
        return replace(item, content=guards.admit(content, scope))
    if isinstance(content, Fork):
        return item
    rest = {key: value for key, value in content.body.items() if key != "message"}
    body = guards.redact_value(rest, scope)
    if "message" in content.body:
        message = Message.from_dict(content.body["message"])
        redacted = guards.redact_message(message, scope)
        same = redacted == message
        body["message"] = content.body["message"] if same else redacted.to_dict()
    if body == content.body:
        return item
    return replace(item, content=replace(content, body={**body, "tokens": {}}))


def _operations(backend: Backend, key: _Key, items: Sequence[Item]) -> list[Op]:
    """Return what has to be written, nothing if it is all there; raise ConflictError."""
    namespace, session = key
    if session is None:
        return [op for item in items for op in _put(backend, item)]
    stream = Stream(namespace, session)
    found = backend.head(stream)
    if found and _is_there(backend, stream, items):
        return []
    if found:
        raise ConflictError(
            f"{_called(key)} is in this store already, with {found} entries that differ from"
            " the file's; nothing was imported. Import into another store.",
            expected=0,
            found=found,
        )
    return [op for item in items for op in _appended(item)]


def _is_there(backend: Backend, stream: Stream, items: Sequence[Item]) -> bool:
    """Say whether the session holds what the file says, and shares what it says."""
    first = items[0].content
    if not isinstance(first, Fork):
        own = len(backend.lineage(stream)) == 1
        return own and backend.read(stream) == [item.content for item in items]
    told = {info.session: (info.parent, info.forked) for info in backend.sessions(stream.namespace)}
    if told[stream.session] != (first.parent, first.upto):
        return False
    return backend.read(stream, after=first.upto) == [item.content for item in items[1:]]


def _appended(item: Item) -> Iterator[Op]:
    entry = item.content
    if isinstance(entry, Fork):
        yield entry
        return
    assert isinstance(entry, Entry)
    terms, traits = _form(entry) if item.searchable else (None, 0)
    yield Append(
        stream=entry.stream,
        kind=entry.kind,
        body=entry.body,
        created_at=entry.created_at,
        agent=entry.agent,
        pinned=entry.pinned,
        terms=terms,
        traits=traits,
        expected=entry.version - 1,
    )
    if item.accesses and item.searchable:
        count, last = item.accesses
        id = f"{entry.stream.session}@{entry.version}"
        yield from [Touch(entry.stream.namespace, (id,), last)] * count


def _form(entry: Entry) -> tuple[str, int]:
    message = Message.from_dict(entry.body.get("message") or {})
    return index_form(message.text, message.name)


def _put(backend: Backend, item: Item) -> Iterator[Op]:
    record = item.content
    assert isinstance(record, MemoryRecord)
    if not _is_present(backend, record):
        yield Put(record, *index_form(record.content)) if item.searchable else Put(record)


def _is_present(backend: Backend, record: MemoryRecord) -> bool:
    stored = backend.get(record.namespace, record.id)
    if stored is None:
        return False
    if not same_but_for_access(stored, record):
        raise ConflictError(
            f"The memory {record.id!r} of {namespace_key(record.namespace)!r} is in this store"
            " already, and differs from the file's; nothing was imported. Import into another"
            " store, or forget it first.",
            expected=0,
            found=1,
        )
    return True


def _key(item: Item) -> _Key:
    content = item.content
    if isinstance(content, MemoryRecord):
        return content.namespace, None
    return content.stream.namespace, content.stream.session


def _called(key: _Key) -> str:
    namespace, session = key
    what = "The memories" if session is None else f"Session {session!r}"
    return f"{what} of {namespace_key(namespace)!r}"
