"""Create, examine and open the file; never overwrite what is there."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from ctxplug.errors import (
    CannotOpenError,
    CorruptStoreError,
    ForeignFileError,
    StorageError,
)
from ctxplug.storage.sqlite import integrity, schema
from ctxplug.storage.sqlite.connections import Place, file_of, merge_on_close, wal_size
from ctxplug.storage.sqlite.errors import translated

MAGIC = b"SQLite format 3\0"
DAMAGED = (
    "Restore a backup in place of it and its -wal file, or copy both and run sqlite3's .recover"
    " on the copy."
)
# Up to this size a whole check at every open costs less than a tenth of a second.
CHECK_ALWAYS_BYTES = 16 * 2**20
SETTLE_TRIES = 5
SETTLE_SECONDS = 0.02


def ensure(path: str, *, read_only: bool, busy_seconds: float) -> Place:
    """Create the store at `path` if nothing is there, else look at what is; return its place.

    Raises CannotOpenError, CorruptStoreError or ForeignFileError; the file is never altered
    by a failure.
    """
    check_path(path)
    path = os.path.abspath(path)  # the process may change its folder later
    with translated(path):
        if not os.path.exists(path):
            if read_only:
                raise CannotOpenError(
                    f"{path!r} does not exist, so it cannot be opened with mode=ro.", target=path
                )
            _refuse_orphan(path)
            _create(path)
        _check_header(path)
        file = file_of(path)
    if file is None:
        raise CannotOpenError(f"{path!r} was deleted while it was opened; try again.", target=path)
    return Place(path, file, read_only, busy_seconds)


def examine(place: Place) -> None:
    """Open the file once: check that it is sound, and bring its schema up to date.

    A whole check runs when the file is small or was not closed cleanly. Raises
    CorruptStoreError or NewerSchemaError.
    """
    path = place.path
    with place.connected() as connection:
        size = connection.pragma("page_size") * connection.pragma("page_count")
        suspect = wal_size(path) > 0 or size <= CHECK_ALWAYS_BYTES
        verdict = connection.execute("PRAGMA quick_check(1)").get if suspect else "ok"
        if verdict != "ok":
            raise CorruptStoreError(
                f"{path!r} is damaged ({verdict}) and was left as it is. {DAMAGED}", target=path
            )
        schema.migrate(connection, path)
        if not place.read_only:
            _finish_erasure(connection)
            merge_on_close(connection)


def _finish_erasure(connection: apsw.Connection) -> None:
    """Do what an erasure that was cut short left to do, unless somebody is writing."""
    if integrity.is_unscrubbed(connection):
        connection.set_busy_timeout(0)
        with suppress(apsw.Error, StorageError):  # the next opening, or erasure, will do it
            integrity.scrub(connection, waited=0)


def sync_folder(path: str) -> None:
    """Make the name of a new file durable, where the system allows it."""
    if os.name != "posix":
        return
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_path(path: str) -> None:
    """Raise CannotOpenError unless `path` can be the path of a file."""
    fault = ""
    if not path or "\0" in path:
        fault = "is empty or holds a NUL character; give the path of a file"
    elif not _encodes(path):
        fault = "is not valid Unicode, which SQLite needs; rename the file or its folder"
    elif os.path.isdir(path):
        fault = "is a folder; give the path of a file in it"
    elif os.path.exists(path) and not os.path.isfile(path):  # to open a pipe may take for ever
        fault = "is a device, a pipe or a socket; give the path of a file"
    elif not Path(path).resolve().parent.is_dir():
        fault = "lies in a folder that does not exist; create the folder first"
    if fault:
        raise CannotOpenError(f"{path!r} {fault}.", target=path)


def _refuse_orphan(path: str) -> None:
    """Refuse to make a new store beside the -wal file of a lost one: SQLite would mix them."""
    if wal_size(path) and not os.path.exists(path):  # else another process has just made it
        raise CorruptStoreError(
            f"{path!r} is missing, but its last writes are in {path + '-wal'!r}. Put the file"
            " back, or remove the -wal file too to start a new store.",
            target=path,
        )


def _create(path: str) -> None:
    """Build the store beside `path` and give it its name whole: no half-made file is seen."""
    with draft_of(path) as draft:
        connection = apsw.Connection(draft, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            schema.create(connection)
        finally:
            connection.close()
        # If another process was first, its file is as good.
        with suppress(FileExistsError):
            os.link(draft, path)
        sync_folder(path)


@contextmanager
def draft_of(path: str) -> Iterator[str]:
    """Make an empty, private file beside `path` to build in, and remove it afterwards.

    Raises CannotOpenError where the folder does not allow it.
    """
    folder, name = os.path.split(os.path.abspath(path))
    draft = os.path.join(folder, f".{name[:64]}.{secrets.token_hex(8)}.new")
    try:
        try:
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            yield draft
        finally:
            for leftover in (draft, draft + "-wal", draft + "-shm", draft + "-journal"):
                with suppress(FileNotFoundError):
                    os.unlink(leftover)
    except OSError as exc:
        raise CannotOpenError(
            f"{path!r} cannot be created: {exc.strerror or exc}. Check the folder's permissions"
            " and the space left.",
            target=path,
        ) from exc


def _check_header(path: str) -> None:
    """Refuse an empty, foreign or truncated file before SQLite may touch it."""
    header, size = _settled_header(path)
    if size == 0:
        raise CorruptStoreError(
            f"{path!r} is an empty file, where a ctxplug store is at least 4 KiB: it was"
            " truncated, or it is another program's. Restore a backup, or delete the file to"
            " start a new store.",
            target=path,
        )
    if not header.startswith(MAGIC):
        ours = header[68:72] == schema.APPLICATION_ID.to_bytes(4, "big")
        if ours:
            raise CorruptStoreError(
                f"{path!r} is a ctxplug store whose header is damaged; it was left as it is."
                " Restore a backup.",
                target=path,
            )
        raise ForeignFileError(
            f"{path!r} is not a ctxplug store: it begins with {header[:16]!r}. It was not"
            " touched. Choose another path, or restore a backup if the store was damaged.",
            target=path,
        )
    if header[68:72] != schema.APPLICATION_ID.to_bytes(4, "big"):
        raise ForeignFileError(
            f"{path!r} is an SQLite database of another program; it was not touched. Choose"
            " another path for the memory.",
            target=path,
        )
    if size < _pages_bytes(header) and not wal_size(path):
        raise CorruptStoreError(
            f"{path!r} is truncated: {size} bytes of {_pages_bytes(header)}. It was left as it"
            f" is. {DAMAGED}",
            target=path,
        )


def _settled_header(path: str) -> tuple[bytes, int]:
    """Return the header and size, waiting while another process moves its -wal file in."""
    for _ in range(SETTLE_TRIES):
        header, size = _read_header(path)
        if size >= _pages_bytes(header) or not header.startswith(MAGIC):
            break
        time.sleep(SETTLE_SECONDS)
    return header, size


def _pages_bytes(header: bytes) -> int:
    """Return how many bytes the pages take of which the header speaks."""
    page = int.from_bytes(header[16:18], "big")
    return (65536 if page == 1 else page) * int.from_bytes(header[28:32], "big")


def _encodes(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def _read_header(path: str) -> tuple[bytes, int]:
    """Read through SQLite's own file layer: another handle would drop this process's locks."""
    try:
        file = apsw.VFSFile("", path, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
    except apsw.Error as exc:
        raise CannotOpenError(
            f"{path!r} cannot be opened for reading: {exc}. Check its permissions.", target=path
        ) from exc
    try:
        size = file.xFileSize()
        return (file.xRead(min(size, 100), 0) if size else b""), size
    except apsw.Error as exc:
        raise StorageError(f"{path!r} cannot be read: {exc}.", target=path) from exc
    finally:
        file.xClose()
