"""Contradictions: of two values of one thing the later supersedes the earlier.

Nothing is overwritten: the earlier memory gets `valid_to`, the later `valid_from`, and each
names the other. At every time exactly one value of such a chain holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from ctxplug.access.guarding import rule_classes
from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.memories.statements import Slot, Statement, statement_of
from ctxplug.memories.tiers import own, with_own
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Where

LISTED = 200  # memories that are looked through for those about the same
MESSAGE = "message"
_TICK = timedelta(microseconds=1)


def timeline(
    records: Iterable[MemoryRecord], keyed: tuple[str, ...]
) -> list[list[tuple[MemoryRecord, MemoryRecord]]]:
    """Return, for each thing with contradicting values, what changes: the old and the new form.

    `keyed` are the kinds in which a metadata `key` names what has one value.
    """
    slots: dict[Slot, list[tuple[MemoryRecord, Statement]]] = defaultdict(list)
    for record in records:
        statement = statement_of(record, keyed)
        if statement is not None:
            slots[statement.slot].append((record, statement))
    chains = [list(_in_order(held)) for held in slots.values() if len(held) > 1]
    return [chain for chain in chains if chain]


def placed(
    backend: Backend,
    new: MemoryRecord,
    supersedes: Sequence[str],
    keyed: tuple[str, ...] | None,
    now: datetime,
) -> tuple[MemoryRecord, list[tuple[MemoryRecord, MemoryRecord]]]:
    """Return `new` as it is to be stored, and the stored memories that change, old and new.

    It supersedes what it is said to, or what it contradicts (`keyed` None: nothing).
    """
    if supersedes:
        old = named(backend, new.namespace, supersedes)
        begun, ended = superseding(new, old, now)
        return begun, list(zip(old, ended, strict=True))
    if keyed is None:
        return new, []
    others = rivals(backend, new, keyed, now)
    if others:  # what other agents may see is not changed by what these say
        rules = rule_classes(backend, new.namespace)
        others = [one for one in others if rules(one) == rules(new)]
    changed = [pair for chain in timeline([*others, new], keyed) for pair in chain]
    begun = next((after for before, after in changed if before is new), new)
    return begun, [pair for pair in changed if pair[0] is not new]


def rivals(
    backend: Backend, record: MemoryRecord, keyed: tuple[str, ...], now: datetime
) -> list[MemoryRecord]:
    """Return the stored memories that are about the same as `record`, superseded ones too."""
    statement = statement_of(record, keyed)
    if statement is None:
        return []
    where = Where(record.namespace, kinds=[record.kind], now=now)
    slot = statement.slot
    if not slot.subject:
        where = Where(
            record.namespace, kinds=[record.kind], metadata={"key": slot.attribute}, now=now
        )
        found = backend.find(where)
    elif "keyword" in backend.capabilities:
        from ctxplug.recall.text import terms  # at first use: it compiles much

        words = terms(statement.anchors)
        hits = backend.search(where, terms=words, limit=LISTED)
        found = [hit.record for hit in hits]
    else:  # consolidation looks through all of them
        found = backend.find(where, limit=LISTED)
    stated = [(one, statement_of(one, keyed)) for one in found]
    return [one for one, other in stated if other is not None and other.slot == slot]


def named(backend: Backend, namespace: Namespace, ids: Iterable[str]) -> list[MemoryRecord]:
    """Return the memories to be superseded; raise NotFoundError for one that is not there."""
    found = []
    for id in ids:
        record = backend.get(namespace, id)
        if record is None or record.kind == MESSAGE:
            raise NotFoundError(
                f"There is no memory {id!r} to supersede in this namespace; recall lists the ids."
            )
        found.append(record)
    return found


def superseding(
    new: MemoryRecord, old: Sequence[MemoryRecord], now: datetime
) -> tuple[MemoryRecord, list[MemoryRecord]]:
    """Return `new` and `old` as they are when the one supersedes the others.

    The change is at `new.valid_from`, or `now`. Raises InvalidValueError where an old one
    ended before, or begins only then.
    """
    start = new.valid_from or now
    latest = max((one.valid_from for one in old if one.valid_from), default=None)
    if latest is not None and start <= latest and new.valid_from is None:
        start = latest + _TICK  # two changes within one tick of the clock
    ended = []
    for one in old:
        if one.valid_to is not None and one.valid_to <= start:
            by = own(one).get("superseded_by", "another")
            raise InvalidValueError(
                f"The memory {one.id!r} holds only until {one.valid_to.isoformat()}, superseded by"
                f" {by!r}; supersede that one.",
                path="supersedes",
            )
        if one.valid_from is not None and one.valid_from >= start:
            raise InvalidValueError(
                f"The memory {one.id!r} holds from {one.valid_from.isoformat()} on, which is not"
                f" before {start.isoformat()}; give a later valid_from.",
                path="valid_from",
            )
        ended.append(_ended(one, start, new.id))
    return _begun(new, start, [one.id for one in old]), ended


def _in_order(
    held: list[tuple[MemoryRecord, Statement]],
) -> Iterator[tuple[MemoryRecord, MemoryRecord]]:
    """Yield what changes so that each run of one value ends where the next begins."""
    held.sort(key=lambda pair: (_start(pair[0]), pair[0].created_at, pair[0].id))
    runs: list[list[MemoryRecord]] = []
    value: Statement | None = None
    for record, statement in held:
        if value is not None and not statement.differs(value):
            runs[-1].append(record)
        else:
            runs.append([record])
        value = statement
    if len(runs) == 1:
        return
    for number, run in enumerate(runs):
        following = runs[number + 1][0] if number + 1 < len(runs) else None
        before = runs[number - 1] if number else []
        for record in run:
            changed = record
            if before:
                closed = [r.id for r in before if _ends_after(r, _start(run[0]))]
                changed = _begun(changed, _start(record), closed if record is run[0] else [])
            if following is not None and _ends_after(changed, _start(following)):
                changed = _ended(changed, _start(following), following.id)
            if changed != record:
                yield record, changed


def _start(record: MemoryRecord) -> datetime:
    return record.valid_from or record.created_at


def _ends_after(record: MemoryRecord, time: datetime) -> bool:
    return record.valid_to is None or record.valid_to > time


def _ended(record: MemoryRecord, time: datetime, by: str) -> MemoryRecord:
    return with_own(record.evolve(valid_to=time), superseded_by=by)


def _begun(record: MemoryRecord, time: datetime, ids: Sequence[str]) -> MemoryRecord:
    known = own(record).get("supersedes", [])
    more = [id for id in ids if id not in known]
    if more:
        record = with_own(record, supersedes=[*known, *more])
    return record if record.valid_from is not None else record.evolve(valid_from=time)
