"""The conformance suite of guards: the hooks redact, judge_memory, classify and judge_audit.

Subclass it, override one fixture, and inherit the tests::

    class TestMyGuard(GuardSuite):
        @pytest.fixture
        def guard(self):
            return MyGuard()  # a plugin object, or a module

A guard has any of the four hooks; a test of one that it has not passes. Its law is in
`ctxplug.hookspecs` and docs/plugins.md: a guard that raises or answers something else
refuses the write, so it answers whatever it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.audit import AuditEntry
from ctxplug.audit.sensitivity import to_classification
from ctxplug.errors import InvalidValueError, PluginError
from ctxplug.plugins import Plugins
from ctxplug.records import MemoryRecord
from ctxplug.scope import Scope
from ctxplug.testing.histories import START
from ctxplug.testing.scorer_suite import records
from ctxplug.testing.suite import (
    CHINESE,
    ODD_TEXTS,
    PROSE,
    Suite,
    examples,
    from_threads,
    kind_of,
    not_overridden,
)

HOOKS = ("redact", "judge_memory", "classify", "judge_audit")
ALICE = Scope(("acme", "alice"), "trip", "planner")
CHEN = Scope(("acme", "陈伟"), "旅行")
TEXTS = (
    *(PROSE, CHINESE, "Call +1 415 555 0132 or write to ann.lee@example.org.", "密码是 hunter2。"),
    *(
        "Card 4111 1111 1111 1111, 身份证 11010519491231002X, 手机 13800138000.",
        '{"token": "sk-abc123def456"}',
        "",
    ),
)
LONG = ("x", "中", "4111 ", "a@b.", "sk-", "((", '{"a":')
VERBS = ("remember", "recall", "forget", "erase", "export", "update", "unheard-of", "访问")


def preference(content: str = "Prefers window seats. 喜欢靠窗的座位。") -> MemoryRecord:
    """Return a new record of alice's, equal to any other of this content."""
    return MemoryRecord(
        namespace=ALICE.namespace,
        id="r1",
        kind="preference",
        content=content,
        tags=("travel", "旅行"),
        metadata={"from": {"trip": [1, 2]}, "card": "4111 1111 1111 1111"},
        created_at=START,
    )


def entries() -> st.SearchStrategy[AuditEntry]:
    """Return a strategy of entries of the audit log."""
    return st.builds(
        AuditEntry,
        what=st.sampled_from(VERBS),
        at=st.just(START),
        namespace=st.just(ALICE.namespace),
        session=st.sampled_from((None, "trip")),
        agent=st.sampled_from((None, "planner", "guest")),
        ids=st.lists(st.sampled_from(("r1", "记忆")), max_size=3).map(tuple),
        purpose=st.none() | st.sampled_from(("asked to", "\ud800")),
        sensitivity=st.sampled_from((None, "public", "restricted")),
        outcome=st.sampled_from(("ok", "begun", "denied", "error")),
        data=st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=2),
    )


class GuardSuite(Suite):
    """The tests that every guard passes; override the fixture `guard`."""

    @pytest.fixture
    def guard(self) -> object:
        """Return the guard under test."""
        raise not_overridden("guard", "the plugin, an object or a module,")

    def test_it_is_a_plugin_that_guards(self, guard: object) -> None:
        """It is accepted as a plugin, and has at least one of the four hooks."""
        assert _hooks(guard), f"it implements none of {', '.join(HOOKS)}"

    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    def test_what_is_redacted_is_text(self, guard: object, text: str) -> None:
        """`redact` gives the text to store, or None to leave it as it is."""
        answer = Asked(guard).redact(text)
        assert answer is None or isinstance(answer, str), (
            f"redact answers with text or None, not a {kind_of(answer)}"
        )

    @examples(30)
    @given(text=st.text(max_size=60) | st.sampled_from(ODD_TEXTS))
    def test_any_text_can_be_redacted(self, guard: object, text: str) -> None:
        """Of any script, broken or empty: what it raises at cannot be stored."""
        Asked(guard).redact(text)

    @pytest.mark.parametrize("piece", LONG)
    def test_a_long_text_can_be_redacted(self, guard: object, piece: str) -> None:
        """200,000 characters; a redactor that is not linear is felt here, and times out at work."""
        Asked(guard).redact(piece * (200_000 // len(piece)))

    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    def test_redacting_twice_is_redacting_once(self, guard: object, text: str) -> None:
        """A text passes each time it is written: as a message, and as the memory made of it."""
        ask = Asked(guard)
        once = ask.redacted(text)
        assert ask.redacted(once) == once, f"it changes what it has redacted: {once!r:.80}"

    @examples(20)
    @given(record=records(), scope=st.sampled_from((ALICE, CHEN)))
    def test_any_record_can_be_judged(
        self, guard: object, record: MemoryRecord, scope: Scope
    ) -> None:
        """`judge_memory` gives True, None or False, or the record to remember instead."""
        record = record.evolve(namespace=scope.namespace)
        answer = Asked(guard).judge_memory(record, scope)
        assert answer is None or isinstance(answer, bool | MemoryRecord), (
            f"judge_memory answers with True, None, False or a record, not a {kind_of(answer)}"
        )

    @pytest.mark.parametrize("scope", [ALICE, CHEN], ids=["alice", "chen"])
    def test_a_judged_record_stays_in_its_namespace(self, guard: object, scope: Scope) -> None:
        """What is remembered instead is the same user's; make it with `record.evolve(...)`."""
        ask = Asked(guard)
        for asked in (CHEN if scope is ALICE else ALICE, scope):
            answer = ask.judge_memory(preference().evolve(namespace=asked.namespace), asked)
            assert not isinstance(answer, MemoryRecord) or answer.namespace == asked.namespace, (
                f"it moves a record of {asked.namespace} to {answer.namespace}"
            )

    @examples(20)
    @given(record=records())
    def test_any_record_can_be_classified(self, guard: object, record: MemoryRecord) -> None:
        """`classify` gives None, a class, or a class and tags."""
        answer = Asked(guard).classify(record)
        try:
            to_classification(answer)
        except InvalidValueError as exc:
            raise AssertionError(f"{exc}") from exc

    @examples(30)
    @given(entry=entries())
    def test_any_entry_can_be_judged(self, guard: object, entry: AuditEntry) -> None:
        """`judge_audit` gives None, True or False, or texts that are alerts."""
        answer = Asked(guard).judge_audit(entry)
        texts = [answer] if isinstance(answer, str) else answer
        assert (answer is None or isinstance(answer, bool)) or (
            isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts)
        ), f"judge_audit answers with None, True, False or texts, not {answer!r:.80}"

    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    def test_the_same_question_has_the_same_answer(self, guard: object, text: str) -> None:
        """What was once taken out is always taken out, and a class does not change by itself."""
        ask = Asked(guard)
        answers = [(ask.redact(text), ask.classify(preference(text))) for _ in range(3)]
        assert answers == [answers[0]] * 3, f"one question had the answers {answers!r:.200}"

    def test_nothing_that_is_passed_in_is_changed(self, guard: object) -> None:
        """Its answer is all that counts."""
        ask = Asked(guard)
        record = preference()
        entry = AuditEntry("forget", START, ALICE.namespace, ids=("r1",), data={"ids": ["r1"]})
        before = deepcopy((record.to_dict(), dict(entry.data)))
        ask.judge_memory(record)
        ask.classify(record)
        ask.judge_audit(entry)
        assert (record.to_dict(), dict(entry.data)) == before, "it changed what it was given"

    def test_other_namespaces_change_no_answer(self, guard: object) -> None:
        """What another user said or did does not decide about this one."""
        ask = Asked(guard)
        ask.all(ALICE)  # a guard may have a first time
        before = ask.all(ALICE)
        for _ in range(3):
            ask.all(CHEN)
        assert ask.all(ALICE) == before, "after questions of another namespace it answers otherwise"

    def test_nothing_is_kept_by_id_alone(self, guard: object) -> None:
        """A record may be updated, and an id is unique in a namespace and no further."""
        ask = Asked(guard)
        for number, text in enumerate(TEXTS):
            record = preference(text)
            found, expected = ask.classify(record), ask.classify(replace(record, id=f"n{number}"))
            assert found == expected, (
                f"it answers {found!r} where another record had the id, and {expected!r} under a"
                " new id: an id is no key for a cache"
            )

    def test_it_answers_the_same_from_several_threads(self, guard: object) -> None:
        """It is called on a thread of its own each time, and for many users at once."""
        ask = Asked(guard)

        def answers(_: int) -> Sequence[Any]:
            return [(ask.redact(text), ask.classify(preference())) for text in TEXTS]

        expected = answers(0)
        assert from_threads(answers) == [expected] * 8, "other threads got other answers"


class Asked:
    """A guard, asked as a host asks it; None for a hook that it has not."""

    def __init__(self, guard: object) -> None:
        self._hooks = _hooks(guard)

    def redact(self, text: str, scope: Scope = ALICE) -> Any:
        """Ask what of `text` is to be stored."""
        return self._ask("redact", text=text, scope=scope)

    def redacted(self, text: str) -> str:
        """Return the text that would be stored."""
        answer = self.redact(text)
        return answer if isinstance(answer, str) else text

    def judge_memory(self, record: MemoryRecord, scope: Scope = ALICE) -> Any:
        """Ask whether `record` is to be remembered."""
        return self._ask("judge_memory", record=record, scope=scope)

    def classify(self, record: MemoryRecord, scope: Scope = ALICE) -> Any:
        """Ask how sensitive `record` is."""
        return self._ask("classify", record=record, scope=scope)

    def judge_audit(self, entry: AuditEntry, scope: Scope = ALICE) -> Any:
        """Ask whether what `entry` tells of may be done."""
        return self._ask("judge_audit", entry=entry, scope=scope)

    def all(self, scope: Scope) -> Sequence[Any]:
        """Return the answers to a question of each kind."""
        record = preference().evolve(namespace=scope.namespace)
        entry = AuditEntry("forget", START, scope.namespace, agent=scope.agent, ids=("r1",))
        return [
            *[self.redact(text, scope) for text in TEXTS],
            self.judge_memory(record, scope),
            self.classify(record, scope),
            self.judge_audit(replace(entry, session=scope.session), scope),
        ]

    def _ask(self, hook: str, **arguments: Any) -> Any:
        asked = self._hooks.get(hook)
        try:
            return asked(**arguments) if asked else None
        except (Exception, SystemExit) as exc:
            raise AssertionError(
                f"{hook} raised {exc!r}: a guard answers, or all is refused"
            ) from exc


def _hooks(guard: object) -> Mapping[str, Any]:
    plugins = Plugins(load_entry_points=False, environ={})
    try:
        plugins.register(guard, "guard")
    except PluginError as exc:
        raise AssertionError(f"it is no plugin: {exc}") from exc
    found = {hook: plugins.implementations(hook) for hook in HOOKS}
    return {hook: implemented[0] for hook, implemented in found.items() if implemented}
