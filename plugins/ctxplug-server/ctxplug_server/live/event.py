"""LiveEvent: that something changed, and where; and the ids by which a stream is resumed."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from os import urandom
from typing import Any

from ctxplug.scope import Namespace, namespace_key

MESSAGES = "messages"  # a session's log has new messages; head is its newest version
SESSION = "session"  # its state, metadata, snapshots, edits or compactions changed
STEPS = "steps"  # steps were recorded of a session; head is that of its trace
SESSIONS = "sessions"  # a session began or is gone
MEMORIES = "memories"  # memories of the namespace were made, changed or removed
USAGE = "usage"  # model calls were entered in the namespace's ledger
CHANGES = (MESSAGES, SESSION, STEPS, SESSIONS, MEMORIES, USAGE)

READY = "ready"  # the stream has begun; what is read from now on is followed by events
BEHIND = "behind"  # events were lost: read again what is shown
END = "end"  # nothing follows, and why
TYPES = (*CHANGES, READY, BEHIND, END)

_SIZE = 8


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One change; `number` is its place among all events of this server, which nobody is told."""

    type: str
    namespace: Namespace | None = None
    session: str | None = None
    head: int | None = None
    change: str | None = None
    number: int = 0

    @property
    def key(self) -> tuple[str, Namespace | None, str | None]:
        """What is the same of two events of which only the newer one matters."""
        return self.type, self.namespace, self.session

    def to_dict(self) -> dict[str, Any]:
        """Return what is sent of it; what it does not have is left out."""
        told = {
            "type": self.type,
            "namespace": None if self.namespace is None else namespace_key(self.namespace),
            "session": self.session,
            "head": self.head,
            "change": self.change,
        }
        return {name: value for name, value in told.items() if value is not None}


class EventIds:
    """Ids that tell this server a place among its events, and tell nobody else anything.

    A plain count would show how much happens in namespaces that its reader may not see.
    """

    def __init__(self) -> None:
        self._secret = urandom(32)

    def of(self, number: int) -> str:
        """Return an id for the place `number`."""
        nonce = urandom(_SIZE)
        hidden = number.to_bytes(_SIZE, "big")
        veiled = bytes(a ^ b for a, b in zip(hidden, self._digest(b"veil" + nonce), strict=True))
        return (nonce + veiled + self._digest(b"seal" + nonce + hidden)).hex()

    def number(self, id: str | None) -> int | None:
        """Return the place an id tells, None if it is none of this server's."""
        try:
            raw = bytes.fromhex(id or "")
        except ValueError:
            return None
        if len(raw) != 3 * _SIZE:
            return None
        nonce, veiled, seal = raw[:_SIZE], raw[_SIZE : 2 * _SIZE], raw[2 * _SIZE :]
        hidden = bytes(a ^ b for a, b in zip(veiled, self._digest(b"veil" + nonce), strict=True))
        if seal != self._digest(b"seal" + nonce + hidden):
            return None
        return int.from_bytes(hidden, "big")

    def _digest(self, data: bytes) -> bytes:
        return blake2b(data, key=self._secret, digest_size=_SIZE).digest()
