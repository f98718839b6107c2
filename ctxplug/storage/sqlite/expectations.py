"""Expect: what must be stored before a write is applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apsw

from ctxplug.storage.backend import Expect, Op
from ctxplug.storage.matching import require_expected
from ctxplug.storage.sqlite.operations import find_namespace
from ctxplug.storage.sqlite.queries import RECORD_COLUMNS, record_of
from ctxplug.storage.sqlite.schema import bindable

_RECORD = f"""SELECT {RECORD_COLUMNS} FROM records r LEFT JOIN entries e ON e.id = r.entry
    WHERE r.namespace = ? AND r.id = ?"""


def expectations(ops: Sequence[Op]) -> Callable[[apsw.Connection], None]:
    """Return what raises ConflictError unless every Expect of `ops` holds."""
    expected = [op for op in ops if isinstance(op, Expect)]

    def require(connection: apsw.Connection) -> None:
        for op in expected:
            number = find_namespace(connection, op.namespace)
            rows: list[Any] = connection.execute(_RECORD, (number, bindable(op.id))).fetchall()
            stored = record_of(rows[0], op.namespace) if rows else None
            require_expected(op, stored, connection.filename)

    return require
