"""What an erasure leaves behind: a receipt that tells nothing, and by which it can be verified.

A receipt holds a **mark** of each entry and record that was erased: eight bytes of a salted
hash of its id, never of its text. Whoever holds the receipt can tell whether one of them
has come back, with an old backup or an import, and nothing else.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ctxplug.errors import InvalidValueError
from ctxplug.records import MemoryRecord
from ctxplug.scope import RESERVED, Namespace, check_label, to_labels
from ctxplug.times import to_datetime

if TYPE_CHECKING:
    from ctxplug.storage.backend import Entry

MARK = 8
SALT = 16


@dataclass(frozen=True, slots=True)
class EraseReceipt:
    """What `erase` removed; `remaining` counts what a search found afterwards: nothing.

    `entries` are those of conversations; what ctxplug keeps beside them (traces, usage) is
    removed and marked as well. `archived` of the `entries` and `records` were in the archive.
    `salt` and `marks` let `AgentMemory.verify_erased` tell whether any of it has come back.
    `sessions` names those that `erase_session` removed; without any, it was the whole namespace.
    """

    namespace: Namespace
    entries: int
    records: int
    remaining: int
    erased_at: datetime
    vectors: int = 0
    archived: int = 0
    salt: bytes = field(default=b"", repr=False)
    marks: bytes = field(default=b"", repr=False)
    sessions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the receipt as JSON data; `from_dict` is the exact inverse."""
        return {
            "namespace": list(self.namespace),
            "entries": self.entries,
            "records": self.records,
            "vectors": self.vectors,
            "archived": self.archived,
            "remaining": self.remaining,
            "erased_at": self.erased_at.isoformat(),
            "salt": _text(self.salt),
            "marks": _text(self.marks),
            **({"sessions": list(self.sessions)} if self.sessions else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EraseReceipt:
        """Read a receipt back; raise InvalidValueError if `data` is none."""
        try:
            receipt = cls(
                namespace=to_labels(data["namespace"]),
                entries=_count(data["entries"]),
                records=_count(data["records"]),
                vectors=_count(data["vectors"]),
                archived=_count(data["archived"]),
                remaining=_count(data["remaining"]),
                erased_at=to_datetime(data["erased_at"]),
                salt=_bytes(data["salt"]),
                marks=_bytes(data["marks"]),
                sessions=tuple(check_label(s, "session") for s in data.get("sessions", ())),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise InvalidValueError(f"This is no receipt of an erasure: {exc!r:.120}.") from exc
        if len(receipt.marks) % MARK or len(receipt.salt) not in (0, SALT):
            raise InvalidValueError("This receipt of an erasure is damaged: its marks are.")
        return receipt


class Marks:
    """The marks of what is being erased, or, with the salt of a receipt, of what is there."""

    def __init__(self, salt: bytes | None = None) -> None:
        self.salt = os.urandom(SALT) if salt is None else salt
        self._made: set[bytes] = set()

    def add_entry(self, entry: Entry) -> None:
        """Mark `entry`."""
        self._made.add(self.of_entry(entry))

    def add_record(self, record: MemoryRecord) -> None:
        """Mark `record`, which is no view of an entry."""
        self._made.add(self.of_record(record))

    def add_all(self, marks: Iterable[bytes]) -> None:
        """Add marks that were made with the same salt."""
        self._made.update(marks)

    def of_entry(self, entry: Entry) -> bytes:
        """Return the mark of `entry`: by the id of its message, else by its place and time."""
        message = entry.body.get("message")
        if isinstance(message, Mapping) and isinstance(message.get("id"), str):
            return self._mark("message", message["id"])
        at = entry.created_at.isoformat()
        return self._mark("entry", entry.stream.session, f"{entry.version}", entry.kind, at)

    def of_record(self, record: MemoryRecord) -> bytes:
        """Return the mark of `record`; its time tells it from a later one under its id."""
        return self._mark("record", record.id, record.created_at.isoformat())

    def to_bytes(self) -> bytes:
        """Return all marks in one, sorted."""
        return b"".join(sorted(self._made))

    def _mark(self, *parts: str) -> bytes:
        from hashlib import blake2b  # with the first erasure: few programs do one

        text = "\0".join(part.replace("\0", "\0\1") for part in parts)
        data = text.encode("utf-8", "surrogatepass")
        return blake2b(data, digest_size=MARK, key=self.salt).digest()


def marks_of(receipt: EraseReceipt) -> frozenset[bytes]:
    """Return the marks of `receipt` one by one."""
    every = range(0, len(receipt.marks), MARK)
    return frozenset(receipt.marks[start : start + MARK] for start in every)


def receipt_of(
    namespace: Namespace,
    erased_at: datetime,
    *,
    marked: Iterable[Entry],
    others: Iterable[MemoryRecord],
    before: EraseReceipt | None = None,
    **counts: int,
) -> EraseReceipt:
    """Return the receipt for entries and the records that are no view of one.

    It includes `before`, that of an erasure that was not finished.
    """
    marks = Marks(before.salt if before else None)
    counts["entries"] = 0
    for entry in marked:
        marks.add_entry(entry)
        counts["entries"] += not entry.stream.session.startswith(RESERVED)
    for record in others:
        marks.add_record(record)
    if before is not None:
        marks.add_all(marks_of(before))
        counts = {name: count + getattr(before, name) for name, count in counts.items()}
    salt, made = marks.salt, marks.to_bytes()
    return EraseReceipt(
        namespace, erased_at=erased_at, salt=salt, marks=made, sessions=(), **counts
    )


def _text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _bytes(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True) if text else b""


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r:.40} is no count")
    return value
