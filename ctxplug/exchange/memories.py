"""Memories as JSONL: one record a line, to be read, edited, and brought into another store.

A line is `MemoryRecord.to_dict` as JSON. A line that another program wrote needs a
"content" and no more. What comes in passes redactors and judges like any new memory.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ctxplug import codec
from ctxplug.audit.entering import with_entries
from ctxplug.errors import CtxplugError, GuardError, InvalidValueError, TranscriptError
from ctxplug.guards import Guards
from ctxplug.memories.remember import new_memory
from ctxplug.plugins import Plugins
from ctxplug.recall.indexing import index_form
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, Scope, to_namespace
from ctxplug.storage import Backend, Put
from ctxplug.transcripts.files import decode, fault

BATCH = 250  # records of one write
NAMED = 10  # lines that an error names one by one
MESSAGE = "message"
_BOM = b"\xef\xbb\xbf"
_OF_A_LOG = re.compile(r"@[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class LineFault:
    """A line that cannot be imported, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class MemoryReceipt:
    """What an import did: how many it wrote, the ids that were there already, bad lines."""

    imported: int
    present: tuple[str, ...]
    faults: tuple[LineFault, ...]


def memory_lines(records: Iterable[MemoryRecord]) -> Iterator[bytes]:
    """Yield a line of JSON for each record; `import_memories` is the exact inverse."""
    for record in records:
        yield codec.encode(record.to_dict()) + b"\n"


def import_memories(
    path: str,
    backend: Backend,
    plugins: Plugins,
    *,
    namespace: Namespace | None = None,
    origin: str | None = None,
    skip_faults: bool = False,
) -> MemoryReceipt:
    """Write the memories of the file `path`, into `namespace` if given, and tell what it did.

    An id that is there already is left as it is and named in the receipt. The whole file is
    examined first: if any line is damaged or refused by a plugin, nothing is written and
    TranscriptError names each such line. With `skip_faults` the others are written, and the
    receipt names them. `origin` stands for what the lines say of theirs.
    """
    faults = examine_memories(
        path, plugins, namespace=namespace, origin=origin, skip_faults=skip_faults
    )
    reader = _Reader(path, Guards(plugins), namespace, origin)
    present: list[str] = []
    imported = 0
    for batch in _batches(item for item in reader.items() if isinstance(item, MemoryRecord)):
        new = {}
        for record in batch:
            key = (record.namespace, record.id)
            if key in new or backend.get(*key) is not None:
                present.append(record.id)
            else:
                new[key] = Put(record, *index_form(record.content))
        if new:
            backend.write(*with_entries(backend, [*new.values()], "import"))
        imported += len(new)
    return MemoryReceipt(imported, tuple(present), tuple(faults))


def examine_memories(
    path: str,
    plugins: Plugins,
    *,
    namespace: Namespace | None = None,
    origin: str | None = None,
    skip_faults: bool = False,
) -> list[LineFault]:
    """Return the lines of `path` that cannot be imported; raise unless `skip_faults`."""
    reader = _Reader(path, Guards(plugins), namespace, origin)
    faults = [item for item in reader.items() if isinstance(item, LineFault)]
    if faults and not skip_faults:
        raise _refusal(path, faults)
    return faults


class _Reader:
    """The lines of a file as records that the guards let in, or as faults."""

    def __init__(
        self, path: str, guards: Guards, namespace: Namespace | None, origin: str | None
    ) -> None:
        self._path = path
        self._guards = guards
        self._namespace = namespace
        self._origin = origin
        self._now = datetime.now(UTC)  # one time for what says none, however often it is read

    def items(self) -> Iterator[MemoryRecord | LineFault]:
        """Yield the record of each line that is not blank, or its fault."""
        for number, data in _lines(self._path):
            try:
                yield self._record(data, number)
            except GuardError as exc:
                yield LineFault(number, str(exc))
            except TranscriptError as exc:
                yield LineFault(number, str(exc).split(": ", 1)[-1])
            except (CtxplugError, ValueError) as exc:
                yield LineFault(number, str(exc))

    def _record(self, data: bytes, number: int) -> MemoryRecord:
        value = decode(data, self._path, number)
        if not isinstance(value, Mapping) or not isinstance(value.get("content"), str):
            raise InvalidValueError('A memory is an object with a text as "content".')
        namespace = self._namespace
        if namespace is None:
            if "namespace" not in value:
                raise InvalidValueError("It says no namespace; say whose memory it becomes.")
            namespace = to_namespace(value["namespace"])
        scope = Scope(namespace, "import")
        if value.keys() >= {"id", "kind", "created_at"}:
            record = MemoryRecord.from_dict({"made_by": "import", **value, "namespace": namespace})
        else:
            record = self._foreign(value, scope, data)
        if record.kind == MESSAGE or _OF_A_LOG.search(record.id):
            raise InvalidValueError(
                f"{record.id!r} stands for a message of a log; `ctxplug import` reads those."
            )
        if self._origin is not None:
            record = record.evolve(origin=self._origin)
        return self._guards.admit(record, scope)

    def _foreign(self, value: Mapping[str, Any], scope: Scope, data: bytes) -> MemoryRecord:
        """Return a record of a line that says less than all; the same line, the same id."""
        known: dict[str, Any] = {k: value[k] for k in ("kind", "importance") if k in value}
        made = new_memory(
            str(value["content"]), scope, self._now, origin="document", made_by="import", **known
        )
        id = hashlib.blake2b(data.strip(), digest_size=16).hexdigest()
        base = {**made.to_dict(), "id": id, "session": None}
        return MemoryRecord.from_dict({**base, **value, "namespace": scope.namespace})


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                data = line.removeprefix(_BOM) if number == 1 else line
                if data.strip():
                    yield number, data.rstrip(b"\r\n")
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise TranscriptError(f"{path!r} cannot be read: {reason}.", path=path) from exc


def _batches(records: Iterable[MemoryRecord]) -> Iterator[list[MemoryRecord]]:
    batch: list[MemoryRecord] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _refusal(path: str, faults: list[LineFault]) -> TranscriptError:
    if len(faults) == 1:
        return fault(path, faults[0].line, f"nothing was imported: {faults[0].reason}")
    named = "; ".join(f"line {one.line}: {one.reason.rstrip('.')}" for one in faults[:NAMED])
    more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    return fault(path, 0, f"{len(faults)} lines cannot be imported, so nothing was: {named}{more}")
