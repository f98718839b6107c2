"""Is what was erased still gone? Compare what is there with the marks of a receipt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.scope import Namespace, namespace_key
from ctxplug.storage import Backend, EraseReceipt, Marks, Stream, Where, marks_of

PAGE = 1024
NAMED = 100


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """Whether what a receipt says was erased is still gone.

    `found` names up to 100 entries ("session@version") and records (their ids) that have
    come back, `returned` counts all of them, `looked_at` what was compared.
    """

    namespace: Namespace
    erased_at: datetime
    returned: int
    found: tuple[str, ...]
    looked_at: int

    @property
    def ok(self) -> bool:
        """Whether nothing of it has come back."""
        return not self.returned


def verify_erased(
    backend: Backend, namespace: Namespace, receipt: EraseReceipt | Mapping[str, Any]
) -> ErasureReport:
    """Look for what `receipt` says was erased among all that `namespace` holds by now.

    Entries and records are compared, archived ones included; vectors and words belong to
    them. Raises InvalidValueError for the receipt of another namespace.
    """
    if not isinstance(receipt, EraseReceipt):
        receipt = EraseReceipt.from_dict(receipt)
    if receipt.namespace != namespace:
        raise InvalidValueError(
            f"This receipt is not of {namespace_key(namespace)!r}; open the namespace that it is"
            " of.",
            path="receipt",
        )
    marks, erased = Marks(receipt.salt), marks_of(receipt)
    looked_at = returned = 0
    found: list[str] = []
    for name, mark in _held(backend, namespace, marks):
        looked_at += 1
        if mark in erased:
            returned += 1
            found += [name] * (len(found) < NAMED)
    return ErasureReport(namespace, receipt.erased_at, returned, tuple(found), looked_at)


def _held(backend: Backend, namespace: Namespace, marks: Marks) -> Iterator[tuple[str, bytes]]:
    """Yield the name and mark of every entry and record."""
    for info in backend.sessions(namespace):
        after, stream = info.forked, Stream(namespace, info.session)
        while entries := backend.read(stream, after=after, limit=PAGE):
            after = entries[-1].version
            for entry in entries:
                yield f"{info.session}@{entry.version}", marks.of_entry(entry)
    offset = 0
    while records := backend.find(Where(namespace), limit=PAGE, offset=offset):
        offset += len(records)
        yield from ((record.id, marks.of_record(record)) for record in records)
    if "archive" in backend.capabilities:
        for one in backend.archived(Where(namespace)):
            yield one.record.id, marks.of_record(one.record)
