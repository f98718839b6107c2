"""AuditEntry: who did what, when, to which records, and why; and its salted digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from os import urandom
from typing import Any

from ctxplug import codec
from ctxplug.errors import CorruptStoreError
from ctxplug.scope import RESERVED, Namespace
from ctxplug.storage import Append, Entry, Stream
from ctxplug.times import to_datetime

STREAM = f"{RESERVED}audit"  # its name among the sessions of a namespace
CHAINS: Namespace = (STREAM,)  # the namespace outside of all others, one session for each chain
ENTRY, CHAIN, LINK = "audit", "chain", "link"  # kinds of entries
OK, BEGUN, DENIED, FAILED = "ok", "begun", "denied", "error"
SALT = 16

_dumps = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
).encode


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done; it holds ids and names, never what a message or memory says.

    `what` is the verb; `agent` did it, on behalf of `actor`, for `purpose`; `ids` are those of
    the records, sessions or messages it touched. `sensitivity` is the highest class among
    these, `tags` their compliance tags. `outcome` is "ok", "begun" (what follows tells of the
    end), "denied" or "error". `seq` is its place in the log of its namespace.
    """

    what: str
    at: datetime
    namespace: Namespace
    session: str | None = None
    agent: str | None = None
    actor: str | None = None
    ids: tuple[str, ...] = ()
    purpose: str | None = None
    sensitivity: str | None = None
    tags: tuple[str, ...] = ()
    outcome: str = OK
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0
    salt: str = ""
    digest: str = ""

    def payload(self) -> dict[str, Any]:
        """Return what is digested, as JSON data; what is empty, or "ok", is left out."""
        told = {
            "what": self.what,
            "at": self.at.isoformat(),
            "namespace": list(self.namespace),
            "session": self.session,
            "agent": self.agent,
            "actor": self.actor,
            "ids": list(self.ids),
            "purpose": self.purpose,
            "sensitivity": self.sensitivity,
            "tags": list(self.tags),
            "outcome": None if self.outcome == OK else self.outcome,
            "data": dict(self.data),
        }
        return {name: value for name, value in told.items() if value not in (None, [], {})}

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON data: its payload, place, salt and digest."""
        own = {"outcome": self.outcome, "seq": self.seq, "salt": self.salt, "digest": self.digest}
        return {**self.payload(), **own}


def canonical(value: Any) -> bytes:
    """Return JSON as it is hashed: sorted keys, no spaces, UTF-8, nothing escaped in vain."""
    return _dumps(value).encode()


def sha256(data: bytes) -> str:
    """Return the digest of `data`, as hexadecimal digits."""
    from hashlib import sha256  # with the first entry: it takes long to import

    return sha256(data).hexdigest()


def digest_of(salt: str, payload: Any) -> str:
    """Return the digest of a payload: SHA-256 of its salt, and of its canonical JSON."""
    first = bytes.fromhex(salt)
    if len(first) != SALT or first.hex() != salt:  # else bytes might move between the two
        raise ValueError(f"A salt is {2 * SALT} hexadecimal digits in lower case, not {salt!r:.60}")
    return sha256(first + canonical(payload))


def body_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body under which `payload` is stored, with a new salt."""
    salt = urandom(SALT).hex()
    try:
        digest = digest_of(salt, payload)
    except (UnicodeEncodeError, ValueError, TypeError):  # a lone surrogate, or no JSON at all
        payload = _without_surrogates(codec.plain(payload, "data"))
        digest = digest_of(salt, payload)
    return {"digest": digest, "payload": payload, "salt": salt}


def append_of(
    payload: Mapping[str, Any],
    namespace: Namespace,
    at: datetime,
    *,
    kind: str = ENTRY,
    expected: int | None = None,
) -> Append:
    """Return the operation that stores `payload` in the log of its namespace."""
    return Append(
        stream=Stream(namespace, STREAM),
        kind=kind,
        body=body_of(payload),
        created_at=at,
        agent=payload.get("agent"),
        expected=expected,
    )


def entry_of(stored: Entry) -> AuditEntry:
    """Read an entry back; raise CorruptStoreError if it is none."""
    try:
        return from_row({"seq": stored.version, **stored.body})
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptStoreError(
            f"Entry {stored.version} of the audit log is damaged: {exc!r:.80}. `ctxplug audit"
            " verify` lists what else is."
        ) from exc


def from_row(row: Mapping[str, Any]) -> AuditEntry:
    """Return the entry that a body, or a line of an export, holds."""
    return from_payload(row["payload"], row["seq"], row["salt"], row["digest"])


def from_payload(
    payload: Mapping[str, Any], seq: int = 0, salt: str = "", digest: str = ""
) -> AuditEntry:
    """Return the entry whose payload this is."""
    return AuditEntry(
        what=payload["what"],
        at=to_datetime(payload["at"]),
        namespace=tuple(payload["namespace"]),
        session=payload.get("session"),
        agent=payload.get("agent"),
        actor=payload.get("actor"),
        ids=tuple(payload.get("ids", ())),
        purpose=payload.get("purpose"),
        sensitivity=payload.get("sensitivity"),
        tags=tuple(payload.get("tags", ())),
        outcome=payload.get("outcome", OK),
        data=payload.get("data", {}),
        seq=seq,
        salt=salt,
        digest=digest,
    )


def _without_surrogates(value: Any) -> Any:
    """Return JSON data whose texts can be written as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(v) for key, v in value.items()}
    return [_without_surrogates(item) for item in value] if isinstance(value, list) else value
