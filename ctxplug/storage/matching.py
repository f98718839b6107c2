"""What a Where and an Expect mean, in plain Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from ctxplug import codec
from ctxplug.errors import ConflictError, InvalidValueError
from ctxplug.records import MemoryRecord
from ctxplug.storage.backend import Append, Expect, Fork, Where
from ctxplug.times import to_datetime


def matches(record: MemoryRecord, where: Where) -> bool:
    """Say whether every condition of `where` but the namespace holds for `record`."""
    return (
        (where.ids is None or record.id in where.ids)
        and (where.kinds is None or record.kind in where.kinds)
        and record.kind not in where.not_kinds
        and (where.tiers is None or record.tier in where.tiers)
        and all(tag in record.tags for tag in where.tags)
        and (where.session is None or record.session == where.session)
        and (where.agent is None or record.agent == where.agent)
        and _in_time(record, where)
        and all(_equal(record.metadata, key, value) for key, value in where.metadata.items())
    )


def require_expected(op: Expect, stored: MemoryRecord | None, target: str = "") -> None:
    """Raise ConflictError unless `stored` is the record that `op` expects."""
    if stored != op.record:
        found = "is not there" if stored is None else "was changed"
        raise ConflictError(
            f"The record {op.id!r} {found}: someone else wrote first. Read it again and decide"
            " anew.",
            expected=int(op.record is not None),
            found=int(stored is not None),
            target=target,
        )


def require_head(op: Append, head: int, target: str = "") -> None:
    """Raise ConflictError unless `head` is the version that `op` expects its stream to be at."""
    if op.expected is not None and head != op.expected:
        raise ConflictError(
            f"Session {op.stream.session!r} is at version {head}, not {op.expected}: someone"
            " else wrote first. Read the new entries and try again.",
            expected=op.expected,
            found=head,
            target=target,
        )


def require_unmarked(op: Append, head: int, marked: bool, target: str = "") -> None:
    """Raise ConflictError if the stream is `marked` beyond what `op.unless` allows."""
    _, version = op.unless or ("", 0)
    if marked or head < version:
        raise ConflictError(
            f"Session {op.stream.session!r} has changed since version {version}: someone else"
            " wrote first. Read the new entries and try again.",
            expected=version,
            found=head,
            target=target,
        )


def check_fork(op: Fork) -> Fork:
    """Return `op`; raise InvalidValueError if no parent could make it possible."""
    if isinstance(op.upto, bool) or not isinstance(op.upto, int) or op.upto < 1:
        raise InvalidValueError(
            f"A fork shares the first entries of its parent, one or more, not {op.upto!r:.40};"
            " begin a new session to share none.",
            path="upto",
        )
    return op


def require_forkable(op: Fork, own: int, parents: int, target: str = "") -> None:
    """Raise ConflictError unless the stream is empty and its parent has that many entries."""
    if own:
        raise ConflictError(
            f"Session {op.stream.session!r} has {own} entries already, so it cannot become a"
            " fork; choose another name.",
            expected=0,
            found=own,
            target=target,
        )
    if parents < op.upto:
        raise ConflictError(
            f"Session {op.parent!r} has {parents} entries, so it cannot be forked at"
            f" {op.upto}; fork it where it has been.",
            expected=op.upto,
            found=parents,
            target=target,
        )


def require_unforked(forks: Collection[str], target: str = "") -> None:
    """Raise ConflictError if sessions that are to be erased have `forks` that are not."""
    if forks:
        some = ", ".join(map(repr, sorted(forks)[:5]))
        raise ConflictError(
            f"What is to be erased has {len(forks)} forks, which read from it: {some}. Erase"
            " them too, in the same call or before; nothing was erased.",
            expected=0,
            found=len(forks),
            target=target,
        )


def _in_time(record: MemoryRecord, where: Where) -> bool:
    since, until, at, now = map(_utc, (where.since, where.until, where.valid_at, where.now))
    return (
        (since is None or record.created_at >= since)
        and (until is None or record.created_at < until)
        and (at is None or record.valid_from is None or record.valid_from <= at)
        and (at is None or record.valid_to is None or record.valid_to > at)
        and (now is None or record.expires_at is None or record.expires_at > now)
    )


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else to_datetime(time)


def _equal(metadata: Mapping[str, Any], key: str, value: Any) -> bool:
    # JSON equality: in Python True == 1, in JSON it is not.
    return key in metadata and codec.canonical(metadata[key]) == codec.canonical(value)
