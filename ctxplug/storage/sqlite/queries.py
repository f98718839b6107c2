"""From a Where to SQL, and from rows to records. Every value is bound, keys included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctxplug import codec
from ctxplug.errors import CorruptStoreError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage.backend import Entry, Stream, Where, entry_record
from ctxplug.storage.sqlite.operations import canonical_text, choices, own_terms
from ctxplug.storage.sqlite.schema import (
    bindable,
    crc_of,
    from_micros,
    to_micros,
    unbound,
    version_of,
)

ENTRY_COLUMNS = "id, kind, pinned, agent, created_at, body, crc"
RECORD_COLUMNS = """r.session, r.last_accessed, r.access_count, r.expires_at, r.body, r.crc,
    e.id, e.kind, e.pinned, e.agent, e.created_at, e.body, e.crc"""
_METADATA_EQUALS = """EXISTS (
    SELECT 1 FROM json_each(r.metadata) AS m WHERE m.key = ? AND m.value = ?)"""


def conditions(where: Where, namespace: int) -> tuple[str, list[Any]]:
    """Return the SQL condition on `records r` and its values."""
    clauses = ["r.namespace = ?"]
    values: list[Any] = [namespace]

    def add(clause: str, *bound: Any) -> None:
        clauses.append(clause)
        values.extend(bound)

    for column, allowed in (("id", where.ids), ("kind", where.kinds), ("tier", where.tiers)):
        if allowed is not None:
            add(f"r.{column} IN (SELECT value FROM json_each(?))", choices(allowed))
    if where.not_kinds:
        add("r.kind NOT IN (SELECT value FROM json_each(?))", choices(where.not_kinds))
    for tag in where.tags:
        add("EXISTS (SELECT 1 FROM json_each(r.tags) WHERE value = ?)", bindable(tag))
    if where.session is not None:
        add("r.session = ?", bindable(where.session))
    if where.agent is not None:
        add("r.agent = ?", bindable(where.agent))
    if where.since is not None:
        add("r.created_at >= ?", to_micros(where.since))
    if where.until is not None:
        add("r.created_at < ?", to_micros(where.until))
    if where.valid_at is not None:
        at = to_micros(where.valid_at)
        add("coalesce(r.valid_from, ?) <= ? AND coalesce(r.valid_to, ? + 1) > ?", at, at, at, at)
    for key, value in where.metadata.items():
        add(_METADATA_EQUALS, bindable(key), canonical_text(value))
    if where.now is not None:
        at = to_micros(where.now)
        add("coalesce(r.expires_at, ? + 1) > ?", at, at)
    return " AND ".join(clauses), values


def match(namespace: int, terms: Sequence[str]) -> str:
    """Return the FTS5 query for any of `terms` within one namespace."""
    return " OR ".join(map(quoted, own_terms(namespace, dict.fromkeys(terms))))


def searchable(terms: Sequence[str]) -> list[str]:
    """Return the terms that can match at all: split at spaces, without empty ones."""
    return [bindable(part) for term in terms for part in term.split()]


def record_of(row: Sequence[Any], namespace: Namespace) -> MemoryRecord:
    """Return the record of a row of RECORD_COLUMNS."""
    session, accessed, count, expires, body, crc, *entry = row
    if body is not None:
        require_sound(crc, body)
        record = MemoryRecord.from_dict(codec.decode(body))
    elif entry[0] is not None:
        record = entry_record(entry_of(entry, Stream(namespace, unbound(session))))
    else:
        raise CorruptStoreError("A record of the store is damaged: its log entry is missing.")
    if count or accessed is not None:
        record = record.evolve(
            access_count=count,
            last_accessed=None if accessed is None else from_micros(accessed),
            expires_at=None if expires is None else from_micros(expires),
        )
    return record


def entry_of(row: Sequence[Any], stream: Stream) -> Entry:
    """Return the entry of a row of ENTRY_COLUMNS."""
    id, kind, pinned, agent, created_at, body, crc = row
    require_sound(crc, body, id, kind, pinned, agent, created_at)
    return Entry(
        stream=stream,
        version=version_of(id),
        kind=unbound(kind),
        body=codec.decode(body),
        created_at=from_micros(created_at),
        agent=None if agent is None else unbound(agent),
        pinned=bool(pinned),
    )


def require_sound(crc: int | None, body: bytes, *columns: Any) -> None:
    """Raise CorruptStoreError if something of a row is not as it was written."""
    if crc_of(body, *columns) != crc:
        raise CorruptStoreError(
            "A row of the store is damaged: its checksum does not fit. `ctxplug check` names all"
            " that are; restore a backup."
        )


def quoted(term: str) -> str:
    """Return `term` as a phrase of an FTS5 query."""
    return '"' + term.replace('"', '""') + '"'
