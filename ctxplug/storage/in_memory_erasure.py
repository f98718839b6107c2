"""What erasing takes out of the in-memory backend, and the receipt for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ctxplug.scope import Namespace
from ctxplug.storage.backend import Stream
from ctxplug.storage.erasure import EraseReceipt, receipt_of
from ctxplug.storage.in_memory_space import Space
from ctxplug.storage.matching import require_unforked


def erase_all(space: Space, namespace: Namespace) -> EraseReceipt:
    """Return the receipt for all of `space`, which is let go."""
    streams = [Stream(namespace, name) for name in space.logs]
    entries = [entry for stream in streams for entry in space.own_entries(stream)]
    kept = list(space.archived(namespace, None))
    return receipt_of(
        namespace,
        datetime.now(UTC),
        marked=entries,
        others=space.own_records(namespace),
        records=len(space.rows) + len(kept),
        vectors=len(space.vectors or ()),
        archived=space.archive_state().entries + len(kept),
        remaining=0,
    )


def erase_logs(space: Space, namespace: Namespace, names: tuple[str, ...]) -> EraseReceipt:
    """Take the sessions `names` out of `space`, with the records that their entries are."""
    there = {name: space.logs[name] for name in names if name in space.logs}
    logs = space.logs.items()
    require_unforked({name for name, log in logs if log.parent in there and name not in there})
    entries = [e for name in there for e in space.own_entries(Stream(namespace, name))]
    ids = [f"{entry.stream.session}@{entry.version}" for entry in entries]
    views = [id for id in ids if id in space.rows and space.is_view(id)]
    embedded = 0 if space.vectors is None else sum(id in space.vectors for id in views)
    segments = [segment for log in there.values() for segment in log.segments]
    kept = sum(segment.records for segment in segments)
    for id in views:
        space.take(id)
    for name in there:
        del space.logs[name]
    receipt = receipt_of(
        namespace,
        datetime.now(UTC),
        marked=entries,
        others=(),
        records=len(views) + kept,
        vectors=embedded,
        archived=sum(segment.items for segment in segments) + kept,
        remaining=0,
    )
    return replace(receipt, sessions=names)
