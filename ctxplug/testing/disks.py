"""Disks that fail, and disks that lose power: what durability is proved on.

While one of them is open (as a context manager), it is the disk of every SQLite file that
apsw opens in this process.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import apsw

SECTOR = 512
DROPPED = 0.4  # of the writes that were not yet synced
TORN = 0.2

Call: TypeAlias = Literal["open", "read", "write", "truncate", "sync", "delete"]
_names = iter(range(10**9))


class Disk(apsw.VFS):
    """The system's disk, which tells `before` of every call, and can be told to fail."""

    def __init__(self) -> None:
        self.name = f"ctxplug-testing-{next(_names)}"
        self._plain = apsw.vfs_names()[0]
        super().__init__(self.name, self._plain, makedefault=True)

    def before(self, call: Call, path: str, *details: Any) -> None:
        """See a call before it is made; an apsw error raised here is the disk's answer."""

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        """Open a file that reports what is done to it."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self.before("open", path)
        return _File(self, self._plain, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        """Delete a file."""
        self.before("delete", filename, syncdir)
        super().xDelete(filename, syncdir)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.unregister()


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, plain: str, path: str, name: Any, flags: list[int]) -> None:
        self._disk, self._path = disk, path
        super().__init__(plain, name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.before("read", self._path)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.before("write", self._path, offset, bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._disk.before("truncate", self._path, size)
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self._disk.before("sync", self._path)
        super().xSync(flags)


class FailingDisk(Disk):
    """A disk whose `nth` call among `calls` answers with `error`, once; see `fired`."""

    def __init__(self, nth: int, calls: set[Call], error: Callable[[], apsw.Error]) -> None:
        self.fired = False
        self._left = nth
        self._calls = calls
        self._error = error
        self._lock = threading.Lock()
        super().__init__()

    def before(self, call: Call, path: str, *details: Any) -> None:
        """Count the call, and fail if it is the one."""
        if call not in self._calls:
            return
        with self._lock:
            self._left -= 1
            if self._left:
                return
            self.fired = True
        raise self._error()


@dataclass(frozen=True)
class _Step:
    call: Call
    path: str
    offset: int = 0
    data: bytes = b""


class RecordingDisk(Disk):
    """A disk that remembers every change, so that a power failure can be acted out later.

    `moment` is the number of changes so far: note it when a write is acknowledged.
    """

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        super().__init__()

    @property
    def moment(self) -> int:
        """The number of changes so far."""
        return len(self._steps)

    def before(self, call: Call, path: str, *details: Any) -> None:
        """Remember a change."""
        if call in ("write", "truncate"):
            self._steps.append(_Step(call, path, *details))
        elif call in ("sync", "delete"):
            self._steps.append(_Step(call, path))

    def after_power_loss(
        self, moment: int, start: dict[str, bytes], seed: int, *, lying: bool = False
    ) -> dict[str, bytes]:
        """Return the files as they may be when the power fails at `moment`.

        `start` are the files as they were before recording. What a file's last sync covers
        is kept; of its later changes 40 % are lost and 20 % of the writes are torn at a
        sector. With `lying` the disk never honoured a sync.
        """
        steps = self._steps[:moment]
        synced: dict[str, int] = {}
        if not lying:
            synced = {step.path: i for i, step in enumerate(steps) if step.call == "sync"}
        chance = random.Random(seed)
        files = {path: bytearray(data) for path, data in start.items()}
        for i, step in enumerate(steps):
            certain = i < synced.get(step.path, -1)
            if certain or chance.random() >= DROPPED:
                _apply(files, step, None if certain or chance.random() >= TORN else chance)
        return {path: bytes(data) for path, data in files.items()}


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Put `files` into `folder`, under their own names."""
    for path, data in files.items():
        (folder / Path(path).name).write_bytes(data)


def _apply(files: dict[str, bytearray], step: _Step, torn: random.Random | None) -> None:
    file = files.setdefault(step.path, bytearray())
    if step.call == "delete":
        del files[step.path]
    elif step.call == "truncate":
        del file[step.offset :]
    elif step.call == "write":
        data = step.data
        if torn is not None:
            data = data[: SECTOR * torn.randrange(-(-len(data) // SECTOR))]
        file.extend(bytes(max(0, step.offset - len(file))))
        file[step.offset : step.offset + len(data)] = data
