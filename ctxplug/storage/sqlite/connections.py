"""Connections to one store's file: one way to open them, and a pool of them for reading."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw

from ctxplug.errors import CannotOpenError, ClosedError, ReadOnlyError
from ctxplug.storage.sqlite.errors import translated
from ctxplug.storage.sqlite.forks import GATE

CACHE_KIB = 4000


@dataclass(frozen=True)
class Place:
    """The file of one open store; `file` is its device and inode."""

    path: str
    file: tuple[int, int]
    read_only: bool
    busy_seconds: float

    def connect(self) -> apsw.Connection:
        """Open one connection; raise CannotOpenError if the path leads elsewhere by now."""
        self.require_unmoved()
        connection = self._readable() if self.read_only else self._writable()
        with closing_on_failure(connection):
            connection.pragma("cache_size", -CACHE_KIB)
            connection.pragma("temp_store", 2)
        return connection

    @contextmanager
    def connected(self) -> Iterator[apsw.Connection]:
        """Open a connection for a with block."""
        connection = self.connect()
        try:
            yield connection
        finally:
            close_quietly(connection)

    def require_unmoved(self) -> None:
        """Refuse to go on with a file that was deleted or replaced: nobody would find the data."""
        if file_of(self.path) != self.file:
            raise CannotOpenError(
                f"{self.path!r} was deleted or replaced while it was open; nothing was written."
                " Put the file back, or close this store and open the path again.",
                target=self.path,
            )

    def _writable(self) -> apsw.Connection:
        connection = self._opened(self.path, apsw.SQLITE_OPEN_READWRITE)
        with closing_on_failure(connection):
            if connection.readonly("main"):
                raise self._is_read_only("the file")
            try:
                connection.pragma("schema_version")  # a first read, which needs the -wal file
            except (apsw.CantOpenError, apsw.ReadOnlyError) as exc:
                if os.access(os.path.dirname(self.path), os.W_OK):
                    raise
                raise self._is_read_only("its folder") from exc
        return connection

    def _readable(self) -> apsw.Connection:
        connection = self._opened(self.path, apsw.SQLITE_OPEN_READONLY)
        try:
            with closing_on_failure(connection):
                connection.pragma("schema_version")
        except (apsw.CantOpenError, apsw.ReadOnlyError) as exc:
            if wal_size(self.path):
                raise ReadOnlyError(
                    f"{self.path!r} has writes waiting in its -wal file, and its folder is"
                    " read-only, so they cannot be read. Open it once where the folder can be"
                    " written, or copy the file and its -wal file to such a folder.",
                    target=self.path,
                ) from exc
            # Nobody can share a file whose lock files cannot be made: it stands still.
            return self._opened(
                f"{Path(self.path).as_uri()}?immutable=1",
                apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
            )
        return connection

    def _opened(self, name: str, flags: int) -> apsw.Connection:
        connection = apsw.Connection(name, flags=flags)
        connection.set_busy_timeout(int(self.busy_seconds * 1000))
        if wal_size(self.path):  # closing must not merge it into a file that may be damaged
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return connection

    def _is_read_only(self, what: str) -> ReadOnlyError:
        return ReadOnlyError(
            f"{self.path!r} cannot be written: {what} is read-only. Make the file and its folder"
            " writable, or open it with 'sqlite:///PATH?mode=ro' to read only.",
            target=self.path,
        )


class Readers:
    """Idle connections, lent to one reader at a time; readers never wait for the writer."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._idle: list[apsw.Connection] = []
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[apsw.Connection]:
        """Lend a connection for a with block; apsw's errors come out translated."""
        place = self._place
        with GATE, translated(place.path, waited=place.busy_seconds):
            with self._lock:
                self.refuse_closed()
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = place.connect()
            with closing_on_failure(connection):
                yield connection
            with self._lock:
                if not self._closed:
                    self._idle.append(connection)
                    return
            close_quietly(connection)

    def let_go(self) -> None:
        """Close the idle connections; the next reader opens a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            close_quietly(connection)

    def close(self) -> None:
        """Close the idle connections, and the others as they come back."""
        with self._lock:
            self._closed = True
        self.let_go()

    def refuse_closed(self) -> None:
        """Raise ClosedError after `close`."""
        if self._closed:
            raise ClosedError(f"The store {self._place.path!r} was closed; open it again.")

    def after_fork_in_child(self) -> None:
        """Replace the lock, which another thread may have held."""
        self._lock = threading.Lock()


def close_quietly(connection: apsw.Connection) -> None:
    """Close `connection`; if merging the -wal file fails, the next to open the file does it."""
    with suppress(apsw.Error):
        connection.close(True)


@contextmanager
def closing_on_failure(connection: apsw.Connection) -> Iterator[None]:
    """Close `connection` if the with block fails."""
    try:
        yield
    except BaseException:
        close_quietly(connection)
        raise


def merge_on_close(connection: apsw.Connection) -> None:
    """Let `connection` merge the -wal file into the sound file when it is the last to close."""
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)


def file_of(path: str) -> tuple[int, int] | None:
    """Return what identifies the file at `path`, or None if there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def wal_size(path: str) -> int:
    """Return the bytes in the write-ahead log of `path`; another process may remove it."""
    try:
        return os.path.getsize(path + "-wal") if os.path.exists(path + "-wal") else 0
    except FileNotFoundError:
        return 0
