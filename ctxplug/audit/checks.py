"""What an audit log has to be: the checks of entries, links and anchors, wherever they are from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ctxplug.audit.chain import START, hash_of
from ctxplug.audit.entry import digest_of

PARTS = {"seq", "payload", "salt", "digest"}  # of an entry; `seq` in an export
NAMED = 20  # of several entries that lack, those that are named


@dataclass(frozen=True, slots=True)
class AuditProblem:
    """What is wrong: `where` is a namespace or a chain, `seq` the entry or link if it is one."""

    where: str
    seq: int | None
    text: str

    def __str__(self) -> str:
        place = "" if self.seq is None else f" {self.seq}"
        return f"{self.where}{place}: {self.text}"

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as JSON data."""
        return {"where": self.where, "seq": self.seq, "text": self.text}


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Whether the audit log is what was written.

    `sealed` entries are in a chain, `unsealed` ones follow the last link: these are compared
    with their own digests alone. `erased` chains are of namespaces that were erased.
    """

    problems: tuple[AuditProblem, ...] = ()
    sealed: int = 0
    unsealed: int = 0
    erased: int = 0
    chains: int = 0

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "ok": self.ok,
            "sealed": self.sealed,
            "unsealed": self.unsealed,
            "erased": self.erased,
            "chains": self.chains,
            "problems": [problem.to_dict() for problem in self.problems],
        }


@dataclass
class Findings:
    """What is found on the way to a report."""

    problems: list[AuditProblem] = field(default_factory=list)
    sealed: int = 0
    unsealed: int = 0
    erased: int = 0
    hashes: dict[str, list[str]] = field(default_factory=dict)  # by chain, one for each link

    def add(self, where: str, seq: int | None, text: str) -> None:
        """Note a problem."""
        self.problems.append(AuditProblem(where, seq, text))

    def take(self, other: Findings) -> None:
        """Take in what was found elsewhere."""
        self.problems += other.problems
        self.sealed += other.sealed
        self.unsealed += other.unsealed
        self.erased += other.erased
        self.hashes |= other.hashes

    def report(self) -> AuditReport:
        """Return all that was found."""
        counts = self.sealed, self.unsealed, self.erased, len(self.hashes)
        return AuditReport(tuple(self.problems), *counts)


def check_entries(
    rows: Iterable[tuple[int, Mapping[str, Any]]], where: str, found: Findings
) -> dict[int, str]:
    """Compare entries, as rows of place and body, with their digests; return these by place.

    That of an entry which was changed is empty: it is told of once.
    """
    digests: dict[int, str] = {}
    for seq, body in rows:
        digests[seq] = ""
        try:
            digest = digest_of(body["salt"], body["payload"])
            if digest == body["digest"]:
                digests[seq] = digest
            else:
                found.add(where, seq, "the entry is not what its digest says: it was changed")
            if body.keys() - PARTS:  # which no digest is of
                found.add(where, seq, "the entry has more than a payload, a salt and a digest")
        except (KeyError, TypeError, ValueError):
            found.add(where, seq, "the entry is damaged: it has no payload, salt or digest")
    return digests


def check_links(
    links: Iterable[tuple[int, Mapping[str, Any]]], chain: str, found: Findings
) -> tuple[dict[int, str], Mapping[str, Any]]:
    """Follow the links of a chain; return the digests it holds by place, and its last link."""
    name, before, last = f"chain {chain}", START, 0
    sealed: dict[int, str] = {}
    hashes = found.hashes.setdefault(chain, [])
    newest: Mapping[str, Any] = {}
    for number, (place, link) in enumerate(links, 1):
        try:
            own = hash_of(link, before)
            digests = link["digests"]
            ends = link["first"] == last + 1 and link["last"] == last + len(digests)
            if place != number or link["link"] != number or link["chain"] != chain:
                found.add(name, number, "a link is missing, or out of its place")
            if link["prev"] != before or link["hash"] != own:
                found.add(name, number, "the hash of the link is wrong: it was changed")
            if not ends:
                found.add(name, number, f"the link does not go on at entry {last + 1}")
            sealed.update(zip(range(last + 1, last + 1 + len(digests)), digests, strict=False))
            last, before, newest = last + len(digests), link["hash"], link
            hashes.append(own)
        except (KeyError, TypeError, ValueError):
            found.add(name, number, "the link is damaged")
            hashes.append("")
    return sealed, newest


def compare(
    sealed: Mapping[int, str], digests: Mapping[int, str], where: str, found: Findings
) -> None:
    """Compare what a chain sealed with what there is; every entry has to be there."""
    last = max([*sealed, *digests], default=0)
    missing = [seq for seq in range(1, last + 1) if seq not in digests]
    for seq in missing[:NAMED]:
        found.add(where, seq, "the entry is missing")
    if len(missing) > NAMED:
        found.add(where, None, f"{len(missing) - NAMED:,} more entries are missing")
    for seq, digest in sealed.items():
        if digests.get(seq) not in (None, "", digest):
            found.add(where, seq, "the entry is not the one that was sealed: it was replaced")
    found.sealed += len(sealed)
    found.unsealed += len(digests.keys() - sealed.keys())


def check_anchor(anchor: Mapping[str, Any] | None, found: Findings) -> None:
    """Compare the chains that were followed with those that `anchor` holds."""
    if anchor is None:
        return
    for chain, head in anchor["chains"].items():
        hashes = found.hashes.get(chain)
        name = f"chain {chain}"
        if not hashes:
            found.add(name, None, "the chain is in the anchor, and is not here any more")
        elif len(hashes) < head["links"]:
            text = f"the chain ends here; the anchor knows {head['links']} links: it was cut"
            found.add(name, len(hashes), text)
        elif hashes[head["links"] - 1] != head["hash"]:
            text = "the link is another than when the anchor was made: the chain was rewritten"
            found.add(name, head["links"], text)
