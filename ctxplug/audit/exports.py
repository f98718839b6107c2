"""An audit log as JSONL that verifies alone, and anchors to be kept elsewhere.

The first line says what it is, then come the links of the chain, then the entries, and the
last line is the SHA-256 of all before it. Every line is canonical JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from ctxplug.audit.chain import chain_of, tip_of
from ctxplug.audit.checks import (
    AuditReport,
    Findings,
    check_anchor,
    check_entries,
    check_links,
    compare,
)
from ctxplug.audit.entry import CHAINS, STREAM, canonical
from ctxplug.errors import InvalidValueError
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Entry, Stream

EXPORT, ANCHOR = "ctxplug_audit", "ctxplug_audit_anchor"
FORM = 1
PAGE = 500


def export_lines(backend: Backend, namespace: Namespace) -> Iterator[bytes]:
    """Yield the audit log of `namespace` and its chain, line by line."""
    chain = chain_of(backend, namespace)
    stream = Stream(namespace, STREAM)
    links = tip_of(backend, chain).links if chain else 0
    entries = backend.head(stream)
    first = {
        EXPORT: FORM,
        "namespace": list(namespace),
        "chain": chain,
        "links": links,
        "entries": entries,
        "exported_at": datetime.now(UTC).isoformat(),
    }
    whole = sha256()
    for row in _rows(backend, chain, links, stream, entries, first):
        line = canonical(row) + b"\n"
        whole.update(line)
        yield line
    yield canonical({"sha256": whole.hexdigest()}) + b"\n"


def _rows(
    backend: Backend,
    chain: str | None,
    links: int,
    stream: Stream,
    entries: int,
    first: dict[str, Any],
) -> Iterator[Mapping[str, Any]]:
    yield first
    if chain is not None:
        for link in _paged(backend, Stream(CHAINS, chain), links):
            yield link.body
    for entry in _paged(backend, stream, entries):
        yield {"seq": entry.version, **entry.body}


def verify_export(data: bytes, anchor: Mapping[str, Any] | None = None) -> AuditReport:
    """Examine an export by itself; raise InvalidValueError if it is none."""
    found = Findings()
    lines = data.splitlines(keepends=True)
    rows = [_row(line, number, found) for number, line in enumerate(lines, 1)]
    first = rows[0] if rows else {}
    if EXPORT not in first and not any({"payload", "hash", "sha256"} & row.keys() for row in rows):
        raise InvalidValueError(
            "This is no export of an audit log: its first line does not say so. `ctxplug audit"
            " export` makes one.",
            path="export",
        )
    where = "/".join(map(str, first.get("namespace", ())))
    if first.get(EXPORT) != FORM:
        text = f"it is of the form {first.get(EXPORT)!r:.20}, and not of {FORM}"
        found.add(where, None, text)
    last = rows[-1].get("sha256")
    if last != sha256(b"".join(lines[:-1])).hexdigest():
        found.add(where, None, "the checksum of the file is wrong: it was changed, or cut short")
    count = first["links"] if isinstance(first.get("links"), int) else 0
    links, entries = rows[1 : 1 + count], rows[1 + count : -1]
    sound = all("hash" in row for row in links) and all("payload" in row for row in entries)
    if not sound or (len(links), len(entries)) != (count, first.get("entries")):
        text = f"it has {len(links)} links and {len(entries)} entries, not as many as it says"
        found.add(where, None, text)
    _examine(first, links, entries, where, found)
    _check_anchor(anchor, found)
    return found.report()


def _check_anchor(anchor: Mapping[str, Any] | None, found: Findings) -> None:
    """Compare the one chain of an export with `anchor`, which may be that of a whole store."""
    if anchor is None:
        return
    own = {chain: head for chain, head in anchor["chains"].items() if chain in found.hashes}
    for chain in found.hashes.keys() - own.keys():
        text = "the anchor does not know the chain: it was begun after it, or written anew"
        found.add(f"chain {chain}", None, text)
    if not found.hashes and anchor["chains"]:
        found.add("anchor", None, "the export has no chain that the anchor could know")
    check_anchor({**anchor, "chains": own}, found)


def _examine(first: Any, links: list[Any], entries: list[Any], where: str, found: Findings) -> None:
    rows = [(row.get("seq", 0), row) for row in entries]
    if [seq for seq, _ in rows] != list(range(1, len(rows) + 1)):
        found.add(where, None, "its entries are not in order, each once")
    digests = check_entries(rows, where, found)
    for seq, row in rows:
        if row.get("payload", {}).get("namespace") != first.get("namespace"):
            found.add(where, seq, "the entry is of another namespace")
    sealed: dict[int, str] = {}
    if first.get("chain"):
        sealed, _ = check_links(enumerate(links, 1), first["chain"], found)
    elif links:
        found.add(where, None, "it has links, and names no chain")
    compare(sealed, digests, where, found)


def _row(line: bytes, number: int, found: Findings) -> dict[str, Any]:
    """Return a line as data; nothing but canonical JSON on a line of its own is right."""
    try:
        row = json.loads(line)
        if isinstance(row, dict) and canonical(row) + b"\n" == line:
            return row if isinstance(row.get("payload", {}), dict) else {}
    except (ValueError, RecursionError):
        pass
    found.add(f"line {number}", None, "the line is damaged")
    return {}


def anchor_of(backend: Backend, of: str, chains: Iterable[str]) -> dict[str, Any]:
    """Return the heads of `chains`, all those of a "store" or the one of a "namespace"."""
    tips = [tip_of(backend, chain) for chain in chains]
    return {
        ANCHOR: FORM,
        "of": of,
        "at": datetime.now(UTC).isoformat(),
        "chains": {tip.chain: {"links": tip.links, "hash": tip.hash} for tip in tips if tip.links},
    }


def to_anchor(data: Any) -> Mapping[str, Any]:
    """Return `data` if it is an anchor; raise InvalidValueError otherwise."""
    try:
        sound = (
            data[ANCHOR] == FORM
            and isinstance(data["of"], str)
            and all(
                isinstance(head["links"], int)
                and head["links"] > 0
                and isinstance(head["hash"], str)
                for head in data["chains"].values()
            )
        )
    except (KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise InvalidValueError(
            "This is no anchor of an audit log; `memory.audit.anchor()` and `ctxplug audit anchor`"
            " make one.",
            path="anchor",
        )
    anchor: Mapping[str, Any] = data
    return anchor


def _paged(backend: Backend, stream: Stream, upto: int) -> Iterator[Entry]:
    after = 0
    while after < upto:
        page = backend.read(stream, after=after, before=upto + 1, limit=PAGE)
        if not page:
            return
        yield from page
        after = page[-1].version
