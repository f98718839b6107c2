"""Stores: one SQLite file, looked at without changing it or anything beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw

from ctxplug.doctor.finding import Finding, ok, problem, warning
from ctxplug.doctor.locks import holder_of
from ctxplug.errors import CtxplugError
from ctxplug.storage.shared import path_of
from ctxplug.storage.sqlite import files, integrity, schema
from ctxplug.storage.sqlite.connections import wal_size
from ctxplug.storage.sqlite.errors import translated

__all__ = ["store"]

BUSY_SECONDS = 5.0
LARGE_WAL = 64 * 2**20
RESTORE = "Restore a backup, or export what is still readable: ctxplug export."


def store(target: str) -> Iterator[Finding]:
    """Look at the store `target`: what it holds, whether it is sound, and who is writing."""
    path = path_of(target)
    if path is None:
        name = target.partition(":")[0]
        said = f"{name!r} keeps its stores in no file, so nothing of it was looked at."
        yield ok("store", f"{said} `ctxplug check` asks the store itself.")
        return
    if not os.path.exists(path):
        yield _missing(path)
        return
    for beside in (f"{path}-wal", f"{path}-shm"):
        if os.path.exists(beside) and not os.path.isfile(beside):
            said = f"{beside!r} is no file, so {path!r} cannot be opened."
            yield problem("store", said, "Move it away: SQLite keeps a file of its own there.")
            return
    try:
        files.ensure(path, read_only=True, busy_seconds=BUSY_SECONDS)
        yield from _examined(path)
    except CtxplugError as exc:
        yield problem("store", str(exc), "Until then nothing of it can be read.")
        return
    yield from _writing(path)


def _missing(path: str) -> Finding:
    if wal_size(path):
        said = f"{path!r} is missing, and its last writes are in {path + '-wal'!r}."
        return problem("store", said, "Put the file back beside it, or restore a backup.")
    advice = "Check the path; the first program that opens it with AgentMemory creates it."
    return problem("store", f"There is no store at {path!r}.", advice)


def _examined(path: str) -> Iterator[Finding]:
    """Look inside; while another program has the store open, by its lock files, else without."""
    for _ in range(2):
        in_use = os.path.exists(f"{path}-wal")
        if in_use and not os.path.exists(f"{path}-shm"):
            said = f"{path!r} was not closed cleanly, so it was not looked into."
            yield warning("store", said, "Open it once, which mends that: ctxplug check.")
            return
        with translated(path, waited=BUSY_SECONDS), closing(_opened(path, in_use)) as connection:
            found = list(_inside(path, connection))
        # One that began to write meanwhile makes what was read without locks worth nothing.
        if in_use or not os.path.exists(f"{path}-wal"):
            break
    yield from found


def _opened(path: str, in_use: bool) -> apsw.Connection:
    """Open for reading; without lock files unless they are there, as they would be left behind."""
    if in_use:
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    else:
        address = f"{Path(os.path.abspath(path)).as_uri()}?immutable=1"
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(address, flags=flags)
    connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
    return connection


def _inside(path: str, connection: apsw.Connection) -> Iterator[Finding]:
    version = connection.pragma("user_version")
    if version > schema.VERSION:
        said = f"{path!r} has schema {version}, and this ctxplug knows {schema.VERSION}."
        yield problem("store", said, "Upgrade ctxplug: pip install --upgrade ctxplug.")
        return
    if version < schema.VERSION:
        said = f"{path!r} has schema {version}, which the next opening brings to {schema.VERSION}."
        yield warning("store", said, "Copy the file before, while nothing has it open.")
        return
    report = integrity.check(connection, index=False)
    size = os.path.getsize(path) / 2**20
    counts = ", ".join(f"{name} {n:,}" for name, n in report.counts.items() if n)
    if report.ok:
        said = f"{path!r} is sound: {size:.1f} MiB, schema {version}, {counts or 'empty'}."
        yield ok("store", said)
    for fault in report.problems:
        yield problem("store", f"{path!r} is damaged: {fault}.", RESTORE)


def _writing(path: str) -> Iterator[Finding]:
    """Look at what waits to be moved into the file, and who holds it up."""
    waiting = wal_size(path)
    if waiting > LARGE_WAL:
        yield warning(
            "store",
            f"{waiting / 2**20:.0f} MiB of writes wait beside {path!r}.",
            "A program reads without end, or has stopped: end it, and the next write catches up.",
        )
    holder = holder_of(f"{path}-shm")
    if holder:
        yield warning(
            "store",
            f"The process {holder} is writing to {path!r} and did not end within a second.",
            "If it goes on, look at what it does: other writers wait for it, 30 s at most.",
        )
    elif holder is not None:
        yield ok("store", "No process holds the lock for writing.")
