"""Who runs a call, and whether that process still lives: what tells a crash from a long run."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

LIVE: set[str] = set()  # the runs that this process is at


def this_runner() -> Mapping[str, Any]:
    """Return what names this process in the log."""
    return _runner(os.getpid())


def is_running(run: str, runner: Mapping[str, Any], until: datetime) -> bool:
    """Say whether a run that has no end in the log may still come to one.

    A process on another machine cannot be looked at: it has until its run's time is up.
    """
    if datetime.now(UTC) >= until:
        return False
    here = this_runner()
    if runner.get("host") == here["host"]:
        if runner.get("pid") == here["pid"]:
            return runner.get("born") == here["born"] and run in LIVE
        if os.name == "posix" and not _lives(runner):
            return False
    return True


def _lives(runner: Mapping[str, Any]) -> bool:
    pid = int(runner.get("pid", 0))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    stat = _stat(pid)
    return not stat or (stat[0] not in "ZX" and runner.get("born") in (stat[1], ""))


@lru_cache(maxsize=4)  # a forked child has another id
def _runner(pid: int) -> Mapping[str, Any]:
    stat = _stat(pid)
    return {"host": _host(), "pid": pid, "born": stat[1] if stat else ""}


def _host() -> str:
    """Return what names the machine, and on it the space in which process ids count."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _stat(pid: int) -> tuple[str, str] | None:
    """Return the state of a process and when it began, in the kernel's own time."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], fields[19]
