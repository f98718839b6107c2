"""The calls of the isolation suite: for each public method, those that might reach elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from ctxplug import AgentMemory, Message, ToolCallPart
from ctxplug.context.sections import Section, Sections
from ctxplug.sessions.session import Session
from ctxplug.testing.isolation_world import (
    CHINESE,
    ENGLISH,
    THEIR_ARCHIVED,
    THEIR_ID,
    THEIR_SESSION,
    their_receipt,
    their_reservation,
    their_usage,
)
from ctxplug.tokens.ledger import UsageLedger
from ctxplug.tools import ToolRegistry

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
AT_ONCE = timedelta(0)
ROOMS: dict[str, type] = {
    "": AgentMemory,
    "usage.": UsageLedger,
    "session.": Session,
    "sections.": Sections,
    "tools.": ToolRegistry,
}


def call(*args: Any, **options: Any) -> Arguments:
    """Return the arguments of one call."""
    return args, options


def _found(memory: AgentMemory, query: str | None) -> list[Any]:
    return [*memory.recall(f"violin {ENGLISH}", k=9), *memory.recall(CHINESE, k=9)]


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
