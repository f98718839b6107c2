"""The chain: links of digests, each with the hash of the one before it.

A chain is a session of the namespace CHAINS, under a random name that an entry of kind "chain"
in the namespace's audit log tells. Erasing the namespace removes that entry and all others,
and leaves the chain: digests that tell nothing, and still verify.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ctxplug.audit.entry import (
    CHAIN,
    CHAINS,
    LINK,
    STREAM,
    AuditEntry,
    append_of,
    canonical,
    digest_of,
    sha256,
)
from ctxplug.errors import ConflictError
from ctxplug.scope import Namespace, new_id
from ctxplug.storage import Append, Backend, Entry, Stream

PAGE = 1_000  # digests in one link at most
ATTEMPTS = 100
START = "0" * 64  # the hash before the first link


@dataclass(frozen=True, slots=True)
class Tip:
    """The end of a chain: how many links it has, the entries they cover, and the last hash."""

    chain: str
    links: int = 0
    entries: int = 0
    hash: str = START
    closed: bool = False  # its namespace was erased


def hash_of(link: Mapping[str, Any], before: str) -> str:
    """Return the hash of a link: SHA-256 of the hash before, and of the link without its own."""
    rest = {name: value for name, value in link.items() if name != "hash"}
    return sha256(bytes.fromhex(before) + canonical(rest))


def chain_of(backend: Backend, namespace: Namespace) -> str | None:
    """Return the chain of a namespace's audit log; None while nothing was sealed."""
    found = backend.read(Stream(namespace, STREAM), kinds=[CHAIN], limit=1)
    return found[0].body["payload"]["data"]["chain"] if found else None


def tip_of(backend: Backend, chain: str) -> Tip:
    """Return where `chain` ends."""
    found = backend.read(Stream(CHAINS, chain), newest_first=True, limit=1)
    if not found:
        return Tip(chain)
    link = found[0].body
    return Tip(chain, found[0].version, link["last"], link["hash"], "erased" in link)


def seal(backend: Backend, namespace: Namespace) -> str | None:
    """Link every entry of a namespace's audit log into its chain; return the chain's name.

    Several may do so at once: each entry is linked once. An entry that is not what its
    digest says is not linked, nor what follows it: `verify` tells. None: there is no entry.
    """
    for attempt in range(ATTEMPTS):
        try:
            head = backend.head(Stream(namespace, STREAM))  # first: so nobody begins one unseen
            chain = chain_of(backend, namespace)
            if chain is None and not (chain := _begun(backend, namespace, head)):
                return None
            while _linked(backend, namespace, tip_of(backend, chain)):
                pass
        except ConflictError:
            time.sleep(random.random() * min(attempt + 1, 20) / 1_000)
        else:
            return chain
    raise ConflictError("Others seal the audit log without a pause.", expected=0, found=0)


def mark(backend: Backend, chain: str, event: Mapping[str, Any]) -> None:
    """Add a link that seals nothing, and tells of `event`."""
    for attempt in range(ATTEMPTS):
        tip = tip_of(backend, chain)
        try:
            backend.write(_link(tip, [], event))
        except ConflictError:
            time.sleep(random.random() * min(attempt + 1, 20) / 1_000)
        else:
            return
    raise ConflictError("Others seal the audit log without a pause.", expected=0, found=0)


def take_leave(backend: Backend, namespace: Namespace, event: Mapping[str, Any]) -> str:
    """Seal a log that is about to be erased, with a link that tells so; return its chain.

    One that has no chain yet gets one that it does not name: that would be erased too.
    """
    chain = chain_of(backend, namespace)
    if chain is not None:
        seal(backend, namespace)
        mark(backend, chain, event)
        return chain
    tip = Tip(new_id())
    while (digests := _sound(_unsealed(backend, namespace, tip))) or not tip.links:
        backend.write(_link(tip, digests, event))  # each tells of it: a crash may come between
        tip = tip_of(backend, tip.chain)
    return tip.chain


def _begun(backend: Backend, namespace: Namespace, head: int) -> str | None:
    """Begin a chain with what there is to seal, in one write; None if there is nothing."""
    entries = backend.read(Stream(namespace, STREAM), before=head + 1, limit=PAGE)
    digests = _sound(entries)
    if not digests:
        return None
    chain = new_id()
    now = datetime.now(UTC)
    entry = AuditEntry("chain", now, namespace, ids=(chain,), data={"chain": chain})
    first = append_of(entry.payload(), namespace, now, kind=CHAIN, expected=head)
    if len(digests) == head:
        digests.append(first.body["digest"])
    backend.write(first, _link(Tip(chain), digests))
    return chain


def _linked(backend: Backend, namespace: Namespace, tip: Tip) -> bool:
    """Add one link with what is not sealed yet; return whether there was anything."""
    if tip.closed:  # erased since its name was read: what is there now has another chain
        raise ConflictError("The namespace was erased.", expected=0, found=tip.links)
    digests = _sound(_unsealed(backend, namespace, tip))
    if digests:
        backend.write(_link(tip, digests))
    return bool(digests)


def _unsealed(backend: Backend, namespace: Namespace, tip: Tip) -> list[Entry]:
    return backend.read(Stream(namespace, STREAM), after=tip.entries, limit=PAGE)


def _sound(entries: Sequence[Entry]) -> list[str]:
    """Return the digests of `entries` up to the first that is not what it says."""
    digests = []
    for entry in entries:
        body = entry.body
        try:
            if digest_of(body["salt"], body["payload"]) != body["digest"]:
                break
        except (KeyError, TypeError, ValueError):
            break
        digests.append(body["digest"])
    return digests


def _link(tip: Tip, digests: Sequence[str], event: Mapping[str, Any] | None = None) -> Append:
    now = datetime.now(UTC)
    link = {
        "chain": tip.chain,
        "link": tip.links + 1,
        "at": now.isoformat(),
        "first": tip.entries + 1,
        "last": tip.entries + len(digests),
        "digests": list(digests),
        "prev": tip.hash,
        **(event or {}),
    }
    return Append(
        stream=Stream(CHAINS, tip.chain),
        kind=LINK,
        body={**link, "hash": hash_of(link, tip.hash)},
        created_at=now,
        expected=tip.links,
    )
