"""Enter what is written to a store itself, as an import does, which no memory's audit sees."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ctxplug.audit.backend import recorder_of
from ctxplug.audit.changes import Draft, limited
from ctxplug.audit.entry import AuditEntry, append_of
from ctxplug.audit.sensitivity import of_tags
from ctxplug.scope import Namespace
from ctxplug.storage import Append, Backend, Op, Put


def with_entries(backend: Backend, ops: Sequence[Op], what: str) -> list[Op]:
    """Return `ops`, and behind them what the audit log of each namespace tells of them: `what`."""
    if recorder_of(backend) is not None:  # which enters it
        return list(ops)
    drafts: dict[Namespace, Draft] = {}
    for op in ops:
        if isinstance(op, Put):
            namespace = op.record.namespace
            draft = drafts.setdefault(namespace, Draft(what, namespace))
            draft.ids.append(op.record.id)
            draft.records.append(op.record)
        elif isinstance(op, Append):
            namespace, session = op.stream.namespace, op.stream.session
            draft = drafts.setdefault(namespace, Draft(what, namespace, session, [session]))
            draft.data["entries"] = draft.data.get("entries", 0) + 1
    now = datetime.now(UTC)
    return [*ops, *(_entered(draft, now) for draft in drafts.values())]


def _entered(draft: Draft, now: datetime) -> Append:
    ids, data = limited(draft)
    found = of_tags(draft.records)
    entry = AuditEntry(
        what=draft.what,
        at=now,
        namespace=draft.namespace,
        session=draft.session,
        ids=tuple(ids),
        sensitivity=found.level,
        tags=found.tags,
        data=data,
    )
    return append_of(entry.payload(), draft.namespace, now)
