"""One open backend per store and process, however many memories use it.

Memories of many users on one file share its writer, so their commits are grouped. The
last one to let go closes it.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from ctxplug.errors import CannotOpenError
from ctxplug.registry import Registry, is_spec
from ctxplug.storage.backend import Backend


@dataclass
class _Lease:
    backend: Backend
    file: tuple[int, int] | None
    users: int


_lock = threading.RLock()
_newest: dict[str, _Lease] = {}  # by key: the one that the next user of it shares
_leases: list[_Lease] = []  # all that are in use, those of replaced files too


def acquire(target: str | os.PathLike[str], registry: Registry) -> Backend:
    """Return the open backend for a path or spec, opening it if it is the first use."""
    spec, key, path = _identify(target)
    if key is None:
        return _resolve(spec, registry)
    with _lock:
        lease = _newest.get(key)
        # A file that was deleted or replaced is another store.
        if lease is None or lease.file != _file_of(path):
            backend = _resolve(spec, registry)
            lease = _newest[key] = _Lease(backend, _file_of(path), 0)
            _leases.append(lease)
        lease.users += 1
        return lease.backend


def release(backend: Backend) -> None:
    """Give `backend` back; it is closed when nobody uses it any more."""
    with _lock:
        for lease in [lease for lease in _leases if lease.backend is backend]:
            lease.users -= 1
            if lease.users > 0:
                return
            _leases.remove(lease)
            for key in [key for key, newest in _newest.items() if newest is lease]:
                del _newest[key]
    backend.close()


def path_of(target: str) -> str | None:
    """Return the file that a path or spec names, None if it names none."""
    if not is_spec(target):
        return target or None
    name, _, argument = target.partition(":")
    return argument.removeprefix("///").partition("?")[0] or None if name == "sqlite" else None


def _identify(target: str | os.PathLike[str]) -> tuple[str, str | None, str | None]:
    """Return the spec, the key under which it is shared (or None), and its file if it has one."""
    text = os.fspath(target)
    if not isinstance(text, str) or not text:
        raise CannotOpenError(
            f"{target!r} is no path and no spec; write 'agent.db', 'sqlite:///agent.db' or"
            " 'memory:'."
        )
    if not is_spec(text):
        path = os.path.abspath(text)
        return f"sqlite:{text}", f"sqlite:{os.path.realpath(path)}", path
    name, _, argument = text.partition(":")
    if name == "memory":
        return text, None, None
    if name == "sqlite":
        place, _, options = argument.removeprefix("///").partition("?")
        path = os.path.abspath(place)
        return text, f"sqlite:{os.path.realpath(path)}{'?' if options else ''}{options}", path
    return text, text, None


def _resolve(spec: str, registry: Registry) -> Backend:
    backend = registry.resolve("memory backend", spec)
    if not isinstance(backend, Backend):
        raise CannotOpenError(
            f"{spec!r} gave a {type(backend).__name__}, which is no ctxplug.storage.Backend.",
            target=spec,
        )
    return backend


def _file_of(path: str | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
