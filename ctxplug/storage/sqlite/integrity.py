"""Examine, scrub and verify: what keeps a file sound and leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

from ctxplug.errors import CorruptStoreError, StorageBusyError, StorageFullError
from ctxplug.storage.backend import CheckReport
from ctxplug.storage.sqlite import archive, contents

UNSCRUBBED = "unscrubbed"
_INVARIANTS = (
    (
        "session logs with gaps or a wrong newest version",
        """SELECT s.session FROM streams s LEFT JOIN (
               SELECT id >> 32 AS stream, count(*) AS n, max(id & 0xFFFFFFFF) AS newest
               FROM entries GROUP BY 1
           ) e ON e.stream = s.id
           WHERE coalesce(e.n, 0) <> s.version - s.archived
           OR coalesce(e.newest, s.archived) <> s.version""",
    ),
    (
        "session logs whose archived part has gaps",
        """SELECT s.session FROM streams s LEFT JOIN (
               SELECT stream, sum(items) AS n, max(last) AS newest, min(first) AS oldest,
                   sum(last - first + 1) AS span FROM segments GROUP BY 1
           ) a ON a.stream = s.id
           WHERE coalesce(a.n, 0) <> s.archived - s.forked
           OR coalesce(a.span, 0) <> s.archived - s.forked
           OR coalesce(a.newest, s.forked) <> s.archived
           OR coalesce(a.oldest, s.forked + 1) <> s.forked + 1""",
    ),
    (
        "forks of no earlier session of their namespace that has as many entries",
        """SELECT f.session FROM streams f LEFT JOIN streams p
               ON p.id = f.parent AND p.id < f.id AND p.namespace = f.namespace
           WHERE (f.parent IS NULL) <> (f.forked = 0) OR f.forked > coalesce(p.version, 0)""",
    ),
    (
        "segments of the archive whose index is wrong",
        """SELECT g.id FROM segments g WHERE g.stream IS NULL AND g.items <>
               (SELECT count(*) FROM archived a
                WHERE a.segment = g.id AND a.namespace = g.namespace)
           UNION
           SELECT id FROM segments WHERE stream IS NOT NULL
               AND stream NOT IN (SELECT id FROM streams)
           UNION
           SELECT segment FROM archived WHERE segment NOT IN (SELECT id FROM segments)""",
    ),
    (
        "records that are in the archive and outside of it",
        """SELECT r.id FROM records r JOIN archived a
           ON a.namespace = r.namespace AND a.id = r.id""",
    ),
    (
        "entries of no session",
        "SELECT DISTINCT id >> 32 FROM entries WHERE id >> 32 NOT IN (SELECT id FROM streams)",
    ),
    (
        "records whose log entry is missing",
        """SELECT id FROM records WHERE entry IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.id = records.entry)""",
    ),
    ("records without content", "SELECT id FROM records WHERE entry IS NULL AND body IS NULL"),
    (
        "searchable records missing from the word index",
        "SELECT id FROM records WHERE indexed AND place NOT IN (SELECT rowid FROM words)",
    ),
    (
        "words of no searchable record",
        "SELECT rowid FROM words WHERE rowid NOT IN (SELECT place FROM records WHERE indexed)",
    ),
    (
        "records that wrongly have, or lack, a vector",
        "SELECT id FROM records WHERE embedded <> (rowid IN (SELECT record FROM vectors))",
    ),
    (
        "vectors of no record, or of another length than their namespace's",
        """SELECT v.id FROM vectors v LEFT JOIN records r ON r.rowid = v.record
           LEFT JOIN namespaces n ON n.id = v.namespace
           WHERE r.namespace IS NOT v.namespace OR length(v.vector) IS NOT 4 * n.dimension
               OR n.embedder IS NULL""",
    ),
    (
        "namespaces that count their searchable records wrongly",
        """SELECT key FROM namespaces n WHERE searchable <>
           (SELECT count(*) FROM records WHERE namespace = n.id AND indexed)""",
    ),
    (
        "segments of another namespace than their session",
        """SELECT g.id FROM segments g JOIN streams s ON s.id = g.stream
           WHERE g.namespace <> s.namespace""",
    ),
    (
        "streams, records or segments of no namespace",
        """SELECT namespace FROM streams WHERE namespace NOT IN (SELECT id FROM namespaces)
           UNION
           SELECT namespace FROM records WHERE namespace NOT IN (SELECT id FROM namespaces)
           UNION
           SELECT namespace FROM segments WHERE namespace NOT IN (SELECT id FROM namespaces)""",
    ),
)


def check(
    connection: apsw.Connection, *, index: bool = True, every_column: bool = True
) -> CheckReport:
    """Return what is wrong with the file.

    `index` includes the word index's own check, `every_column` what records are found by.
    """
    counts: dict[str, int] = {}
    try:
        problems = _problems(connection, index)
        if not any(problem.startswith("SQLite") for problem in problems):
            problems += contents.problems(connection, every_column=every_column)
        for table in (
            "namespaces",
            "streams",
            "entries",
            "records",
            "vectors",
            "words",
            "segments",
        ):
            counts[table] = int(connection.execute(f"SELECT count(*) FROM {table}").get)
        counts["entries"] += int(
            connection.execute("SELECT total(archived - forked) FROM streams").get
        )
    except (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError) as exc:
        problems = [f"SQLite: {exc}"]
    return CheckReport(tuple(problems), counts)


def _problems(connection: apsw.Connection, index: bool) -> list[str]:
    verdicts: list[Any] = connection.execute("PRAGMA integrity_check(20)").fetchall()
    problems = [f"SQLite: {verdict}" for (verdict,) in verdicts if verdict != "ok"]
    if problems:
        return problems
    if index:
        try:
            connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 0)")
        except apsw.CorruptError as exc:
            problems.append(f"word index: {exc}")
    for what, sql in _INVARIANTS:
        found = [row[0] for row in connection.execute(sql + " LIMIT 5")]
        if found:
            problems.append(f"{what}: {', '.join(map(repr, found))}")
    return problems + archive.problems(connection)


def is_unscrubbed(connection: apsw.Connection) -> bool:
    """Say whether an erasure ended, by a crash or a full disk, before its `scrub`."""
    found = connection.execute("SELECT 1 FROM meta WHERE key = ?", (UNSCRUBBED,)).get
    return found is not None


@contextmanager
def overwriting(connection: apsw.Connection) -> Iterator[None]:
    """Let what is deleted in the with block be overwritten with zeros."""
    connection.pragma("secure_delete", True)
    try:
        yield
    finally:
        connection.pragma("secure_delete", False)


def scrub(connection: apsw.Connection, *, waited: float) -> None:
    """Rewrite the index and the file, so that no page keeps a copy of deleted text.

    Raises StorageBusyError if for `waited` seconds a reader held on to the old pages.
    """
    connection.execute("INSERT INTO words (words) VALUES ('optimize')")
    try:
        connection.execute("VACUUM")
    except apsw.FullError as exc:
        raise StorageFullError(
            f"The rows were deleted, but there is no room to rewrite {connection.filename!r}, so"
            " copies of their text are still in it. Make room for as much again as the file"
            " takes, and erase once more.",
            target=connection.filename,
        ) from exc
    [(blocked, *_)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if blocked:
        raise StorageBusyError(
            f"The rows were deleted, but another process was reading {connection.filename!r} for"
            f" {waited:g} s, so copies of their text are still in the file or its -wal file."
            " Erase once more when it has finished.",
            waited=waited,
            target=connection.filename,
        )
    connection.execute("DELETE FROM meta WHERE key = ?", (UNSCRUBBED,))


def verify_copy(path: str) -> None:
    """Check a fresh copy and force it to disk; raise CorruptStoreError if it is unsound."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        report = check(connection, every_column=False)
        connection.pragma("journal_mode", "wal")
    finally:
        connection.close()
    if not report.ok:
        raise CorruptStoreError(
            f"The backup failed its check: {'; '.join(report.problems)}. It was discarded.",
            target=path,
        )
    with open(path, "rb") as file:
        os.fsync(file.fileno())
