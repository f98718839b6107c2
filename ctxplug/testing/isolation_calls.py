"""The calls of the isolation suite: for each public method, those that might reach elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any, TypeAlias

from ctxplug import AgentMemory, Message, ToolCallPart
from ctxplug.access.verbs import Access
from ctxplug.audit.log import AuditLog
from ctxplug.context.sections import Section, Sections
from ctxplug.sessions.session import Session
from ctxplug.testing.isolation_world import (
    CHINESE,
    ENGLISH,
    LONG_AGO,
    THEIR_ARCHIVED,
    THEIR_ID,
    THEIR_SESSION,
    their_receipt,
    their_reservation,
    their_usage,
)
from ctxplug.tokens.ledger import UsageLedger
from ctxplug.tools import ToolRegistry
from ctxplug.tracing.step import Step
from ctxplug.tracing.trace import Trace

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
AT_ONCE = timedelta(0)
ROOMS: dict[str, type] = {
    "": AgentMemory,
    "usage.": UsageLedger,
    "session.": Session,
    "sections.": Sections,
    "tools.": ToolRegistry,
    "access.": Access,
    "audit.": AuditLog,
    "trace.": Trace,
}


def call(*args: Any, **options: Any) -> Arguments:
    """Return the arguments of one call."""
    return args, options


def _found(memory: AgentMemory, query: str | None) -> list[Any]:
    return [*memory.recall(f"violin {ENGLISH}", k=9), *memory.recall(CHINESE, k=9)]


def _their_anchor() -> dict[str, Any]:
    chains = {THEIR_ID: {"links": 1, "hash": THEIR_ID * 2}}
    return {"ctxplug_audit_anchor": 1, "of": "namespace", "chains": chains}


def _their_step() -> Step:
    data = {"head": 3, "base": 0, "hash": THEIR_ID * 2, "tokens": {"messages": 5}, "messages": 3}
    sizes = {"budget": 900, "limit": 900, "margin": 0.0, "counter": "estimate:o200k"}
    return Step(
        id=THEIR_ID[:16],
        trace=THEIR_ID,
        parent=None,
        kind="window",
        name="balanced",
        started_at=LONG_AGO,
        duration=0.0,
        outcome="ok",
        session=THEIR_SESSION,
        data={**data, **sizes, "policy": "balanced", "compactions": 0},
    )


def _heard(steps: Any) -> None:
    pass


def add_one(number: int) -> int:
    """Add one to a number."""
    return number + 1


# For each method, the calls that might reach into another namespace. Twins are called alike.
CALLS: dict[str, Callable[[], list[Arguments]]] = {
    "add": lambda: [call("user", "A new violin.")],
    "extend": lambda: [call([Message("user", "Two"), Message("assistant", "Three")])],
    "messages": lambda: [call()],
    "original": lambda: [call("@1-3"), call(f"{THEIR_SESSION}@1"), call("own@9")],
    "expand": lambda: [call("@1"), call(f"{THEIR_SESSION}@1-3")],
    "context": lambda: [
        call(),
        call(f"violin {ENGLISH}"),
        call(f"violin {CHINESE}", budget=600),
        call(
            sections=[
                Section("found", _found, place="system"),
                Section("kept", _found, cacheable=True),
            ]
        ),
    ],
    "record_usage": lambda: [call({"input_tokens": 9, "output_tokens": 1})],
    "usage": list,
    "plugins": list,
    "redacts": list,
    "beside": lambda: [call(session=THEIR_SESSION), call(session="own", agent="theiragent")],
    "remember": lambda: (
        [call(f"Knows nothing of birds {n}", importance=0.6) for n in range(2)]
        + [call("Lives in Porto", supersedes=THEIR_ID)]
    ),
    "recall": lambda: [
        call("violin", k=99),
        call(ENGLISH, k=99),
        call(CHINESE, k=99),
        call("window Lisbon", k=99, include_superseded=True),
        call("violin", session=THEIR_SESSION),
        call("violin", agent="theiragent"),
        call("violin", kinds="theirkind"),
        call("violin", tags=["theirtag"]),
        call("violin", metadata={ENGLISH: CHINESE}),
    ],
    "memories": lambda: [
        call(include_superseded=True),
        call(kinds="theirkind"),
        call(session=THEIR_SESSION),
        call(metadata={ENGLISH: CHINESE}),
    ],
    "update": lambda: [call(THEIR_ID, importance=0.9), call(THEIR_ARCHIVED, content="changed")],
    "promote": lambda: [call(THEIR_ID), call(THEIR_ARCHIVED)],
    "forget": lambda: [
        call(THEIR_ID),
        call(THEIR_ARCHIVED),
        call(f"{THEIR_SESSION}@1"),
        call(f"{THEIR_SESSION}@3"),
        call("own@1"),
    ],
    "consolidate": lambda: [call(dry_run=True), call()],
    "maintain": lambda: [call(dry_run=True), call()],
    "maintenance_log": lambda: [call()],
    "tell_failed": lambda: [call(ValueError("own"))],
    "archive": lambda: [call(AT_ONCE, sessions=THEIR_SESSION), call(AT_ONCE)],
    "unarchive": lambda: [
        call(THEIR_SESSION),
        call(ids=[THEIR_ID, THEIR_ARCHIVED]),
        call("old"),
        call(),
    ],
    "search_archive": lambda: [
        call(ENGLISH),
        call(CHINESE),
        call("violin window"),
        call("old violin", session=THEIR_SESSION),
        call("old violin", session="old"),
    ],
    "reindex": lambda: [call()],
    "erase": lambda: [call()],
    "verify_erased": lambda: [call(their_receipt())],
    "stats": lambda: [call()],
    "check": lambda: [call()],
    "close": lambda: [call()],
    "session.id": list,
    "session.namespace": list,
    "session.head": list,
    "session.note": list,
    "session.log": lambda: [call(), call(last=9), call(kept=False)],
    "session.keep": lambda: [call([1]), call((), [Message("user", "Anew")], note={"by": "me"})],
    "session.state": list,
    "session.info": lambda: [call()],
    "session.suspend": lambda: [call("so long"), call()],
    "session.resume": lambda: [call()],
    "session.complete": lambda: [call(), call()],
    "session.fail": lambda: [call("an error")],
    "session.update": lambda: [call({"k": "v"}), call({"k": None})],
    "session.snapshot": lambda: [call("v1", "a note")],
    "session.snapshots": lambda: [call()],
    "session.restore": lambda: [call(2), call("theirsession"), call(999)],
    "session.fork": lambda: [call("branch"), call(THEIR_SESSION, at=1), call("old")],
    "session.erase": lambda: [call()],
    "sessions": lambda: [call(), call("active"), call(parent=THEIR_SESSION, limit=9)],
    "retire": lambda: [call(AT_ONCE + timedelta.resolution, dry_run=dry) for dry in (True, False)],
    "audit": list,
    "audit.namespace": list,
    "audit.entries": lambda: [call(), call(id=THEIR_ID), call(agent="theiragent", last=9)],
    "audit.note": lambda: [call("looked", ids=[THEIR_ID], at=1), call("erase")],
    "audit.purpose": lambda: [call("a case")],
    "audit.flush": lambda: [call()],
    "audit.verify": lambda: [call(), call(_their_anchor())],
    "audit.anchor": lambda: [call()],
    "audit.export": lambda: [call(BytesIO())],
    "audit.report": lambda: [call()],
    "sections": list,
    "sections.add": lambda: [call("notes", "我的小提琴"), call(Section("found", _found))],
    "sections.get": lambda: [call(THEIR_ID)],
    "sections.remove": lambda: [call(THEIR_ID)],
    "sections.names": lambda: [call()],
    "sections.list": lambda: [call()],
    "sections.refresh": lambda: [call(), call(THEIR_ID)],
    "tools": list,
    "tools.add": lambda: [call(add_one), call(add_one)],
    "tools.add_memory_tools": lambda: [call()],
    "tools.remove": lambda: [call("remember"), call("theirtool")],
    "tools.names": lambda: [call()],
    "tools.get": lambda: [call("recall"), call("theirtool")],
    "tools.list": lambda: [call(), call(session=THEIR_SESSION, agent="theiragent")],
    "tools.run": lambda: [  # one at a time: what runs together ends in any order
        call([ToolCallPart("a", "recall", {"query": f"violin {ENGLISH} {CHINESE}", "k": 50})]),
        call([ToolCallPart("b", "forget", {"memory_id": THEIR_ID})], store=True),
        call([ToolCallPart("c", "expand", {"ref": f"{THEIR_SESSION}@1"})], store=True),
    ],
    "tools.call": lambda: [
        call("recall", {"query": "violin", "k": 50}),
        call("forget", {"memory_id": THEIR_ARCHIVED}),
        call("theirtool", {"query": CHINESE}),
    ],
    "tools.history": lambda: [call(), call(session=THEIR_SESSION), call(tool="recall")],
    "tools.recover": lambda: [call()],
    "tools.to_anthropic": lambda: [call()],
    "tools.to_openai": lambda: [call()],
    "access": list,
    "access.grant": lambda: [call("theiragent", "read", session=THEIR_SESSION)],
    "access.deny": lambda: [call("*", ("read", "write", "share"))],
    "access.revoke": lambda: [call(THEIR_ID)],
    "access.rules": lambda: [call()],
    "access.allows": lambda: [call("me", "read", THEIR_SESSION), call("theiragent", "share")],
    "trace.steps": lambda: [call(), call(session=THEIR_SESSION), call(kind="window", last=9)],
    "trace.get": lambda: [call(THEIR_ID[:16]), call(THEIR_ID[:16], session=THEIR_SESSION)],
    "trace.window": lambda: [call(THEIR_ID[:16]), call(_their_step())],
    "trace.replay": lambda: [call(), call(THEIR_SESSION)],
    "trace.rerun": lambda: [
        call(budget=300),
        call(policy="aggressive"),
        call(session=THEIR_SESSION),
    ],
    "trace.compare": lambda: [call(_their_step(), _their_step()), call(THEIR_ID, THEIR_ID)],
    "trace.analyze": lambda: [call(), call(session=THEIR_SESSION)],
    "trace.span": lambda: [call("own", parent=THEIR_ID[:16], n=1)],
    "trace.record": lambda: [
        call("span", "own", started_at=LONG_AGO, duration=1.0, trace=THEIR_ID, parent=THEIR_ID[:16])
    ],
    "trace.flush": lambda: [call()],
    "trace.listen": lambda: [call(_heard)],
    "trace.close": lambda: [call()],
    "trace.begin_turn": lambda: [call()],
    "trace.forget": lambda: [call()],
    # Of the inside: what the steps of verbs go through on their way to the store.
    **{f"trace.{name}": list for name in ("join", "opened", "ended", "take", "ops", "stored")},
    "trace.put_back": list,
    "trace.keeps": list,
    "usage.record": lambda: [call(their_usage(), session=THEIR_SESSION)],
    "usage.check": lambda: [call(5)],
    "usage.reserve": lambda: [call(5)],
    "usage.settle": lambda: [call(their_reservation(), their_usage())],
    "usage.release": lambda: [call(their_reservation())],
    "usage.report": lambda: [call(), call(days=999)],
}
# Called apart, below: they are given a store.
OPENING = {"open", "aopen"}
# What these return counts the whole store, by their nature: only canaries are looked for.
OF_THE_STORE = {"check"}
# What two namespaces ask in turn, in the same words.
READING = (
    "messages",
    "context",
    "recall",
    "memories",
    "search_archive",
    "expand",
    "sessions",
    "stats",
    "session.log",
    "tools.list",
    "usage.report",
)
