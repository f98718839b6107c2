"""Row by row: is what entries and records hold as it was written?

SQLite's own check sees damage to its trees; what changed within a row only its checksum tells,
and for the columns by which a record is found, a comparison with what it holds.
"""

from __future__ import annotations

import json
from typing import Any

import apsw

from ctxplug.errors import CtxplugError
from ctxplug.records import MemoryRecord
from ctxplug.storage.sqlite import queries
from ctxplug.storage.sqlite.operations import columns
from ctxplug.storage.sqlite.schema import crc_of, unbound

MOST_PROBLEMS = 5
_COLUMNS = """r.kind, r.tier, r.session, r.agent, r.tags, r.metadata, r.created_at, r.expires_at,
    r.valid_from, r.valid_to, r.last_accessed, r.access_count, r.importance"""
_JSON = slice(4, 6)  # of the columns: how it is written does not matter
_RECORDS = f"""SELECT r.id, n.key, s.namespace, r.namespace, {_COLUMNS}, {queries.RECORD_COLUMNS}
    FROM records r JOIN namespaces n ON n.id = r.namespace LEFT JOIN entries e ON e.id = r.entry
    LEFT JOIN streams s ON s.id = r.entry >> 32"""
_WIDTH = 13


def problems(connection: apsw.Connection, *, every_column: bool) -> list[str]:
    """Return which entries and records are damaged; `every_column` takes longer."""
    found = [f"log entries that are damaged: {row}" for row in _entries(connection)]
    found += [f"records that are damaged: {id!r}" for id in _bodies(connection)]
    if every_column and not found:
        found += [
            f"records that are found by what they do not hold: {row[0]!r}"
            for row in connection.execute(_RECORDS)
            if not _is_true(row)
        ]
    return found[:MOST_PROBLEMS]


def _entries(connection: apsw.Connection) -> list[str]:
    rows = connection.execute(f"SELECT {queries.ENTRY_COLUMNS} FROM entries")
    return [
        f"{id >> 32}@{id & 0xFFFFFFFF}"
        for id, kind, pinned, agent, at, body, crc in rows
        if crc_of(body, id, kind, pinned, agent, at) != crc
    ]


def _bodies(connection: apsw.Connection) -> list[str]:
    rows = connection.execute("SELECT id, body, crc FROM records WHERE body IS NOT NULL")
    return [id for id, body, crc in rows if crc_of(body) != crc]


def _is_true(row: Any) -> bool:
    """Say whether a record is found by what it holds."""
    id, key, of_stream, number, *rest = row
    stored, held = rest[:_WIDTH], rest[_WIDTH:]
    namespace = tuple(unbound(key).split("/"))
    try:
        record: MemoryRecord = queries.record_of(held, namespace)
        made = list(columns(record))
        made[_JSON], stored[_JSON] = map(json.loads, made[_JSON]), map(json.loads, stored[_JSON])
    except (CtxplugError, ValueError, TypeError, KeyError):
        return False
    own = of_stream in (None, number)  # a view is of its entry's namespace
    return own and record.namespace == namespace and record.id == unbound(id) and made == stored
