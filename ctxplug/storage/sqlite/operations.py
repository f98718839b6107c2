"""What a write does to the tables: one function per operation.

`prepare` runs in the caller's thread (encoding is work and may fail); what it returns
runs inside the writer's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import apsw

from ctxplug import codec
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, namespace_key
from ctxplug.storage.backend import Append, Delete, Entry, Op, Put, Touch, entry_record
from ctxplug.storage.matching import require_head, require_unmarked
from ctxplug.storage.sqlite.schema import bindable, crc_of, entry_id, to_micros
from ctxplug.storage.sqlite.segment_rows import drop, drop_own

Step = Callable[[apsw.Connection], int]

_UPSERT_STREAM = """
INSERT INTO streams (namespace, session, version, created_at, updated_at)
VALUES (?1, ?2, 1, ?3, ?3)
ON CONFLICT (namespace, session) DO UPDATE
    SET version = version + 1, updated_at = max(updated_at, ?3)
RETURNING id, version, archived
"""
_MARKED = """
SELECT 1 FROM entries WHERE id > ? AND id < ? AND pinned AND kind = ? LIMIT 1
"""
_OWN_ENTRY = """
SELECT e.id FROM streams s JOIN entries e ON e.id = (s.id << 32 | ?3)
WHERE s.namespace = ?1 AND s.session = ?2
"""
_INSERT_ENTRY = """
INSERT INTO entries (id, kind, pinned, agent, created_at, body, crc) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_UPSERT_RECORD = """
INSERT INTO records (namespace, id, kind, tier, session, agent, tags, metadata, created_at,
    expires_at, valid_from, valid_to, last_accessed, access_count, importance, traits, indexed,
    entry, body, crc)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (namespace, id) DO UPDATE SET kind = excluded.kind, tier = excluded.tier,
    session = excluded.session, agent = excluded.agent, tags = excluded.tags,
    metadata = excluded.metadata, created_at = excluded.created_at,
    expires_at = excluded.expires_at, valid_from = excluded.valid_from,
    valid_to = excluded.valid_to, last_accessed = excluded.last_accessed,
    access_count = excluded.access_count, importance = excluded.importance,
    traits = excluded.traits, indexed = excluded.indexed, entry = excluded.entry,
    body = excluded.body, crc = excluded.crc
RETURNING rowid, place
"""
_SET_VERSION = """
UPDATE records SET metadata = json_set(metadata, '$.version', ?) WHERE rowid = ?
"""
_TOUCH = """
UPDATE records SET access_count = access_count + 1,
    last_accessed = max(coalesce(last_accessed, ?3), ?3),
    expires_at = iif(expires_at > ?3, max(expires_at, coalesce(?4, ?3)), expires_at)
WHERE namespace = ?1 AND id = ?2
"""


def prepare(op: Op) -> Step:
    """Return the step that applies `op`; raise on what cannot be encoded."""
    if isinstance(op, Append):
        return _append(op)
    if isinstance(op, Put):
        return _put(op)
    if isinstance(op, Delete):
        return lambda connection: _delete(connection, op)
    if isinstance(op, Touch):
        return lambda connection: _touch(connection, op)
    raise TypeError(f"{op!r} is not an operation; write takes those of ctxplug.storage.backend.Op.")


def find_namespace(connection: apsw.Connection, namespace: Namespace) -> int | None:
    """Return the number that stands for `namespace` in this file, or None."""
    found = connection.execute(
        "SELECT id FROM namespaces WHERE key = ?", (bindable(namespace_key(namespace)),)
    ).get
    return None if found is None else int(found)


def _ensure_namespace(connection: apsw.Connection, namespace: Namespace) -> int:
    found = find_namespace(connection, namespace)
    if found is None:
        key = bindable(namespace_key(namespace))
        connection.execute("INSERT INTO namespaces (key) VALUES (?)", (key,))
        found = connection.last_insert_rowid()
    return found


def _append(op: Append) -> Step:
    body = codec.encode(op.body)
    session, kind, agent = bindable(op.stream.session), bindable(op.kind), _optional(op.agent)
    created_at = to_micros(op.created_at)
    row: tuple[Any, ...] = ()
    terms = None if op.terms is None else bindable(op.terms)
    if terms is not None:
        # The version is not known yet; of the columns, only the metadata depends on it.
        record = entry_record(Entry(op.stream, 0, op.kind, op.body, op.created_at, op.agent))
        row = columns(record)

    def step(connection: apsw.Connection) -> int:
        number = _ensure_namespace(connection, op.stream.namespace)
        # Both cursors are read to their ends: one left open would keep a rollback from its own.
        grown: Any = connection.execute(_UPSERT_STREAM, (number, session, created_at)).fetchall()
        stream, version, archived = grown[0]
        require_head(op, version - 1, connection.filename)
        entry = entry_id(stream, version)
        if op.unless is not None:
            mark, after = op.unless
            span = entry_id(stream, after), entry, bindable(mark)
            marked = archived > after or connection.execute(_MARKED, span).fetchall() != []
            require_unmarked(op, version - 1, marked, connection.filename)
        insert_entry(connection, entry, kind, op.pinned, agent, created_at, body)
        if terms is not None:
            drop_own(connection, number, f"{op.stream.session}@{version}")
            values = (number, f"{session}@{version}", *row, op.traits, True, entry, None, None)
            rowid = _index(connection, number, values, terms)
            connection.execute(_SET_VERSION, (f"{version}", rowid))
        return int(version)

    return step


def _put(op: Put) -> Step:
    row = columns(op.record)
    body = codec.encode(op.record.to_dict())
    crc = crc_of(body)
    id = bindable(op.record.id)
    terms = None if op.terms is None else bindable(op.terms)

    def step(connection: apsw.Connection) -> int:
        number = _ensure_namespace(connection, op.record.namespace)
        drop(connection, number, op.record.id)
        own = (number, _optional(op.record.session), op.version)
        if op.version is not None and (entry := connection.execute(_OWN_ENTRY, own).get):
            put_back(connection, number, op.record, op.terms, op.traits, int(entry), None)
            return 1
        values = (number, id, *row, op.traits, terms is not None, None, body, crc)
        _index(connection, number, values, terms)
        return 1

    return step


def insert_entry(
    connection: apsw.Connection,
    id: int,
    kind: str,
    pinned: bool,
    agent: str | None,
    created_at: int | None,
    body: bytes,
) -> None:
    """Store an entry, its names bindable, with its checksum."""
    row = (id, kind, int(pinned), agent, created_at)
    connection.execute(_INSERT_ENTRY, (*row, body, crc_of(body, *row)))


def put_back(
    connection: apsw.Connection,
    number: int,
    record: MemoryRecord,
    terms: str | None,
    traits: int,
    entry: int | None,
    body: bytes | None,
) -> None:
    """Store a record that comes out of the archive: a view of `entry`, or one with a `body`."""
    row, words = columns(record), None if terms is None else bindable(terms)
    crc = None if body is None else crc_of(body)
    values = (number, bindable(record.id), *row, traits, words is not None, entry, body, crc)
    _index(connection, number, values, words)


def _index(
    connection: apsw.Connection, number: int, values: tuple[Any, ...], terms: str | None
) -> int:
    [(rowid, place)] = connection.execute(_UPSERT_RECORD, values)
    if terms is None:
        connection.execute("DELETE FROM words WHERE rowid = ?", (place,))
    else:
        connection.execute(
            "INSERT OR REPLACE INTO words (rowid, terms) VALUES (?, ?)",
            (place, " ".join(own_terms(number, terms.split()))),
        )
    return int(rowid)


def _delete(connection: apsw.Connection, op: Delete) -> int:
    number = find_namespace(connection, op.namespace)
    place = connection.execute(
        "DELETE FROM records WHERE namespace = ? AND id = ? RETURNING place",
        (number, bindable(op.id)),
    ).get
    if place is None:
        return drop(connection, number, op.id)
    connection.execute("DELETE FROM words WHERE rowid = ?", (place,))
    return 1


def _touch(connection: apsw.Connection, op: Touch) -> int:
    number = find_namespace(connection, op.namespace)
    at, until = to_micros(op.at), to_micros(op.until)
    before = connection.total_changes()
    connection.executemany(_TOUCH, [(number, bindable(id), at, until) for id in op.ids])
    return connection.total_changes() - before


def columns(record: MemoryRecord) -> tuple[Any, ...]:
    """Return the values of the columns from kind to importance."""
    return (
        bindable(record.kind),
        record.tier,
        _optional(record.session),
        _optional(record.agent),
        choices(record.tags),
        comparable(record.metadata),
        to_micros(record.created_at),
        to_micros(record.expires_at),
        to_micros(record.valid_from),
        to_micros(record.valid_to),
        to_micros(record.last_accessed),
        record.access_count,
        record.importance,
    )


def own_terms(namespace: int, terms: Iterable[str]) -> list[str]:
    """Return `terms` as the word index holds them for one namespace."""
    return [f"{namespace}:{term}" for term in terms]


def choices(texts: Iterable[str]) -> str:
    """Return the JSON array of `texts` for SQLite's json_each."""
    return json.dumps([bindable(text) for text in texts], ensure_ascii=False)


def comparable(metadata: Mapping[str, Any]) -> str:
    """Return the JSON object whose values are those of `metadata` as canonical text.

    Two values are equal if and only if their texts are: true is not 1, 1 is not "1".
    """
    texts = {bindable(key): canonical_text(value) for key, value in metadata.items()}
    return json.dumps(texts, ensure_ascii=False)


def canonical_text(value: Any) -> str:
    """Return the one text that stands for a JSON value."""
    return bindable(codec.canonical(value).decode("utf-8", "surrogatepass"))


def _optional(text: str | None) -> str | None:
    return None if text is None else bindable(text)
