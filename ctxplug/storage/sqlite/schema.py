"""The tables, their version, and the way from older versions to this one.

Times are integer microseconds since 1970, UTC. An entry's id is its stream's id times
2**32 plus its version, so one integer key orders the whole log. Ids are never used
twice, so a reader that looked one up just before an erase finds nothing of another's.
A term in the word index begins with its namespace's number, so each namespace has postings
of its own; they list places: an entry's id, or for other records -16 times the rowid.
A `crc` is that of an entry, or of a record's body: SQLite does not see a byte that changed.
The entries of a stream up to its `archived` version are in segments (`storage.segments`),
but for those of a fork up to its `forked` version, which are its parent's; `moved` counts
how often entries went there or came back.
Names that come from users are bound as `bindable` text; bodies are exact.
"""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import apsw

from ctxplug.errors import NewerSchemaError, ReadOnlyError
from ctxplug.times import to_datetime

APPLICATION_ID = 0x63747870  # "ctxp"
VERSION = 2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# A noncharacter, which no text of sense holds, begins the four hex digits of what SQLite
# cannot bind, or cuts off.
_ESCAPE = "\ufdd0"
_UNBINDABLE = re.compile("[\0\ufdd0\ud800-\udfff]")
_ESCAPED = re.compile("\ufdd0([0-9a-f]{4})")

# Terms arrive analysed: the tokenizer splits at spaces and at nothing else.
_PUNCTUATION = string.punctuation.replace("'", "''").replace('"', '""')

_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('store', lower(hex(randomblob(8))));
CREATE TABLE namespaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    embedder TEXT,
    dimension INTEGER NOT NULL DEFAULT 0,
    vectors_removed INTEGER NOT NULL DEFAULT 0,
    searchable INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL,
    session TEXT NOT NULL,
    version INTEGER NOT NULL,
    archived INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    parent INTEGER,
    forked INTEGER NOT NULL DEFAULT 0,
    moved INTEGER NOT NULL DEFAULT 0,
    UNIQUE (namespace, session)
);
CREATE INDEX streams_parent ON streams (parent) WHERE parent IS NOT NULL;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    pinned INTEGER NOT NULL,
    agent TEXT,
    created_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL
);
CREATE INDEX entries_pinned ON entries (id) WHERE pinned;
CREATE TABLE records (
    rowid INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    tier TEXT NOT NULL,
    session TEXT,
    agent TEXT,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    valid_from INTEGER,
    valid_to INTEGER,
    last_accessed INTEGER,
    access_count INTEGER NOT NULL,
    importance REAL NOT NULL,
    traits INTEGER NOT NULL,
    indexed INTEGER NOT NULL,
    embedded INTEGER NOT NULL DEFAULT 0,
    entry INTEGER,
    body BLOB,
    crc INTEGER,
    place INTEGER GENERATED ALWAYS AS (coalesce(entry, -16 * rowid)) VIRTUAL,
    UNIQUE (namespace, id)
);
CREATE INDEX records_time ON records (namespace, created_at);
CREATE UNIQUE INDEX records_place ON records (place);
CREATE INDEX records_unembedded ON records (namespace) WHERE indexed AND NOT embedded;
CREATE TRIGGER record_added AFTER INSERT ON records WHEN new.indexed BEGIN
    UPDATE namespaces SET searchable = searchable + 1 WHERE id = new.namespace;
END;
CREATE TRIGGER record_changed AFTER UPDATE OF indexed ON records
    WHEN old.indexed <> new.indexed BEGIN
    UPDATE namespaces SET searchable = searchable + new.indexed - old.indexed
        WHERE id = new.namespace;
END;
CREATE TRIGGER record_gone AFTER DELETE ON records WHEN old.indexed BEGIN
    UPDATE namespaces SET searchable = searchable - 1 WHERE id = old.namespace;
END;
CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL,
    stream INTEGER,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    items INTEGER NOT NULL,
    records INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    kinds TEXT NOT NULL,
    size INTEGER NOT NULL,
    words BLOB NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX segments_namespace ON segments (namespace);
CREATE INDEX segments_stream ON segments (stream, first) WHERE stream IS NOT NULL;
CREATE TABLE archived (
    namespace INTEGER NOT NULL,
    id TEXT NOT NULL,
    segment INTEGER NOT NULL,
    PRIMARY KEY (namespace, id)
) WITHOUT ROWID;
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    record INTEGER NOT NULL UNIQUE,
    namespace INTEGER NOT NULL,
    vector BLOB NOT NULL
);
CREATE INDEX vectors_namespace ON vectors (namespace);
CREATE TRIGGER record_replaced AFTER UPDATE OF body ON records WHEN old.embedded BEGIN
    DELETE FROM vectors WHERE record = old.rowid;
END;
CREATE TRIGGER record_deleted AFTER DELETE ON records WHEN old.embedded BEGIN
    DELETE FROM vectors WHERE record = old.rowid;
END;
CREATE TRIGGER vector_added AFTER INSERT ON vectors BEGIN
    UPDATE records SET embedded = 1 WHERE rowid = new.record;
END;
CREATE TRIGGER vector_removed AFTER DELETE ON vectors BEGIN
    UPDATE records SET embedded = 0 WHERE rowid = old.record;
    UPDATE namespaces SET vectors_removed = vectors_removed + 1 WHERE id = old.namespace;
END;
CREATE VIRTUAL TABLE words USING fts5 (
    terms, content='', contentless_delete=1, tokenize="ascii tokenchars '{_PUNCTUATION}'"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, 'row');
CREATE TRIGGER record_moved AFTER UPDATE OF entry ON records WHEN old.place <> new.place BEGIN
    DELETE FROM words WHERE rowid = old.place;
END;
"""

# MIGRATIONS[n] brings a file of version n to n + 1, inside one transaction.
MIGRATIONS: dict[int, str] = {
    1: """
ALTER TABLE streams ADD COLUMN parent INTEGER;
ALTER TABLE streams ADD COLUMN forked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
CREATE INDEX streams_parent ON streams (parent) WHERE parent IS NOT NULL;
""",
}


def create(connection: apsw.Connection) -> None:
    """Lay the tables in a new, empty file."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(_TABLES)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def migrate(connection: apsw.Connection, path: str) -> None:
    """Bring an older file up to VERSION; refuse a newer one with NewerSchemaError."""
    found = connection.pragma("user_version")
    if found > VERSION:
        raise NewerSchemaError(
            f"{path!r} has schema {found}, written by a newer ctxplug; this one reads up to"
            f" schema {VERSION}. Upgrade ctxplug; the file was not touched.",
            target=path,
        )
    if found == VERSION:
        return
    if connection.readonly("main"):
        raise ReadOnlyError(
            f"{path!r} has schema {found} and must be brought up to {VERSION} first; open it once"
            " without mode=ro.",
            target=path,
        )
    connection.execute("BEGIN EXCLUSIVE")
    try:
        # Read again: another process may have migrated while this one waited.
        for step in range(connection.pragma("user_version"), VERSION):
            connection.execute(MIGRATIONS[step])
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def to_micros(time: datetime | None) -> int | None:
    """Return `time` as the integer that is stored; a naive time is taken as UTC."""
    return None if time is None else (to_datetime(time) - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the time that a stored integer stands for."""
    return _EPOCH + timedelta(microseconds=micros)


def entry_id(stream: int, version: int) -> int:
    """Return the key of an entry."""
    return stream << 32 | version


def version_of(entry: int) -> int:
    """Return the version that an entry's key holds."""
    return entry & 0xFFFFFFFF


def crc_of(body: bytes, *columns: Any) -> int:
    """Return the checksum of `body` and of what stands beside it; none, if it is no body."""
    if not isinstance(body, bytes):  # a damaged row may hold anything
        return -1
    return crc32(repr(columns).encode("utf-8", "surrogatepass"), crc32(body))


def bindable(text: str) -> str:
    """Return `text` as SQLite can bind and compare it; `unbound` is the exact inverse."""
    return _UNBINDABLE.sub(lambda match: f"{_ESCAPE}{ord(match[0]):04x}", text)


def unbound(text: str) -> str:
    """Return what `bindable` was given."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
