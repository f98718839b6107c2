"""Which operations agents may write, and what is left of those that touch what they may not see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ctxplug.access.rule import READ, SHARE, WRITE, AccessRule
from ctxplug.access.ruleset import REVOKED, RULE
from ctxplug.access.sight import AUDIT, MESSAGE, OPEN, RULES, TRACE, Sight
from ctxplug.errors import InvalidValueError
from ctxplug.records import MemoryRecord
from ctxplug.scope import RESERVED, Namespace
from ctxplug.storage import (
    Append,
    ArchiveLog,
    ArchiveRecords,
    Delete,
    Embed,
    Expect,
    Fork,
    Op,
    Put,
    Touch,
    Unarchive,
    Unembed,
    Where,
)
from ctxplug.storage.matching import require_expected

ALWAYS = (AUDIT, TRACE)  # logs of what agents did: whatever they may do is recorded


def permitted(ops: Sequence[Op], sight_of: Callable[[Namespace], Sight]) -> list[Op]:
    """Return `ops` as they may be written, one for one; raise AccessError if one may not."""
    sights: dict[Namespace, Sight] = {}
    done: list[Op] = []
    for op in ops:
        if type(op) not in _CHECKS:  # what is not known here goes to no store
            raise TypeError(
                f"{op!r} is no operation; write takes those of ctxplug.storage.backend.Op."
            )
        space = _space_of(op)
        if space not in sights:
            sights[space] = sight_of(space)
        sight = sights[space]
        _guard_logs(sight, op)
        done.append(op if sight.is_free(READ, WRITE, SHARE) else _CHECKS[type(op)](sight, op))
    return done


def _space_of(op: Any) -> Namespace:
    """Return the namespace that an operation is about."""
    if isinstance(op, Append | Fork | ArchiveLog):
        return op.stream.namespace
    space: Namespace = op.record.namespace if isinstance(op, Put) else op.namespace
    return space


def _guard_logs(sight: Sight, op: Op) -> None:
    """Keep the logs of rules and of the audit as the law says, whatever agents may do else."""
    if isinstance(op, Append):
        if op.stream.session == RULES:
            _check_rules(sight, op)
        return
    guard_chain(sight)
    if isinstance(op, Fork | ArchiveLog) and op.stream.session.startswith(RESERVED):
        raise sight.refusal(WRITE, op.stream.session)
    if isinstance(op, Unarchive) and op.session is not None:
        guard_log(sight, op.session)


def guard_chain(sight: Sight) -> None:
    """Raise AccessError in the namespace of the audit's chain: agents may only add to that."""
    if sight.agents and sight.namespace[0] == AUDIT:
        raise sight.refusal(WRITE, what="the chain of the audit, but add to it,")


def guard_erasure(sight: Sight) -> None:
    """Raise AccessError where agents may not erase a namespace: where it has rules."""
    guard_chain(sight)
    if sight.agents and sight.rules:
        raise sight.refusal(WRITE, what="over the rules, as an erasure does,")


def guard_log(sight: Sight, session: str) -> None:
    """Raise AccessError for the logs of rules and of the audit: agents may only add to those."""
    if session in (RULES, AUDIT):
        raise sight.refusal(WRITE, session)


def _check_rules(sight: Sight, op: Append) -> None:
    """Let an agent hand on what it may, and revoke what it handed on."""
    if op.agent != sight.agents[-1]:
        raise sight.refusal(SHARE, what="rules in another's name")
    if op.kind == RULE:
        try:
            rule = AccessRule.from_dict(op.body, by=op.agent)
        except InvalidValueError as exc:
            raise sight.refusal(SHARE, what=f"what is no rule ({exc})") from exc
        taken = any(rule.id == held.id for held in sight.rules.rules)
        if taken or not all(sight.rules.may_hand_on(agent, rule) for agent in sight.agents):
            raise sight.refusal(SHARE, what=f"what it would: {rule}")
        return
    made = {rule.id for rule in sight.rules.rules if rule.by == op.agent}
    if op.kind != REVOKED or not made.issuperset(op.body.get("ids", [""])):
        raise sight.refusal(SHARE, what="rules that it did not make")


def _append(sight: Sight, op: Append) -> Op:
    session = op.stream.session
    if session != RULES and session not in OPEN and not session.startswith(ALWAYS):
        sight.require(WRITE, session)
    return op


def _fork(sight: Sight, op: Fork) -> Op:
    sight.require(READ, op.parent)
    sight.require(SHARE, op.parent)
    if not sight.may_name(op.stream.session):
        raise sight.refusal(WRITE, op.stream.session)
    return op


def _put(sight: Sight, op: Put) -> Op:
    _require(sight, op.record)
    for stored in _stored(sight, [op.record.id]):
        if not sight.may_record(READ, stored):  # the same words for all that it may not see
            raise sight.refusal(WRITE, what="under this id")
        _require(sight, stored)
    return op


def _delete(sight: Sight, op: Delete) -> Op:
    return _nothing(op.namespace) if unseen(sight, [op.id]) else op


def _expect(sight: Sight, op: Expect) -> Op:
    stored = sight.store.get(op.namespace, op.id)
    if stored is None or sight.may_record(READ, stored):
        return op
    require_expected(op, None)
    return _nothing(op.namespace)


def _touch(sight: Sight, op: Touch) -> Op:
    hidden = unseen(sight, op.ids, READ)
    return replace(op, ids=tuple(id for id in op.ids if id not in hidden))


def _embed(sight: Sight, op: Embed) -> Op:
    return _nothing(op.namespace) if unseen(sight, [op.id]) else op


def _unembed(sight: Sight, op: Unembed) -> Op:
    sight.require_all(WRITE)
    return op


def _archive_log(sight: Sight, op: ArchiveLog) -> Op:
    sight.require(WRITE, op.stream.session)
    return op


def _archive_records(sight: Sight, op: ArchiveRecords) -> Op:
    hidden = unseen(sight, [record.id for record in op.records])
    return replace(op, records=tuple(one for one in op.records if one.id not in hidden))


def _unarchive(sight: Sight, op: Unarchive) -> Op:
    if op.session is not None:
        sight.require(WRITE, op.session)
        return op
    if op.ids is not None:
        hidden = unseen(sight, op.ids)
        return replace(op, ids=tuple(id for id in op.ids if id not in hidden))
    where = Where(op.namespace, not_kinds=[MESSAGE])
    held = [one.record for one in sight.store.archived(where)]
    ids = [r.id for r in held if sight.may_record(READ, r) and sight.may_record(WRITE, r)]
    return replace(op, ids=tuple(ids if op.most is None else ids[: op.most]))


_CHECKS: dict[type, Callable[[Sight, Any], Op]] = {
    Append: _append,
    Fork: _fork,
    Put: _put,
    Delete: _delete,
    Expect: _expect,
    Touch: _touch,
    Embed: _embed,
    Unembed: _unembed,
    ArchiveLog: _archive_log,
    ArchiveRecords: _archive_records,
    Unarchive: _unarchive,
}
CHECKED = frozenset(_CHECKS)


def _nothing(namespace: Namespace) -> Op:
    """Return what touches as many records as there are for who may not see them: none."""
    return Touch(namespace, (), datetime.now(UTC))


def _stored(sight: Sight, ids: Sequence[str]) -> list[MemoryRecord]:
    """Return the records of `ids`, those in the archive too."""
    where = Where(sight.namespace, ids=list(ids))
    found = sight.store.find(where)
    if "archive" in sight.store.capabilities:
        found += [one.record for one in sight.store.archived(where)]
    return found


def unseen(sight: Sight, ids: Sequence[str], verb: str = WRITE) -> set[str]:
    """Return those of `ids` that are stored and not to be seen; raise if a seen one may not be."""
    hidden = set()
    for record in _stored(sight, ids):
        if not sight.may_record(READ, record):
            hidden.add(record.id)
        elif verb == WRITE:
            _require(sight, record)
    return hidden


def _require(sight: Sight, record: MemoryRecord) -> None:
    if not sight.may_record(WRITE, record):
        what = f"a {record.kind} of the session {record.session!r}"
        raise sight.refusal(WRITE, record.session, what)
