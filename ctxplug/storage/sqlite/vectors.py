"""Vectors in the file beside the records, and what of them is held in memory to search.

Triggers take a vector away when its record is replaced or deleted, whoever does it. Ids
of vectors only grow, so one seek finds those that this or another process added.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import apsw

from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage.backend import Embed, Hit, Unembed, Vector, VectorState, Where
from ctxplug.storage.sqlite import queries
from ctxplug.storage.sqlite.operations import Step, find_namespace
from ctxplug.storage.sqlite.schema import bindable, unbound
from ctxplug.storage.vectors import (
    Scored,
    VectorIndex,
    VectorIndexes,
    require_same,
    search,
    to_vector,
)

if TYPE_CHECKING:
    from ctxplug.storage.vectors import Floats, Keys

CACHE_BYTES = 256 * 2**20
LOADED_AT_ONCE = 4096

# CROSS JOIN holds SQLite to this order: from a few keys, not from all records, to their rows.
_NAMED = "FROM json_each(?) AS named CROSS JOIN vectors v ON v.id = named.value"
_RECORD_OF = f"""SELECT r.rowid, {queries.RECORD_COLUMNS} FROM records r
    LEFT JOIN entries e ON e.id = r.entry WHERE r.namespace = ? AND r.id = ?"""
_UNEMBEDDED = f"""SELECT {queries.RECORD_COLUMNS} FROM records r
    LEFT JOIN entries e ON e.id = r.entry
    WHERE r.namespace = ? AND r.indexed AND NOT r.embedded ORDER BY r.rowid LIMIT ?"""


# -- writing ---------------------------------------------------------------------------


def prepare(op: Embed | Unembed) -> Step:
    """Return the step that applies `op`; raise InvalidValueError on what is no vector."""
    return _embed(op) if isinstance(op, Embed) else _unembed(op)


def _embed(op: Embed) -> Step:
    row = to_vector(op.vector)
    id, embedder = bindable(op.id), bindable(op.embedder)

    def step(connection: apsw.Connection) -> int:
        number = find_namespace(connection, op.namespace)
        _require_same(connection, number, op.embedder, row)
        found = connection.execute(_RECORD_OF, (number, id)).fetchone()
        if found is None:
            return 0
        if op.content not in (None, queries.record_of(found[1:], op.namespace).content):
            return 0
        connection.execute("DELETE FROM vectors WHERE record = ?", (found[0],))
        connection.execute(
            "INSERT INTO vectors (record, namespace, vector) VALUES (?, ?, ?)",
            (found[0], number, row.astype("<f4").tobytes()),
        )
        connection.execute(
            "UPDATE namespaces SET embedder = ?, dimension = ? WHERE id = ? AND embedder IS NULL",
            (embedder, len(row), number),
        )
        return 1

    return step


def _unembed(op: Unembed) -> Step:
    def step(connection: apsw.Connection) -> int:
        number = find_namespace(connection, op.namespace)
        connection.execute("DELETE FROM vectors WHERE namespace = ?", (number,))
        removed = connection.changes()
        connection.execute(
            "UPDATE namespaces SET embedder = NULL, dimension = 0 WHERE id = ?", (number,)
        )
        return removed

    return step


# -- reading ---------------------------------------------------------------------------


def state(connection: apsw.Connection, number: int | None) -> VectorState:
    """Return whose vectors a namespace holds and how many records wait for one."""
    embedder, dimension, _ = _embedder(connection, number)
    pending = connection.execute(
        "SELECT count(*) FROM records WHERE namespace = ? AND indexed AND NOT embedded",
        (number,),
    ).get
    return VectorState(embedder, dimension, int(pending))


def unembedded(connection: apsw.Connection, namespace: Namespace, limit: int) -> list[MemoryRecord]:
    """Return up to `limit` searchable records without a vector, oldest first."""
    number = find_namespace(connection, namespace)
    rows = connection.execute(_UNEMBEDDED, (number, max(0, limit))).fetchall()
    return [queries.record_of(row, namespace) for row in rows]


class Tables:
    """The indexes of the namespaces searched last, of CACHE_BYTES in memory at most."""

    def __init__(self, indexes: VectorIndexes) -> None:
        self._lock = threading.Lock()
        self._indexes = indexes
        self._tables: OrderedDict[int, tuple[VectorIndex, int]] = OrderedDict()

    def search(
        self,
        connection: apsw.Connection,
        where: Where,
        vector: Vector,
        embedder: str | None,
        limit: int,
    ) -> list[Hit]:
        """Return the records of `where` that are nearest to `vector`."""
        return _hits(connection, where, self._keys(connection, where, vector, embedder, limit))

    def nearest(
        self,
        connection: apsw.Connection,
        where: Where,
        vector: Vector,
        embedder: str | None,
        limit: int,
    ) -> list[tuple[str, float]]:
        """Return the ids of the records of `where` that are nearest to `vector`, with scores."""
        sql = f"SELECT v.id, r.id {_NAMED} CROSS JOIN records r ON r.rowid = v.record"
        nearest = self._keys(connection, where, vector, embedder, limit)
        ids: Any = dict(connection.execute(sql, (_array([key for key, _ in nearest]),)))
        return [(unbound(ids[key]), score) for key, score in nearest if key in ids]

    def _keys(
        self,
        connection: apsw.Connection,
        where: Where,
        vector: Vector,
        embedder: str | None,
        limit: int,
    ) -> Scored:
        query = to_vector(vector)
        number = find_namespace(connection, where.namespace)
        _require_same(connection, number, embedder, query)
        table = None if number is None else self.fresh(connection, number)
        if table is None or number is None:
            return []
        conditions, values = queries.conditions(where, number)
        passing = partial(_passing, connection, conditions, values)
        return search(
            table,
            query,
            limit,
            fetch=partial(_fetch, connection, table.dimension),
            passing=passing if where.ids is None else None,
            every=partial(_every, connection, conditions, values),
        )

    def drop(self, connection: apsw.Connection, number: int) -> None:
        """Remove the index of a namespace that was erased."""
        with self._lock:
            self._tables.pop(number, None)
            self._indexes.drop(_name(connection, number))

    def after_fork_in_child(self) -> None:
        """Replace the lock, which another thread may have held."""
        self._lock = threading.Lock()

    def fresh(self, connection: apsw.Connection, number: int) -> VectorIndex | None:
        """Return the index of a namespace with all that is in the file by now."""
        with self._lock:
            embedder, dimension, removed = _embedder(connection, number)
            if embedder is None:
                self._tables.pop(number, None)
                return None
            if number in self._tables:
                table, since = self._tables.pop(number)
            else:
                table, since = self._opened(connection, number, dimension, removed)
            if table.dimension != dimension or removed - since > table.size // 2 + 64:
                self._indexes.drop(_name(connection, number))
                table, since = self._opened(connection, number, dimension, removed)
            _load_new(connection, number, table)
            self._tables[number] = table, since
            while len(self._tables) > 1 and self._bytes() > CACHE_BYTES:
                self._tables.popitem(last=False)
            return table

    def _opened(
        self, connection: apsw.Connection, number: int, dimension: int, removed: int
    ) -> tuple[VectorIndex, int]:
        """Return an index, and what `removed` would be if nothing in it were of the past."""
        table = self._indexes.open(_name(connection, number), dimension)
        if not table.size:
            return table, removed
        live = connection.execute(
            "SELECT count(*) FROM vectors WHERE namespace = ? AND id <= ?", (number, table.last)
        ).get
        return table, removed - (table.size - int(live))

    def _bytes(self) -> int:
        return sum(table.nbytes for table, _ in self._tables.values())


def _embedder(connection: apsw.Connection, number: int | None) -> tuple[str | None, int, int]:
    row: Any = connection.execute(
        "SELECT embedder, dimension, vectors_removed FROM namespaces WHERE id = ?", (number,)
    ).fetchone()
    if row is None or row[0] is None:
        return None, 0, row[2] if row else 0
    return unbound(row[0]), row[1], row[2]


def _require_same(
    connection: apsw.Connection, number: int | None, given: str | None, row: Floats
) -> None:
    stored, dimension, _ = _embedder(connection, number)
    require_same(stored, dimension, given, row, target=connection.filename)


def _name(connection: apsw.Connection, number: int) -> str:
    """Return what stands for one namespace of this store, and of no other store."""
    store = connection.execute("SELECT value FROM meta WHERE key = 'store'").get
    return f"{store}-{number}"


def _load_new(connection: apsw.Connection, number: int, table: VectorIndex) -> None:
    while True:
        rows: list[Any] = connection.execute(
            "SELECT id, vector FROM vectors WHERE namespace = ? AND id > ? ORDER BY id LIMIT ?",
            (number, table.last, LOADED_AT_ONCE),
        ).fetchall()
        if rows:
            table.add(*_arrays(rows, table.dimension))
        if len(rows) < LOADED_AT_ONCE:
            return


def _arrays(rows: Sequence[Any], dimension: int) -> tuple[Keys, Floats]:
    import numpy as np

    keys = np.array([row[0] for row in rows], np.int64)
    floats = np.frombuffer(b"".join(row[1] for row in rows), "<f4")
    return keys, floats.reshape(len(rows), dimension).astype(np.float32, copy=False)


def _fetch(connection: apsw.Connection, dimension: int, keys: Keys) -> tuple[Keys, Floats]:
    rows = connection.execute(
        f"SELECT v.id, v.vector {_NAMED}",
        (_array(keys.tolist()),),
    ).fetchall()
    return _arrays(rows, dimension)


def _passing(
    connection: apsw.Connection, conditions: str, values: Sequence[Any], keys: list[int]
) -> set[int]:
    rows: list[Any] = connection.execute(
        f"SELECT v.id {_NAMED} CROSS JOIN records r ON r.rowid = v.record WHERE {conditions}",
        (_array(keys), *values),
    ).fetchall()
    return {key for (key,) in rows}


def _every(connection: apsw.Connection, conditions: str, values: Sequence[Any]) -> list[int]:
    rows: list[Any] = connection.execute(
        f"SELECT v.id FROM records r JOIN vectors v ON v.record = r.rowid WHERE {conditions}",
        values,
    ).fetchall()
    return [key for (key,) in rows]


def _hits(connection: apsw.Connection, where: Where, nearest: Scored) -> list[Hit]:
    rows: list[Any] = connection.execute(
        f"""SELECT v.id, {queries.RECORD_COLUMNS} {_NAMED}
            CROSS JOIN records r ON r.rowid = v.record LEFT JOIN entries e ON e.id = r.entry""",
        (_array([key for key, _ in nearest]),),
    ).fetchall()
    records = {row[0]: queries.record_of(row[1:], where.namespace) for row in rows}
    return [Hit(records[key], score) for key, score in nearest if key in records]


def _array(keys: list[int]) -> str:
    return json.dumps(keys)
