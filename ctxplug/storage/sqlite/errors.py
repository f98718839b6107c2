"""From apsw's exceptions to the StorageError family, each with its next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from ctxplug.errors import (
    CannotOpenError,
    CorruptStoreError,
    ReadOnlyError,
    StorageBusyError,
    StorageError,
    StorageFullError,
)


@contextmanager
def translated(path: str, *, waited: float = 0.0) -> Iterator[None]:
    """Turn an apsw error raised inside into its StorageError, with the cause chained."""
    try:
        yield
    except apsw.Error as exc:
        raise translate(exc, path, waited=waited) from exc
    except UnicodeDecodeError as exc:  # every text that was stored is UTF-8
        raise translate(apsw.CorruptError(f"{exc}"), path) from exc


def translate(exc: apsw.Error, path: str, *, waited: float = 0.0) -> StorageError:
    """Return the StorageError for `exc`, raised while using the file `path`."""
    if isinstance(exc, apsw.BusyError | apsw.LockedError):
        return StorageBusyError(
            f"{path!r} stayed locked by another process for {waited:g} s; nothing was written."
            " Try again, or find the process that holds it (`fuser` names it).",
            waited=waited,
            target=path,
        )
    for kind, error, advice in _ADVICE:
        if isinstance(exc, kind):
            return error(f"{path!r}: {exc}. {advice}", target=path)
    return StorageError(
        f"{path!r}: {type(exc).__name__}: {exc}. Nothing of this write was kept; `ctxplug check`"
        " examines the file.",
        target=path,
    )


_ADVICE: tuple[tuple[type[apsw.Error], type[StorageError], str], ...] = (
    (
        apsw.FullError,
        StorageFullError,
        "The disk or quota is full; nothing of this write was kept. Make room and try again.",
    ),
    (
        apsw.ReadOnlyError,
        ReadOnlyError,
        "The file or its folder is read-only. Make both writable, or open it with"
        " 'sqlite:///PATH?mode=ro' to read only.",
    ),
    (
        apsw.NotADBError,
        CorruptStoreError,
        "Its header is damaged or it is no database. It was left as it is; restore a backup.",
    ),
    (
        apsw.CorruptError,
        CorruptStoreError,
        "The file is damaged and was left as it is. Restore a backup in place of it and its -wal"
        " file, or copy both and run sqlite3's .recover on the copy.",
    ),
    (
        apsw.CantOpenError,
        CannotOpenError,
        "It cannot be opened: check the path, the permissions of its folder and the limit on"
        " open files.",
    ),
)
