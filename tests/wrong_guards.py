"""Guards that each break one law, and the tests of the suite that say so."""

from __future__ import annotations

import re
import threading
from typing import Any

from kit_runner import laws

from ctxplug import hookimpl
from ctxplug.audit import AuditEntry
from ctxplug.records import MemoryRecord
from ctxplug.scope import Scope
from ctxplug.testing import GuardSuite

CARD = re.compile(r"\b(?:\d[ -]?){15}\d\b")


class Right:
    """A guard with all four hooks that keeps every law."""

    @hookimpl
    def redact(self, text: str, scope: Scope) -> str | None:
        return CARD.sub("[card]", text)

    @hookimpl
    def judge_memory(self, record: MemoryRecord) -> Any:
        return False if "听说" in record.content else record.evolve(importance=0.5)

    @hookimpl
    def classify(self, record: MemoryRecord) -> Any:
        return ("restricted", ["hipaa"]) if "胰岛素" in record.content else None

    @hookimpl
    def judge_audit(self, entry: AuditEntry) -> Any:
        if entry.what == "erase" and not entry.purpose:
            return False
        return ["A guest did it."] if entry.agent == "guest" else None


class NoHook:
    def redact(self, text: str) -> str:
        return text


class Async:
    @hookimpl
    async def redact(self, text: str) -> str:
        return text


class GivesBytes(Right):
    @hookimpl
    def redact(self, text: str) -> Any:
        return text.encode() if "hunter2" in text else text


class FailsAtSurrogates(Right):
    @hookimpl
    def redact(self, text: str) -> str:
        return text.encode().decode()


class FailsAtLength(Right):
    @hookimpl
    def redact(self, text: str) -> str:
        if len(text) > 100_000:
            raise ValueError("too long")
        return text


class WrapsAgain(Right):
    @hookimpl
    def redact(self, text: str) -> str:
        return text.replace("hunter2", "[hunter2]")


class JudgesByText(Right):
    @hookimpl
    def judge_memory(self, record: MemoryRecord) -> Any:
        return "no" if record.kind != "preference" else None


class NeedsAnAgent(Right):
    @hookimpl
    def judge_memory(self, record: MemoryRecord, scope: Scope) -> bool:
        return scope.agent.startswith("p")  # type: ignore[union-attr]


class MovesRecords(Right):
    @hookimpl
    def judge_memory(self, record: MemoryRecord) -> MemoryRecord:
        return record.evolve(namespace=("acme",))


class MadeUpClass(Right):
    @hookimpl
    def classify(self, record: MemoryRecord) -> Any:
        return "secret" if record.kind != "preference" else None


class AnswersWithNumbers(Right):
    @hookimpl
    def judge_audit(self, entry: AuditEntry) -> Any:
        return 2.5 if entry.outcome != "ok" else None


class TalksToAgents(Right):
    @hookimpl
    def judge_audit(self, entry: AuditEntry) -> Any:
        return f"{entry.agent.upper()} did it." if entry.what != "forget" else None  # type: ignore[union-attr]


class NumbersWhatItFinds(Right):
    """Each time the next number, so that no two are the same."""

    def __init__(self) -> None:
        self.mine = threading.local()

    @hookimpl
    def redact(self, text: str) -> str:
        self.mine.found = getattr(self.mine, "found", 0) + 1
        return CARD.sub(f"[card-{self.mine.found}]", text)


class MarksRecords(Right):
    @hookimpl
    def classify(self, record: MemoryRecord) -> Any:
        record.metadata["seen"] = True  # type: ignore[index]
        return None


class MarksEntries(Right):
    @hookimpl
    def judge_audit(self, entry: AuditEntry) -> Any:
        entry.data["seen"] = True  # type: ignore[index]
        return None


class KnowsTheLastUser(Right):
    """Treats what another user said before as known."""

    def __init__(self) -> None:
        self.last: dict[str, str] = {}

    @hookimpl
    def judge_memory(self, record: MemoryRecord, scope: Scope) -> Any:
        before = self.last.get(record.content, scope.namespace[-1])
        self.last[record.content] = scope.namespace[-1]
        return before == scope.namespace[-1] or None


class JudgesOnce(Right):
    """What it made of a text it gives to whoever says it next."""

    def __init__(self) -> None:
        self.known: dict[str, MemoryRecord] = {}

    @hookimpl
    def judge_memory(self, record: MemoryRecord) -> MemoryRecord:
        return self.known.setdefault(record.content, record.evolve(importance=0.5))


class ClassifiesOnce(Right):
    def __init__(self) -> None:
        self.known: dict[str, str | None] = {}

    @hookimpl
    def classify(self, record: MemoryRecord) -> str | None:
        found = "restricted" if "密码" in record.content else None
        return self.known.setdefault(record.id, found)


class BelongsToItsThread(Right):
    def __init__(self) -> None:
        self.thread = threading.get_ident()

    @hookimpl
    def classify(self, record: MemoryRecord) -> Any:
        return None if threading.get_ident() == self.thread else "internal"


RIGHT = Right
WRONG: list[tuple[Any, set[str]]] = [
    (NoHook, {*laws(GuardSuite)}),
    (Async, {*laws(GuardSuite)}),
    (GivesBytes, {"test_what_is_redacted_is_text"}),
    (FailsAtSurrogates, {"test_any_text_can_be_redacted"}),
    (FailsAtLength, {"test_a_long_text_can_be_redacted"}),
    (WrapsAgain, {"test_redacting_twice_is_redacting_once"}),
    (JudgesByText, {"test_any_record_can_be_judged"}),
    (
        NeedsAnAgent,
        {
            "test_any_record_can_be_judged",
            "test_a_judged_record_stays_in_its_namespace",
            "test_other_namespaces_change_no_answer",
        },
    ),
    (MovesRecords, {"test_a_judged_record_stays_in_its_namespace"}),
    (MadeUpClass, {"test_any_record_can_be_classified"}),
    (AnswersWithNumbers, {"test_any_entry_can_be_judged"}),
    (TalksToAgents, {"test_any_entry_can_be_judged"}),
    (
        NumbersWhatItFinds,
        {
            "test_the_same_question_has_the_same_answer",
            "test_other_namespaces_change_no_answer",
        },
    ),
    (MarksRecords, {"test_nothing_that_is_passed_in_is_changed"}),
    (MarksEntries, {"test_nothing_that_is_passed_in_is_changed"}),
    (KnowsTheLastUser, {"test_other_namespaces_change_no_answer"}),
    (JudgesOnce, {"test_a_judged_record_stays_in_its_namespace"}),
    (ClassifiesOnce, {"test_nothing_is_kept_by_id_alone"}),
    (BelongsToItsThread, {"test_it_answers_the_same_from_several_threads"}),
]
