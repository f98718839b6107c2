"""SqliteBackend: the backend law on one SQLite file."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Literal
from urllib.parse import parse_qsl

import apsw

from ctxplug.errors import CannotOpenError, ReadOnlyError, UnknownComponentError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, namespace_key
from ctxplug.storage.backend import (
    Archived,
    ArchiveLog,
    ArchiveRecords,
    ArchiveState,
    Backend,
    CheckReport,
    Embed,
    Entry,
    Expect,
    Fork,
    Glance,
    Hit,
    Occurrences,
    Op,
    SessionInfo,
    Stream,
    Unarchive,
    Unembed,
    Vector,
    VectorState,
    Where,
    is_listed,
)
from ctxplug.storage.erasure import EraseReceipt
from ctxplug.storage.sqlite import (
    archive,
    archiving,
    erasure,
    files,
    forks,
    integrity,
    lineage,
    log,
    occurrences,
    queries,
    vectors,
)
from ctxplug.storage.sqlite.connections import Readers
from ctxplug.storage.sqlite.errors import translated
from ctxplug.storage.sqlite.expectations import expectations
from ctxplug.storage.sqlite.operations import Step, find_namespace, prepare
from ctxplug.storage.sqlite.schema import bindable, from_micros, unbound
from ctxplug.storage.sqlite.writer import Writer
from ctxplug.storage.vectors import CAPABILITY, VectorIndexes, VectorTables

Synchronous = Literal["full", "normal"]
BUSY_SECONDS = 30.0


def open_sqlite(argument: str) -> SqliteBackend:
    """Open what follows "sqlite:": "///relative.db", "////absolute.db" or a bare path.

    Options follow a "?": mode=ro, synchronous=full|normal, busy=SECONDS.
    """
    options: dict[str, str] = {}
    path = argument
    if argument.startswith("///"):
        path, _, query = argument[3:].partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
    known = {"mode": r"ro|rw", "synchronous": r"(?i:full|normal)", "busy": r"\d{1,6}(\.\d+)?"}
    if any(not re.fullmatch(known.get(name, r"(?!)"), options[name]) for name in options):
        raise UnknownComponentError(
            f"'sqlite:{argument}' has options that are not known; they are mode=ro,"
            " synchronous=full|normal and busy=SECONDS.",
            kind="option",
            name=argument,
            known=tuple(known),
        )
    return SqliteBackend(
        path,
        read_only=options.get("mode") == "ro",
        synchronous="normal" if options.get("synchronous", "").lower() == "normal" else "full",
        busy_seconds=float(options.get("busy", BUSY_SECONDS)),
    )


class SqliteBackend(Backend):
    """A store in the file `path`, created if it is not there.

    With synchronous "full" an acknowledged write survives power loss; "normal" commits
    several times faster and may lose the last commits to power loss, never to a crash of
    the process. Several processes may use one file. A forked child may go on using it.
    `busy_seconds` is how long a write waits for another process; `indexes` keeps what finds
    near vectors, in memory unless given. Raises CannotOpenError,
    ReadOnlyError, CorruptStoreError, ForeignFileError, NewerSchemaError.
    """

    capabilities = frozenset({"keyword", "archive", "fork", "backup", "durable"}) | CAPABILITY

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        synchronous: Synchronous = "full",
        busy_seconds: float = BUSY_SECONDS,
        indexes: VectorIndexes | None = None,
    ) -> None:
        self.path = os.fsdecode(path)
        self.read_only = read_only
        self._synchronous = synchronous
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        with forks.GATE, translated(self.path, waited=busy_seconds):
            self._place = files.ensure(self.path, read_only=read_only, busy_seconds=busy_seconds)
            files.examine(self._place)
        self._readers = Readers(self._place)
        self._tables = vectors.Tables(indexes or VectorTables())
        forks.look_after(self)

    # -- log -----------------------------------------------------------------------

    def write(self, *ops: Op) -> list[int]:
        """Apply `ops` in one transaction; see the law."""
        self._readers.refuse_closed()
        steps = [self._prepare(op) for op in ops]
        if not steps:
            return []
        require = expectations(ops)

        def unit(connection: apsw.Connection) -> list[int]:
            require(connection)
            return [step(connection) for step in steps]

        return self._writing().run(unit)

    def read(
        self,
        stream: Stream,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        kinds: Sequence[str] | None = None,
        pinned: bool | None = None,
    ) -> list[Entry]:
        """Return entries of `stream` by version range, from either end."""
        wanted = log.Wanted(after, before, limit, newest_first, kinds, pinned)
        with self._reading() as connection:
            return log.read(connection, stream, wanted)

    def head(self, stream: Stream) -> int:
        """Return the newest version of `stream`, 0 if there is none."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT version FROM streams WHERE session = ? AND namespace ="
                " (SELECT id FROM namespaces WHERE key = ?)",
                (bindable(stream.session), bindable(namespace_key(stream.namespace))),
            ).get
        return int(found or 0)

    def sessions(self, namespace: Namespace) -> list[SessionInfo]:
        """Return the streams of `namespace` in order of creation."""
        with self._reading() as connection:
            rows: list[Any] = connection.execute(
                "SELECT s.session, s.version, s.created_at, s.updated_at,"
                " iif(s.archived > s.forked, s.archived, 0), p.session, s.forked FROM streams s"
                " LEFT JOIN streams p ON p.id = s.parent WHERE s.namespace = ? ORDER BY s.id",
                (find_namespace(connection, namespace),),
            ).fetchall()
        return [_session_info(*row) for row in rows]

    def lineage(self, stream: Stream) -> list[tuple[str, int]]:
        """Return the sessions whose entries `stream` reads, oldest first."""
        with self._reading() as connection:
            return lineage.lineage(connection, stream)

    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        """Return the namespaces that begin with `prefix`, sorted."""
        key = bindable(namespace_key(prefix))
        with self._reading() as connection:
            keys: list[Any] = connection.execute(
                "SELECT key FROM namespaces n WHERE (EXISTS"
                " (SELECT 1 FROM streams WHERE namespace = n.id)"
                " OR EXISTS (SELECT 1 FROM records WHERE namespace = n.id)"
                " OR EXISTS (SELECT 1 FROM segments WHERE namespace = n.id))"
                + (" AND key >= ? AND key < ?" if key else ""),  # "0" comes after "/"
                (key, f"{key}0") if key else (),
            ).fetchall()
        found = [tuple(unbound(key).split("/")) for (key,) in keys]
        return sorted(n for n in found if is_listed(n, prefix))

    # -- records -------------------------------------------------------------------

    def get(self, namespace: Namespace, id: str) -> MemoryRecord | None:
        """Return one record, or None."""
        found = self.find(Where(namespace, ids=[id]), limit=1)
        return found[0] if found else None

    def find(
        self, where: Where, *, limit: int | None = None, offset: int = 0
    ) -> list[MemoryRecord]:
        """Return matching records, newest first."""
        with self._reading() as connection:
            number = find_namespace(connection, where.namespace)
            if number is None:
                return []
            clause, values = queries.conditions(where, number)
            # With ids at hand, walking the index of times to them would be the long way.
            order = "r.created_at" if where.ids is None else "+r.created_at"
            rows = connection.execute(
                f"SELECT {queries.RECORD_COLUMNS} FROM records r"
                f" LEFT JOIN entries e ON e.id = r.entry WHERE {clause}"
                f" ORDER BY {order} DESC, r.id DESC LIMIT ? OFFSET ?",
                (*values, -1 if limit is None else max(0, limit), max(0, offset)),
            ).fetchall()
        return [queries.record_of(row, where.namespace) for row in rows]

    def count(self, where: Where) -> int:
        """Return how many records match."""
        with self._reading() as connection:
            number = find_namespace(connection, where.namespace)
            if number is None:
                return 0
            clause, values = queries.conditions(where, number)
            sql = f"SELECT count(*) FROM records r WHERE {clause}"
            return int(connection.execute(sql, values).get)

    def search(
        self,
        where: Where,
        *,
        terms: Sequence[str] = (),
        vector: Vector | None = None,
        embedder: str | None = None,
        limit: int = 10,
    ) -> list[Hit]:
        """Return the best matches for any of `terms` by BM25, or the nearest to `vector`."""
        if vector is not None:
            self._require("vector")
            # One snapshot: a vector that is replaced meanwhile has another key.
            with self._reading() as connection, connection:
                hits = self._tables.search(connection, where, vector, embedder, limit)
            return hits
        terms = queries.searchable(terms)
        with self._reading() as connection:
            number = find_namespace(connection, where.namespace)
            if number is None or not terms or limit <= 0:
                return []
            clause, values = queries.conditions(where, number)
            rows: list[Any] = connection.execute(
                f"""SELECT found.score, {queries.RECORD_COLUMNS} FROM (
                    SELECT r.rowid AS id, words.rank AS score FROM words
                    JOIN records r ON r.place = words.rowid
                    WHERE words MATCH ? AND {clause} ORDER BY words.rank, r.rowid DESC LIMIT ?
                ) AS found JOIN records r ON r.rowid = found.id
                LEFT JOIN entries e ON e.id = r.entry ORDER BY found.score, r.rowid DESC""",
                (queries.match(number, terms), *values, limit),
            ).fetchall()
            if any(row[0] is None for row in rows):  # so FTS5 answers when a read fails
                raise apsw.IOError("the word index could not be read")
        return [Hit(queries.record_of(row[1:], where.namespace), -row[0]) for row in rows]

    def nearest(
        self, where: Where, vector: Vector, *, embedder: str | None = None, limit: int = 10
    ) -> list[tuple[str, float]]:
        """Return id and score of what `search` finds by `vector`, without reading records."""
        self._require("vector")
        with self._reading() as connection, connection:
            found = self._tables.nearest(connection, where, vector, embedder, limit)
        return found

    def occurrences(self, where: Where, terms: Sequence[str], *, limit: int) -> Occurrences:
        """Return where `terms` occur among the records of `where`."""
        with self._reading() as connection:
            return occurrences.occurrences(connection, where, terms, limit)

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Glance]:
        """Return what ranking needs of the searchable records of `where`, of `places` if given."""
        with self._reading() as connection:
            return occurrences.glance(connection, where, places)

    def vector_state(self, namespace: Namespace) -> VectorState:
        """Return whose vectors `namespace` holds and how many records wait for one."""
        self._require("vector")
        with self._reading() as connection:
            return vectors.state(connection, find_namespace(connection, namespace))

    def unembedded(self, namespace: Namespace, limit: int) -> list[MemoryRecord]:
        """Return up to `limit` searchable records without a vector, oldest writes first."""
        self._require("vector")
        with self._reading() as connection:
            return vectors.unembedded(connection, namespace, limit)

    def archived(
        self, where: Where, terms: Sequence[str] | None = None, *, limit: int | None = None
    ) -> list[Archived]:
        """Return archived records of `where`, newest first; with `terms`, those that hold any."""
        self._require("archive")
        with self._reading() as connection:
            found = archive.archived(connection, where, terms)
        found.sort(key=lambda one: (one.record.created_at, one.record.id), reverse=True)
        return found[: None if limit is None else max(0, limit)]

    def archive_state(self, namespace: Namespace) -> ArchiveState:
        """Return how much of `namespace` is archived."""
        self._require("archive")
        with self._reading() as connection:
            return archive.state(connection, find_namespace(connection, namespace))

    # -- care ----------------------------------------------------------------------

    def erase(self, namespace: Namespace) -> EraseReceipt:
        """Remove everything of `namespace` and rewrite the file without it."""
        receipt = self._erase(namespace, ())
        remaining = self.count(Where(namespace)) + len(self.sessions(namespace))
        remaining += self.archive_state(namespace).segments
        return replace(receipt, remaining=remaining)

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        """Remove the own entries of sessions and rewrite the file without them."""
        names = tuple(dict.fromkeys((session, *others)))
        receipt = self._erase(namespace, names)
        with self._reading() as connection:
            return replace(receipt, remaining=erasure.remaining(connection, namespace, names))

    def _erase(self, namespace: Namespace, sessions: tuple[str, ...]) -> EraseReceipt:
        with self._reading() as connection:
            number = find_namespace(connection, namespace)
        self._drop_index(number)  # before, so that a crash leaves none behind
        erase = partial(erasure.erase, namespace=namespace, sessions=sessions)
        receipt = self._writing().run(erase)
        self._drop_index(number)  # after, because a search may have made it anew
        waited = self._place.busy_seconds
        finish = partial(erasure.finish, namespace=namespace, sessions=sessions, waited=waited)
        self._writing().run(finish, alone=True)
        return receipt

    def check(self) -> CheckReport:
        """Run SQLite's own check, the index's, and ours."""
        if self.read_only:
            with self._reading() as connection:
                return integrity.check(connection, index=False)

        def unit(connection: apsw.Connection) -> CheckReport:
            try:
                with self._place.connected() as fresh:  # sees the file, not what is cached
                    return integrity.check(fresh)
            except (apsw.CorruptError, apsw.NotADBError) as exc:  # not even its tables are legible
                return CheckReport((f"SQLite: {exc}",), {})

        return self._writing().run(unit, alone=True)

    def backup(self, target: str) -> None:
        """Write a consistent, checked copy to `target`, which must not exist yet."""
        target = os.fsdecode(target)
        files.check_path(target)
        with files.draft_of(target) as draft:
            with self._reading() as connection, translated(target):
                connection.execute("VACUUM INTO ?", (draft,))
            with forks.GATE, translated(target):
                integrity.verify_copy(draft)
            try:
                os.link(draft, target)
            except FileExistsError as exc:
                raise CannotOpenError(
                    f"{target!r} exists already; a backup never overwrites. Choose another name.",
                    target=target,
                ) from exc
            files.sync_folder(target)

    def close(self) -> None:
        """Commit what is queued and close the file. May be called twice."""
        with forks.GATE, self._lock:
            self._readers.close()
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        self._threads().dismiss()

    # -- vectors -------------------------------------------------------------------

    def index_vectors(self, namespace: Namespace) -> None:
        """Bring the index of `namespace` up to date now; else the next search does it."""
        with self._reading() as connection:
            number = find_namespace(connection, namespace)
            if number is not None:
                self._tables.fresh(connection, number)

    def _drop_index(self, number: int | None) -> None:
        if number is not None:
            with self._reading() as connection:
                self._tables.drop(connection, number)

    def _prepare(self, op: Op) -> Step:
        if isinstance(op, Expect):
            return lambda connection: 1
        if isinstance(op, ArchiveLog | ArchiveRecords | Unarchive):
            self._require("archive")
            return archiving.prepare(op)
        if isinstance(op, Fork):
            self._require("fork")
            return lineage.prepare(op)
        if not isinstance(op, Embed | Unembed):
            return prepare(op)
        self._require("vector")
        return vectors.prepare(op)

    # -- connections ---------------------------------------------------------------

    def _writing(self) -> Writer:
        with self._lock:
            self._readers.refuse_closed()
            if self.read_only:
                raise ReadOnlyError(
                    f"{self.path!r} was opened with mode=ro; open it without to write.",
                    target=self.path,
                )
            if self._writer is None:
                self._writer = Writer(self._place, self._synchronous)
            return self._writer

    def _reading(self) -> AbstractContextManager[apsw.Connection]:
        return self._readers.lend()

    def before_fork(self) -> None:
        """Close every connection; called by `forks` when none is in use."""
        self._readers.let_go()
        if self._writer is not None:
            self._writer.let_go()

    def after_fork_in_child(self) -> None:
        """Leave behind what is the parent's; called by `forks`."""
        self._lock = threading.Lock()
        self._writer = None
        self._readers.after_fork_in_child()
        self._tables.after_fork_in_child()


def _session_info(
    session: str,
    version: int,
    created_at: int,
    updated_at: int,
    archived: int,
    parent: str | None,
    forked: int,
) -> SessionInfo:
    times = from_micros(created_at), from_micros(updated_at)
    name = None if parent is None else unbound(parent)
    return SessionInfo(unbound(session), version, *times, archived, name, forked)
