"""Locks: which process writes to a store, asked without taking part.

Asking opens the file, and closing it again would let go of every lock that the asking process has
on it. So another process asks: `python locks.py FILE` prints what `holder_of` returns.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time

__all__ = ["holder_of"]

WRITE_LOCK = 120  # the byte of the -shm file that SQLite's writer locks (walIndex, WAL_WRITE_LOCK)
LOOKS = 5
APART_SECONDS = 0.2
_FLOCK = struct.Struct("hhqqi4x")  # Linux on 64 bits: type, whence, start, length, process


def holder_of(path: str) -> int | None:
    """Return the process that has the write lock of the -shm file `path` at every look, else 0.

    None where there is no such file, or the system cannot be asked.
    """
    if sys.platform != "linux" or struct.calcsize("P") != 8 or not os.path.exists(path):
        return None
    alone = [sys.executable, "-I", "-S", __file__, path]  # nothing but this file is loaded
    done = subprocess.run(alone, capture_output=True, text=True)
    told = done.stdout.strip()
    return int(told) if told.isdigit() else None


def _looked(path: str) -> int | None:
    holders = set()
    for look in range(LOOKS):
        holder = _asked(path)
        if not holder:
            return holder
        holders.add(holder)
        if look < LOOKS - 1:
            time.sleep(APART_SECONDS)
    return holders.pop() if len(holders) == 1 else 0


def _asked(path: str) -> int | None:
    import fcntl

    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe is opened at once too
    except OSError:
        return None
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, WRITE_LOCK, 1, 0)
        told = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return None
    finally:
        os.close(file)
    return 0 if told[0] == fcntl.F_UNLCK else int(told[4])


if __name__ == "__main__":
    print(_looked(sys.argv[1]))
