"""Places: permissions, owners, space and file system of a store's files, and its backups."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import apsw

from ctxplug.doctor.finding import Finding, ok, problem, warning
from ctxplug.storage.sqlite.files import MAGIC

__all__ = ["backups", "keys", "permissions", "space"]

BESIDE = ("-wal", "-shm")
LITTLE = 64 * 2**20  # bytes of space below which writes may soon fail
OLD_HOURS = 26.0  # a daily backup, and a little patience
MOUNTS = Path("/proc/self/mounts")
REMOTE = ("nfs", "cifs", "smb", "9p", "afs", "fuse.sshfs", "fuse.s3fs", "ceph", "glusterfs")
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def permissions(path: str) -> Iterator[Finding]:
    """Look at who may read and write a store and its folder."""
    folder = os.path.dirname(os.path.abspath(path))
    faults = list(_modes(path, folder)) if os.name == "posix" else []
    for name, what in ((path, "the store"), (folder, "its folder")):
        if not os.access(name, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            said = f"This user cannot write {what}, {name!r}: it can be read only."
            faults.append(warning("permissions", said, "Run as its owner, or change the owner."))
    yield from faults or [ok("permissions", "The store and its folder are as they should be.")]


def _modes(path: str, folder: str) -> Iterator[Finding]:
    found = os.stat(path)
    if found.st_mode & OTHERS:
        said = f"Others on this machine may open {path!r}: its mode is {_mode(found)}."
        yield warning("permissions", said, f"Keep it to its owner: chmod 600 {shlex.quote(path)}")
    above = os.stat(folder)
    if above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX:
        said = f"Anybody on this machine may replace the store: {folder!r} is {_mode(above)}."
        yield problem("permissions", said, f"chmod 700 {shlex.quote(folder)}")
    for ending in BESIDE:
        try:
            beside = os.stat(path + ending)
        except OSError:
            continue
        if beside.st_uid != found.st_uid:
            yield problem(
                "permissions",
                f"{path + ending!r} belongs to the user {beside.st_uid}, and the store to"
                f" {found.st_uid}, whose programs cannot write then.",
                f"End all programs that have it open, then: chown {found.st_uid}"
                f" {shlex.quote(path + '-wal')} {shlex.quote(path + '-shm')}. Run ctxplug as the"
                " store's owner.",
            )


def space(path: str) -> Iterator[Finding]:
    """Look at the space that is left, and whether the file system is one of this machine."""
    folder = os.path.dirname(os.path.abspath(path))
    free, size = shutil.disk_usage(folder).free, os.path.getsize(path)
    said = f"{free / 2**20:,.0f} MiB are free in {folder!r}"
    if free < LITTLE:
        yield problem("space", f"{said}: writes will soon be refused.", "Make room.")
    elif free < 2 * size:
        advice = "Make room: a backup or an erasure takes as much as the store."
        yield warning("space", f"{said}, and the store takes {size / 2**20:,.0f}.", advice)
    else:
        yield ok("space", f"{said}.")
    kind = _file_system(folder)
    if kind.startswith(REMOTE):
        said = f"{folder!r} is on {kind}, where SQLite's locks do not hold."
        yield problem("space", said, "Keep the store on a disk of this machine.")


def keys(path: str) -> Iterator[Finding]:
    """Look at the file of a server's keys, if it is there."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):  # to open a pipe may take for ever
            raise OSError(f"{path!r} is no file")
        with open(path, encoding="utf-8") as file:
            count = len(json.load(file)["keys"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as exc:
        said = f"The keys in {path!r} cannot be read: {type(exc).__name__}."
        yield problem("keys", said, "Restore the file; until then the server lets nobody in.")
        return
    if os.name == "posix" and found.st_mode & OTHERS:
        said = f"Others on this machine may open the keys in {path!r}: {_mode(found)}."
        yield problem("keys", said, f"Keep them to their owner: chmod 600 {shlex.quote(path)}")
    else:
        many = "1 key" if count == 1 else f"{count} keys"
        yield ok("keys", f"{path!r} holds {many}, for its owner's eyes only.")


def backups(folder: str, store: str | None = None, now: float | None = None) -> Iterator[Finding]:
    """Look at the newest backup in `folder`, which `store` itself is none of: how old it is."""
    own = None if store is None else os.path.realpath(store)
    # To open a -shm file and close it would let go of the locks that this process has on it.
    found = [path for path in Path(folder).glob("*") if not path.name.endswith(BESIDE)]
    files = [path for path in found if os.path.realpath(path) != own and _is_store(path)]
    if not files:
        said = f"There is no backup in {folder!r}."
        yield problem("backups", said, "Make one: ctxplug backup STORE FILE.")
        return
    newest = max(files, key=lambda path: path.stat().st_mtime)
    hours = ((time.time() if now is None else now) - newest.stat().st_mtime) / 3_600
    said = f"The newest backup, {newest.name!r}, is {hours:.0f} hours old."
    if hours > OLD_HOURS:
        yield warning("backups", said, "Look why none was made since.")
    else:
        yield ok("backups", said)


def _is_store(path: Path) -> bool:
    """Say whether a file is a store; read as SQLite reads, which keeps this process's locks."""
    if not path.is_file():  # to open a pipe may take for ever
        return False
    try:
        flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0]
        file = apsw.VFSFile("", os.path.abspath(path), flags)
    except apsw.Error:
        return False
    try:
        return bool(file.xRead(len(MAGIC), 0) == MAGIC)
    except apsw.Error:  # shorter than that
        return False
    finally:
        file.xClose()


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):o}"


def _file_system(folder: str) -> str:
    """Return the kind of the file system that `folder` is on, "" where it cannot be told."""
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return ""
    real = os.path.realpath(folder)
    over = [(m[1].replace("\\040", " "), m[2]) for m in mounts if len(m) > 2]
    under = [
        (place, kind) for place, kind in over if (real + "/").startswith(place.rstrip("/") + "/")
    ]
    return max(under, key=lambda one: len(one[0]), default=("", ""))[1]
