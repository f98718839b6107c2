"""Open what a command names, without ever creating it, and find out whose it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from ctxplug.agent_memory import AgentMemory
from ctxplug.errors import CannotOpenError, ConflictError, CtxplugError, NotFoundError
from ctxplug.plugins import installed
from ctxplug.registry import Registry
from ctxplug.scope import Namespace, namespace_key, to_namespace
from ctxplug.storage import Backend, Stream, conversations
from ctxplug.storage.shared import acquire, path_of, release

LISTED = 20
Mode: TypeAlias = Literal["read", "dry", "create"]


@contextmanager
def opened(target: str, *, mode: Mode = "read") -> Iterator[Backend]:
    """Lend the store `target`; what is not there is an error unless the mode is "create".

    A "dry" run opens an SQLite file read-only, for what would otherwise be written to the log.
    """
    path = path_of(target)
    if path is not None and mode != "create" and not os.path.exists(path):
        raise CannotOpenError(
            f"There is no store at {path!r}, and reading does not create one. Check the path.",
            target=target,
        )
    if mode == "dry" and path == target and "?" not in path:
        target = f"sqlite:///{path}?mode=ro"
    backend = acquire(target, Registry(installed()))
    try:
        yield backend
    finally:
        release(backend)


@contextmanager
def memory_of(
    target: str,
    namespace: str | None,
    session: str | None,
    *,
    budget: int = 8_000,
    model: str | None = None,
) -> Iterator[AgentMemory]:
    """Lend a memory on an existing session of an existing store, in a dry run."""
    with opened(target, mode="dry") as backend:
        chosen = choose_namespace(backend, namespace)
        name = choose_session(backend, chosen, session)
        # Not closed, as it does not own the store: closing would count what was recalled.
        yield AgentMemory.open(backend, namespace=chosen, session=name, budget=budget, model=model)


def choose_namespace(backend: Backend, given: str | None) -> Namespace:
    """Return the namespace `given`, or the only one; raise an error that lists them."""
    found = backend.namespaces()
    names = [namespace_key(one) for one in found]
    if given is not None:
        if (wanted := to_namespace(given)) in found:
            return wanted
        raise NotFoundError(f"There is no namespace {given!r} in this store. {_listed(names)}")
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFoundError("This store is empty: nothing has been added to it yet.")
    raise CtxplugError(f"Say whose memory with --namespace. {_listed(names)}")


def choose_session(backend: Backend, namespace: Namespace, given: str | None) -> str:
    """Return the session `given`, or the only one; raise an error that lists them."""
    names = [info.session for info in conversations(backend, namespace)]
    where = namespace_key(namespace)
    if given is not None:
        if given in names:
            return given
        raise NotFoundError(f"There is no session {given!r} in {where!r}. {_listed(names)}")
    if len(names) == 1:
        return names[0]
    if not names:
        raise NotFoundError(f"{where!r} has no session yet: no message was added to it.")
    raise CtxplugError(f"Say which conversation of {where!r} with --session. {_listed(names)}")


def refuse_existing(backend: Backend, stream: Stream) -> None:
    """Raise ConflictError if the session has entries: a recording would be mixed into it."""
    found = backend.head(stream)
    if found:
        raise ConflictError(
            f"Session {stream.session!r} of {namespace_key(stream.namespace)!r} holds {found}"
            " entries already; choose another --namespace. Nothing was added.",
            expected=0,
            found=found,
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:LISTED]))
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"There are: {shown}{more}." if names else "There are none."
