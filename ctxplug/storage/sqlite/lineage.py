"""Forks of sessions in the file: a stream that goes on where a part of another ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import apsw

from ctxplug.scope import namespace_key
from ctxplug.storage.backend import Fork, Stream
from ctxplug.storage.matching import check_fork, require_forkable
from ctxplug.storage.sqlite.operations import Step, find_namespace
from ctxplug.storage.sqlite.schema import bindable, to_micros, unbound

_FIND = "SELECT id, version FROM streams WHERE namespace = ? AND session = ?"
_INSERT = """INSERT INTO streams
    (namespace, session, version, archived, created_at, updated_at, parent, forked)
    VALUES (?1, ?2, ?3, ?3, ?4, ?4, ?5, ?3)"""
# `last` is the version up to which a stream is read.
_LINE = """WITH RECURSIVE line (session, parent, forked, last) AS (
    SELECT session, parent, forked, version FROM streams
        WHERE session = ? AND namespace = (SELECT id FROM namespaces WHERE key = ?)
    UNION ALL
    SELECT s.session, s.parent, s.forked, min(line.last, line.forked)
        FROM line JOIN streams s ON s.id = line.parent
) SELECT session, forked, last FROM line"""


def prepare(op: Fork) -> Step:
    """Return the step that makes a stream a fork."""
    check_fork(op)
    at = to_micros(op.created_at or datetime.now(UTC))
    session, parent = bindable(op.stream.session), bindable(op.parent)

    def step(connection: apsw.Connection) -> int:
        number = find_namespace(connection, op.stream.namespace)
        own: Any = connection.execute(_FIND, (number, session)).fetchone()
        found: Any = connection.execute(_FIND, (number, parent)).fetchone()
        lengths = (own[1] if own else 0), (found[1] if found else 0)
        require_forkable(op, *lengths, connection.filename)
        connection.execute(_INSERT, (number, session, op.upto, at, found[0]))
        return op.upto

    return step


def lineage(connection: apsw.Connection, stream: Stream) -> list[tuple[str, int]]:
    """Return the sessions whose entries a stream reads; see the law."""
    key = bindable(stream.session), bindable(namespace_key(stream.namespace))
    rows: list[Any] = connection.execute(_LINE, key).fetchall()
    if not rows:
        return [(stream.session, 0)]
    past = [(unbound(session), last) for session, forked, last in rows[1:] if forked < last]
    return [*past[::-1], (stream.session, rows[0][2])]
