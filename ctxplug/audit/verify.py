"""Is the audit log what was written? Read all of it, and check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctxplug.audit.chain import chain_of
from ctxplug.audit.checks import (
    AuditReport,
    Findings,
    check_anchor,
    check_entries,
    check_links,
    compare,
)
from ctxplug.audit.entry import CHAIN, CHAINS, ENTRY, LINK, STREAM
from ctxplug.errors import AccessError, ClosedError, CtxplugError
from ctxplug.scope import Namespace, namespace_key
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.times import to_datetime

STORE = "store"  # what an anchor is of; else it is of one namespace
PAGE = 500
ATTEMPTS = 10


def verify_namespace(
    backend: Backend, namespace: Namespace, anchor: Mapping[str, Any] | None = None
) -> AuditReport:
    """Examine the audit log of one namespace and its chain.

    `anchor` is the namespace's own, so all chains that it names have to be there; or that of
    a whole store, of which those of others are left alone. If it does not know the chain of
    this one, the log was begun later, or anew: then no chain that it knows may be without a
    namespace.
    """
    found = Findings()
    _namespace(backend, namespace, found)
    if anchor is not None and anchor["of"] == STORE:
        own = {chain: head for chain, head in anchor["chains"].items() if chain in found.hashes}
        anchor = {**anchor, "chains": own or _unnamed(backend, anchor)}
    _anchored(backend, anchor, found)
    return found.report()


def verify_store(backend: Backend, anchor: Mapping[str, Any] | None = None) -> AuditReport:
    """Examine the audit logs of all namespaces, and the chains of those that were erased."""
    found = Findings()
    chains = backend.sessions(CHAINS)  # first: what begins meanwhile is not looked at
    for namespace in backend.namespaces():
        _namespace(backend, namespace, found)
    for info in chains:
        if info.session not in found.hashes:
            _orphan(backend, info.session, found)
    _anchored(backend, anchor, found)
    return found.report()


# -- reading ---------------------------------------------------------------------------


def _namespace(backend: Backend, namespace: Namespace, found: Findings) -> None:
    """Examine a namespace; once more, if it was sealed first or erased meanwhile."""
    chain = _named(backend, namespace)
    for _ in range(ATTEMPTS):
        once = Findings()
        _examine(backend, namespace, chain, once)
        before, chain = chain, _named(backend, namespace)
        if not once.problems or chain == before:
            break
    found.take(once)


def _examine(backend: Backend, namespace: Namespace, chain: str | None, found: Findings) -> None:
    """Read the chain and then the entries, of which there are only more by then."""
    where = namespace_key(namespace)
    sealed: dict[int, str] = {}
    if chain is not None:
        sealed, newest = _chain(backend, chain, found)
        if not newest:
            found.add(where, None, f"its chain {chain} is missing: links were removed")
        elif "erased" in newest:
            found.add(where, None, "its chain says that it was erased, and it is here")
    entries = list(_entries(backend, Stream(namespace, STREAM), where, found))
    digests = check_entries(((e.version, e.body) for e in entries), where, found)
    for entry in entries:
        _check_columns(entry, (ENTRY, CHAIN), where, found)
    chains = [entry.version for entry in entries if entry.kind == CHAIN]
    for version in chains[1:]:
        found.add(where, version, "the entry names another chain: it was not written here")
    compare(sealed, digests, where, found)


def _named(backend: Backend, namespace: Namespace) -> str | None:
    try:
        return chain_of(backend, namespace)
    except (AccessError, ClosedError):
        raise
    except (CtxplugError, KeyError, TypeError):  # the entry that tells is a problem of its own
        return None


def _unnamed(backend: Backend, anchor: Mapping[str, Any]) -> dict[str, Any]:
    """Return those chains of `anchor` that no namespace names."""
    named = {_named(backend, namespace) for namespace in backend.namespaces()}
    return {chain: head for chain, head in anchor["chains"].items() if chain not in named}


def _check_columns(entry: Entry, kinds: Sequence[str], where: str, found: Findings) -> None:
    """Compare what stands beside a body with what is in it."""
    try:
        told = entry.body.get("payload", entry.body)
        namespace = None if LINK in kinds else [*entry.stream.namespace]
        names_chain = entry.kind == CHAIN  # and no other entry does, or it would be hidden
        sound = (
            entry.kind in kinds
            and names_chain == (told.get("what") == CHAIN)
            and not entry.pinned
            and entry.agent == told.get("agent")
            and entry.created_at == to_datetime(told["at"])
            and namespace == told.get("namespace")
        )
    except (CtxplugError, KeyError, TypeError, ValueError, AttributeError):
        sound = False
    if not sound:
        found.add(where, entry.version, "the entry was changed: its kind, agent, time or namespace")


def _chain(
    backend: Backend, chain: str, found: Findings
) -> tuple[dict[int, str], Mapping[str, Any]]:
    name = f"chain {chain}"
    entries = list(_entries(backend, Stream(CHAINS, chain), name, found))
    for entry in entries:
        _check_columns(entry, (LINK,), name, found)
    return check_links(((e.version, e.body) for e in entries), chain, found)


def _orphan(backend: Backend, chain: str, found: Findings) -> None:
    """Follow a chain that no namespace names: its namespace has to have been erased."""
    _, newest = _chain(backend, chain, found)
    if "erased" in newest or "erasing" in newest:
        found.erased += 1
    else:
        text = "the entries that it seals are gone, and it tells of no erasure"
        found.add(f"chain {chain}", None, text)


def _anchored(backend: Backend, anchor: Mapping[str, Any] | None, found: Findings) -> None:
    """Follow what else `anchor` names: of an erased namespace, only its chain is left."""
    for chain in (anchor or {}).get("chains", {}):
        if chain not in found.hashes and backend.head(Stream(CHAINS, chain)):
            _orphan(backend, chain, found)
    check_anchor(anchor, found)


def _entries(backend: Backend, stream: Stream, where: str, found: Findings) -> Iterator[Entry]:
    """Yield what of a stream can be read; what cannot is a problem."""
    try:
        head = backend.head(stream)
    except (AccessError, ClosedError):
        raise
    except CtxplugError as exc:
        found.add(where, None, f"it cannot be read: {exc}")
        return
    after, last = 0, 0
    while after < head:
        try:
            page = backend.read(stream, after=after, limit=PAGE)
        except CtxplugError:
            page = list(_one_by_one(backend, stream, after, head, where, found))
            after = min(after + PAGE, head)
        else:
            after = page[-1].version if page else head
        last = page[-1].version if page else last
        yield from page
    if last != head and backend.head(stream) != head:  # it grew meanwhile, or was erased
        return
    if last > head or (last < head and not found.problems):
        found.add(where, head, f"the log says that it ends here, and its last entry is {last}")


def _one_by_one(
    backend: Backend, stream: Stream, after: int, head: int, where: str, found: Findings
) -> Iterator[Entry]:
    for version in range(after + 1, min(after + PAGE, head) + 1):
        try:
            yield from backend.read(stream, after=version - 1, before=version + 1)
        except CtxplugError as exc:
            found.add(where, version, f"the entry cannot be read: {exc}")
