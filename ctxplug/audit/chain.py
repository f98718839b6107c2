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
MOST = 10 * PAGE  # that a process holds; what is before them it reads again
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


class Run:
    """The digests of entries that one process wrote one behind the other, not sealed yet.

    They need not be read again, and what is sealed is what was written, whatever became of
    them in the store meanwhile, if the first of them is there still.
    """

    def __init__(self) -> None:
        self._first = 0
        self._digests: list[str] = []

    def add(self, seq: int, digest: str) -> None:
        """Take in an entry that was written; others may have written between."""
        if seq != self._first + len(self._digests) or len(self._digests) >= MOST:
            self._first, self._digests = seq, []
        self._digests.append(digest)

    def behind(self, backend: Backend, namespace: Namespace, entries: int) -> list[str]:
        """Return the digests behind so many `entries`; none if these are others, or none known."""
        known = self._digests[max(0, entries + 1 - self._first) :]
        if self._first > entries + 1 or not known:
            return []
        # As the first of them is there still (its salt makes its digest the only one of its
        # kind), the log was not erased and begun anew since, and the others were written to it.
        return known[:PAGE] if _digest_at(backend, namespace, entries + 1) == known[0] else []


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


def seal(backend: Backend, namespace: Namespace, run: Run | None = None) -> str | None:
    """Link every entry of a namespace's audit log into its chain; return the chain's name.

    Several may do so at once: each entry is linked once. An entry that is not what its
    digest says is not linked, nor what follows it: `verify` tells. None: there is no entry.
    Those in `run`, which this process wrote, are linked as they were written.
    """
    for attempt in range(ATTEMPTS):
        try:
            head = backend.head(Stream(namespace, STREAM))  # first: so nobody begins one unseen
            chain = chain_of(backend, namespace)
            if chain is None and not (chain := _begun(backend, namespace, head, run)):
                return None
            tip = tip_of(backend, chain)
            while (grown := _linked(backend, namespace, tip, run)).entries > tip.entries:
                if (tip := grown).entries >= head:  # what was added since is sealed with the next
                    break
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
    while (digests := _sound(_unsealed(backend, namespace, tip.entries))) or not tip.links:
        backend.write(_link(tip, digests, event))  # each tells of it: a crash may come between
        tip = tip_of(backend, tip.chain)
    return tip.chain


def _begun(backend: Backend, namespace: Namespace, head: int, run: Run | None) -> str | None:
    """Begin a chain with what there is to seal, in one write; None if there is nothing."""
    digests = _to_seal(backend, namespace, 0, run)[:head]
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


def _linked(backend: Backend, namespace: Namespace, tip: Tip, run: Run | None) -> Tip:
    """Add one link with what is not sealed yet, if there is anything; return the new tip."""
    if tip.closed:  # erased since its name was read: what is there now has another chain
        raise ConflictError("The namespace was erased.", expected=0, found=tip.links)
    digests = _to_seal(backend, namespace, tip.entries, run)
    if not digests:
        return tip
    link = _link(tip, digests)
    backend.write(link)
    return Tip(tip.chain, tip.links + 1, link.body["last"], link.body["hash"])


def _to_seal(backend: Backend, namespace: Namespace, entries: int, run: Run | None) -> list[str]:
    """Return the digests of what follows so many `entries`: as it was written, or as it is."""
    known = run.behind(backend, namespace, entries) if run is not None else []
    return known or _sound(_unsealed(backend, namespace, entries))


def _digest_at(backend: Backend, namespace: Namespace, seq: int) -> Any:
    found = backend.read(Stream(namespace, STREAM), after=seq - 1, before=seq + 1)
    return found[0].body.get("digest") if found else None


def _unsealed(backend: Backend, namespace: Namespace, entries: int) -> list[Entry]:
    return backend.read(Stream(namespace, STREAM), after=entries, limit=PAGE)


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
