"""What the analysis finds in steps and messages, on which evidence, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.messages import Logged, Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.records import MemoryRecord
from ctxplug.tracing import Step
from ctxplug.tracing.analysis import CAUSES, KINDS, Finding, Recorded, Seen, analyze

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Session:
    """A session in the making: messages with versions, and steps, a second apart."""

    def __init__(self) -> None:
        self.messages: list[Logged] = []
        self.steps: list[Step] = []
        self.windows: dict[str, Seen] = {}

    @property
    def head(self) -> int:
        return len(self.messages)

    def add(self, message: Message) -> int:
        self.messages.append(Logged(self.head + 1, message, 10))
        return self.head

    def user(self, text: str) -> int:
        return self.add(Message("user", text))

    def says(self, text: str) -> int:
        return self.add(Message("assistant", text))

    def step(self, kind: str, name: str = "", **fields: Any) -> Step:
        """Enter a step; what is no field of Step is its data."""
        number = len(self.steps) + 1
        own = {"duration", "outcome", "parent", "trace", "error", "tokens", "cost", "started_at"}
        step = Step(
            id=f"{number:016x}",
            trace=fields.pop("trace", "t" * 32),
            parent=fields.pop("parent", None),
            kind=kind,
            name=name,
            started_at=fields.pop("started_at", START + timedelta(seconds=number)),
            duration=fields.pop("duration", 0.2),
            outcome=fields.pop("outcome", "ok"),
            session="s",
            **{key: fields.pop(key) for key in own & fields.keys()},
            data=fields,
        )
        self.steps.append(step)
        return step

    def window(
        self, *shown: int, fates: Mapping[int, str] | None = None, parts: Any = None, **data: Any
    ) -> Step:
        """Enter a window that shows the messages of these versions, or all."""
        versions = shown or range(1, self.head + 1)
        texts = []
        for version in versions:
            message = self.messages[version - 1].message
            calls = [f"{c.name} {json.dumps(dict(c.arguments))}" for c in message.tool_calls]
            texts.append("\n".join([message.text, *calls]))
        step = self.step("window", "balanced", head=self.head, base=0, budget=500, **data)
        step = self.steps[-1] = replace(step, data={**step.data, "tokens": dict(parts or {})})
        seen = fates or {version: "verbatim" for version in versions}
        self.windows[step.id] = Seen("\n".join(texts), seen)
        return step

    def call(
        self, name: str, answer: str | None, is_error: bool = False, **arguments: Any
    ) -> tuple[int, Step]:
        """Add a call and its answer, with the tool's step; return the version of the call."""
        call_id = f"c{self.head}"
        asked = self.add(Message("assistant", ToolCallPart(call_id, name, arguments)))
        step = self.step("tool", name, call_id=call_id, arguments=arguments)
        if answer is not None:
            result = ToolResultPart(call_id, (TextPart(answer),), is_error=is_error)
            self.add(Message("tool", result))
        return asked, step

    def analyze(self, **more: Any) -> Any:
        return analyze(Recorded("s", self.steps, self.messages, self.windows, **more))


def kinds(analysis: Any) -> set[str]:
    return {finding.kind for finding in analysis.findings}


def only(analysis: Any, kind: str) -> Finding:
    (finding,) = analysis.of(kind)
    assert isinstance(finding, Finding)
    return finding


ENGLISH = ("My order is ORD-77812.", "ORD-77812", "look_up", "order_id", "Error: order not found")
CHINESE = (
    "我的订单号是 DD20240501-88。",
    "DD20240501-88",
    "查询订单",
    "订单号",
    "错误：找不到订单",
)
BOTH = pytest.mark.parametrize(("said", "value", "tool", "key", "error"), [ENGLISH, CHINESE])


# -- lost values -------------------------------------------------------------------------


@BOTH
def test_a_value_that_was_cut_from_the_window_is_named_with_where_it_stood(
    said: str, value: str, tool: str, key: str, error: str
) -> None:
    session = Session()
    held = session.user(said)
    session.says("ok")
    session.user("and now?")
    window = session.window(2, 3, fates={1: "digest", 2: "verbatim", 3: "verbatim"})
    asked, step = session.call(tool, error, **{key: value})
    analysis = session.analyze()
    finding = only(analysis, "lost_value")
    assert finding.severity == "high"
    assert value in finding.summary
    assert finding.steps == (window.id, step.id)
    assert {held, asked} <= set(finding.versions)
    assert "'digest'" in finding.why and "500" in finding.suggestion
    assert analysis.cause == finding
    assert only(analysis, "failure").data["root"] == "lost_value"


@BOTH
def test_what_the_window_showed_is_not_lost(
    said: str, value: str, tool: str, key: str, error: str
) -> None:
    session = Session()
    session.user(said)
    session.window()
    session.call(tool, "{}", **{key: value.lower()})
    session.call(tool, error, **{key: value})
    assert not session.analyze().of("lost_value")


def test_what_came_after_the_window_could_be_read_too() -> None:
    session = Session()
    session.user("Find my order.")
    session.window()
    session.call("orders", '["ORD-77812"]')
    session.call("look_up", "{}", order_id="ORD-77812")
    assert not session.analyze().of("lost_value")


def test_a_value_that_the_log_never_held_is_not_lost() -> None:
    session = Session()
    session.user("Make me an order.")
    session.window(1)
    session.call("create", "{}", order_id="ORD-77812")
    assert not session.analyze().of("lost_value")


@BOTH
def test_a_wrong_value_in_place_of_one_that_was_cut(
    said: str, value: str, tool: str, key: str, error: str
) -> None:
    session = Session()
    session.user("hello")
    session.call("list", json.dumps({key: value}, ensure_ascii=False))
    session.user("that one please")
    window = session.window(1, 4, fates={1: "verbatim", 4: "verbatim"})
    wrong = value.replace("8", "9")
    session.call(tool, error, **{key: wrong})
    finding = only(session.analyze(), "lost_value")
    assert finding.data["values"] == [value] and finding.data["used"] == [wrong]
    assert window.id in finding.steps and 3 in finding.versions
    assert "out of view" in finding.why


@pytest.mark.parametrize("placeholder", ["unknown", "<order_id>", "N/A", "未知"])
def test_a_placeholder_in_place_of_one_that_was_cut(placeholder: str) -> None:
    session = Session()
    session.call("list", '{"order_id": "ORD-77812"}')
    session.user("that one please")
    session.window(3)
    session.call("look_up", "Error: no such order", order_id=placeholder)
    assert only(session.analyze(), "lost_value").data["values"] == ["ORD-77812"]


def test_a_field_that_an_error_names_and_that_was_cut() -> None:
    session = Session()
    session.call("list", '{"order_id": "ORD-77812"}')
    session.user("ship it")
    session.window(3)
    session.call("ship", "Error: missing required argument order_id", to="Lisbon")
    assert only(session.analyze(), "lost_value").data["values"] == ["ORD-77812"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Could you give me your order number again?", "It is ORD-77812."),
        ("请您再提供一次订单号", "是 ORD-77812。"),
    ],
)
def test_a_question_for_what_had_been_said(question: str, answer: str) -> None:
    session = Session()
    held = session.user("My order is ORD-77812")
    session.says("Noted.")
    session.user("Where is it?")
    window = session.window(2, 3)
    asked = session.says(question)
    said = session.user(answer)
    finding = only(session.analyze(), "lost_value")
    assert finding.steps == (window.id,)
    assert finding.versions == (held, asked, said)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is there anything else I can help you with?", "Yes, what about ORD-77812?"),
        (
            "Which seat would you like?",
            "Before that, I have thought about it for a while and would rather like to return"
            " the shoes of order ORD-77812, they do not fit at all.",
        ),
        (
            "还有什么可以帮您的吗？",
            "我还想把之前那一双鞋子退掉，因为实在是太小了一点，穿起来很不舒服，订单是 ORD-77812",
        ),
    ],
)
def test_a_new_matter_is_no_answer(question: str, answer: str) -> None:
    session = Session()
    session.user("My order is ORD-77812")
    session.says("Noted.")
    session.user("Where is it?")
    session.window(2, 3)
    session.says(question)
    session.user(answer)
    assert not session.analyze().of("lost_value")


def test_what_put_a_call_right_was_meant_and_not_what_is_like_it() -> None:
    session = Session()
    session.call("list", '{"card": "card_4959530", "order": "A1B2C3"}')
    session.user("pay with the other one")
    session.window(2, 3, fates={2: "digest", 3: "verbatim"})
    session.call("pay", "Error: no such card", card="card_7334777", order="A1B2C3")
    session.call("cards", '["card_9074831"]')
    session.call("pay", "{}", card="card_9074831", order="A1B2C3")
    assert not [f for f in session.analyze().of("lost_value") if f.data["used"]]


def test_a_window_that_cannot_be_made_again_is_trusted() -> None:
    session = Session()
    session.user("My order is ORD-77812")
    session.window()
    session.windows.clear()
    session.call("look_up", "Error: no such order", order_id="ORD-77812")
    assert not session.analyze().of("lost_value")


@given(st.lists(st.integers(10_000, 99_999), min_size=1, max_size=6, unique=True), st.data())
def test_exactly_what_is_missing_is_named(numbers: list[int], data: st.DataObject) -> None:
    """Of ids that were said one by one, those are lost that the window does not show."""
    session = Session()
    for number in numbers:
        session.user(f"item AB-{number}")
    shown = data.draw(st.sets(st.sampled_from(range(1, len(numbers) + 1)), min_size=1))
    session.window(*sorted(shown))
    session.call("order", "{}", items=[f"AB-{number}" for number in numbers])
    lost = {v for finding in session.analyze().of("lost_value") for v in finding.data["values"]}
    assert lost == {f"AB-{n}" for i, n in enumerate(numbers, 1) if i not in shown}


# -- errors --------------------------------------------------------------------------------


ERRORS = [
    ("Error: service unavailable", False),
    ('{"error": "internal server error"}', False),
    ("错误：服务暂时不可用", False),
    ('{"状态": "失败", "原因": "超时"}', False),
    ("nothing came back", True),
]


@pytest.mark.parametrize(("text", "is_error"), ERRORS)
def test_an_error_that_nothing_made_up_for(text: str, is_error: bool) -> None:
    session = Session()
    session.user("look")
    asked, step = session.call("look_up", text, is_error, id=1)
    session.call("look_up", '{"id": 2}', id=2)
    session.says("I could not.")
    finding = only(session.analyze(), "tool_error")
    assert finding.severity == "high"
    assert step.id in finding.steps and finding.versions == (asked, asked + 1)


@pytest.mark.parametrize(("text", "is_error"), ERRORS)
def test_an_error_that_a_later_call_made_up_for_is_no_cause(text: str, is_error: bool) -> None:
    session = Session()
    session.user("look")
    session.call("look_up", text, is_error, id=1)
    session.call("look_up", '{"id": 1}', id=1.0)
    analysis = session.analyze()
    assert analysis.cause is None
    assert only(analysis, "recovered_error").severity == "info"


@pytest.mark.parametrize(
    ("first", "error", "then"),
    [
        (("look_up", {"id": "W123456"}), "Error: order not found", ("look_up", {"id": "#W123456"})),
        (
            ("pay", {"order": "A1B2C3", "card": "x_1"}),
            "Error: no such card",
            ("pay", {"order": "A1B2C3", "card": "y_2"}),
        ),
        (
            ("find_user_id_by_email", {"email": "a@b.co"}),
            "Error: user not found",
            ("find_user_id_by_name", {"full_name": "Ann Lee"}),
        ),
        (("查询订单", {"订单号": "DD1234"}), "未找到订单", ("查询订单", {"订单号": "DD12345"})),
    ],
)
def test_a_refused_argument_that_was_put_right(
    first: tuple[str, dict[str, str]], error: str, then: tuple[str, dict[str, str]]
) -> None:
    session = Session()
    session.user("please")
    session.call(first[0], error, **first[1])
    session.call(then[0], '{"done": true}', **then[1])
    analysis = session.analyze()
    assert analysis.cause is None and analysis.of("recovered_error")


def test_another_subject_does_not_make_up_for_an_error() -> None:
    session = Session()
    session.user("please")
    session.call("look_up", "Error: not found", id="QX7Z11")
    session.call("look_up", '{"id": 2}', id="BB90K2")
    assert session.analyze().of("tool_error")


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (
            "Error: non-pending order cannot be modified",
            "I am sorry: an order can only be modified while it is pending.",
        ),
        ("错误：已发货的订单不能修改", "抱歉，订单已发货，不能修改。"),
    ],
)
def test_a_refusal_that_the_user_was_told_of_is_no_cause(error: str, answer: str) -> None:
    session = Session()
    session.user("change it")
    session.call("modify", error, id="QX7Z11")
    told = session.says(answer)
    session.user("Too bad, thanks.")
    analysis = session.analyze()
    assert analysis.cause is None
    assert told in only(analysis, "recovered_error").versions
    assert session.analyze(failed="the customer left").of("tool_error")


def test_an_error_that_only_a_step_tells_of() -> None:
    session = Session()
    session.user("look")
    step = session.step("tool", "look_up", outcome="timeout", arguments={"id": 1})
    finding = only(session.analyze(), "tool_error")
    assert finding.steps == (step.id,)


def test_errors_of_models_windows_and_spans() -> None:
    session = Session()
    session.step("model", "m", outcome="error", error="overloaded")
    session.step("model", "m")
    assert not session.analyze().causes
    model = session.step("model", "m", outcome="error", error="overloaded")
    window = session.step("window", outcome="error", needed=900, budget=500, error="too small")
    outer = session.step("span", "job", outcome="error", error="boom")
    inner = session.step("span", "part", outcome="error", error="boom", parent=outer.id)
    analysis = session.analyze()
    assert only(analysis, "model_error").steps == (model.id,)
    assert "900" in only(analysis, "window_error").summary
    assert only(analysis, "window_error").steps == (window.id,)
    assert only(analysis, "step_error").steps == (inner.id,)


def test_a_session_that_is_marked_as_failed_has_a_chain() -> None:
    session = Session()
    session.user("hello")
    analysis = session.analyze(failed="the customer gave up")
    assert "the customer gave up" in only(analysis, "failure").summary


def test_a_value_that_did_no_harm_at_first_is_told_again_where_it_does() -> None:
    session = Session()
    session.user("My order is ORD-77812.")
    session.says("ok")
    session.user("and now?")
    session.window(2, 3)
    session.call("look_up", "{}", order_id="ORD-77812")
    session.user("once more")
    session.window(2, 3)
    asked, _ = session.call("cancel", "Error: no such order", order_id="ORD-77812")
    first, *rest = session.analyze().of("lost_value")
    assert first.data["harmed"] and asked in first.versions
    assert [finding.data["harmed"] for finding in rest] == [False]


def test_an_error_that_passes_is_no_matter_of_values() -> None:
    session = Session()
    session.user("My order is ORD-77812.")
    session.says("ok")
    session.user("and now?")
    session.window(2, 3)
    session.call("look_up", "503 Service Unavailable", order_id="ORD-77812")
    analysis = session.analyze()
    assert analysis.cause is not None and analysis.cause.kind == "tool_error"
    assert only(analysis, "lost_value").data["harmed"] is False
    assert only(analysis, "failure").data["root"] == "tool_error"


def test_what_went_well_in_a_completed_session_is_believed() -> None:
    session = Session()
    session.user("My orders are ORD-77812 and ORD-55501.")
    session.says("ok")
    session.user("and now?")
    session.window(2, 3)
    session.call("look_up", "{}", order_id="ORD-77812")
    assert only(session.analyze(), "lost_value")
    assert not session.analyze(completed=True).of("lost_value")
    session.call("look_up", "Error: no such order", order_id="ORD-55501")
    assert only(session.analyze(completed=True), "lost_value").data["values"] == ["ORD-55501"]


@pytest.mark.parametrize("error", ["missing argument orders_id", "缺少参数 orders_id"])
def test_a_field_that_a_call_left_out_is_looked_for_by_what_held_it(error: str) -> None:
    session = Session()
    session.user("look")
    session.call("mine", json.dumps({"orders": [{"id": "ORD-77812"}]}))
    session.user("and now?")
    session.window(1, 4)
    session.call("cancel", error, notify="yes")
    assert only(session.analyze(), "lost_value").data["values"] == ["ORD-77812"]


@pytest.mark.parametrize("wrong", ["unknown", "12345", "ORDER_ID"])
def test_a_made_up_value_stands_for_the_one_of_its_field(wrong: str) -> None:
    session = Session()
    session.user("look")
    session.call("mine", json.dumps({"orders": ["ORD-77812"]}))
    session.user("and now?")
    session.window(1, 4)
    session.call("cancel", f"Error: no such order: {wrong}", order_id=wrong)
    finding = only(session.analyze(), "lost_value")
    assert finding.data["values"] == ["ORD-77812"] and finding.data["used"] == [wrong]


def test_windows_that_only_grow_are_made_again_once() -> None:
    class Counted(Recorded):
        def seen(self, step: Step) -> Seen | None:
            asked.append(step.id)
            return super().seen(step)

    asked: list[str] = []
    session = Session()
    session.user("My order is ORD-77812.")
    session.says("ok")
    for n in range(6):
        session.user(f"and now? {n}")
        cut = session.head - 1
        session.window(*range(2, session.head + 1), messages=cut, compactions=1)
        session.call("look_up", "[]", order_id="ORD-77812", n=n)
    found = analyze(Counted("s", session.steps, session.messages, session.windows))
    assert len(found.of("lost_value")) == 1 and len(set(asked)) == 1
    last = session.steps[-2]
    session.steps[-2] = replace(last, data={**last.data, "messages": 3})  # something was cut
    analyze(Counted("s", session.steps, session.messages, session.windows))
    assert len(set(asked)) == 2


# -- loops ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[]", "Error: timed out", "错误：超时"])
def test_the_same_call_again_and_again(text: str) -> None:
    session = Session()
    session.user("look")
    made = [session.call("look_up", text, b=2, a="X ") for _ in range(2)]
    assert not session.analyze().of("retry_loop")
    made.append(session.call("look_up", text, a="X", b=2.0))
    finding = only(session.analyze(), "retry_loop")
    assert finding.data["times"] == 3
    assert {asked for asked, _ in made} <= set(finding.versions)
    assert {step.id for _, step in made} <= set(finding.steps)


def test_calls_in_turns_are_one_loop() -> None:
    session = Session()
    session.user("look")
    for _ in range(3):
        session.call("look_up", "[]", a=1)
        session.call("refresh", "done")
    finding = only(session.analyze(), "retry_loop")
    assert finding.data["tools"] == ["look_up", "refresh"]


def test_what_brings_something_new_is_no_loop() -> None:
    session = Session()
    session.user("wait for it")
    for state in ("queued", "running", "done"):
        session.call("status", json.dumps({"state": state}), job=7)
    for n in range(4):  # what is changed in between makes each another try
        session.call("edit", "ok", line=n)
        session.call("run_tests", "Error: 1 failed")
    for _ in range(3):
        session.user("once more")
        session.call("weather", "rain", city="Lisbon")
    assert not session.analyze().of("retry_loop")


@pytest.mark.parametrize(("answer", "done"), [("[]", '["ready"]'), ("处理中", "已完成")])
def test_asking_until_a_thing_is_done_is_no_loop(answer: str, done: str) -> None:
    session = Session()
    session.user("wait for it")
    for _ in range(4):
        session.call("status", answer, job=7)
    assert only(session.analyze(), "retry_loop").data["times"] == 4
    session.call("status", done, job=7)
    assert not session.analyze().of("retry_loop")


@pytest.mark.parametrize("error", ["503 Service Unavailable", "请求超时，请稍后重试"])
def test_two_tries_that_an_error_passed_by_are_no_loop(error: str) -> None:
    session = Session()
    session.user("look")
    for _ in range(2):
        session.call("look_up", error, id=1)
    session.call("look_up", "found", id=1)
    assert not session.analyze().of("retry_loop", "tool_error")
    session.user("and the other")
    for _ in range(2):
        session.call("look_up", "Error: no such record", id=2)
    session.call("look_up", "found", id=2)
    assert only(session.analyze(), "retry_loop").data["errors"] == 2


def test_what_differs_in_a_time_and_an_id_of_the_request_is_the_same_answer() -> None:
    session = Session()
    session.user("look")
    for n in range(3):
        answer = {"at": f"2024-05-01T10:0{n}:11Z", "request": f"8f3a{n}c2d91ab", "found": []}
        session.call("look_up", json.dumps(answer), id=1)
    for n in range(3):
        session.call("progress", json.dumps({"done": n * 30}), id=1)
    assert only(session.analyze(), "retry_loop").data["tools"] == ["look_up"]


def test_calls_far_apart_are_no_loop() -> None:
    session = Session()
    session.user("work")
    for _ in range(3):
        session.call("status", "idle")
        for n in range(6):  # each of them is done again and again too
            session.call("part", str(session.head), n=n)
    assert "status" not in {t for f in session.analyze().of("retry_loop") for t in f.data["tools"]}


def test_equal_calls_that_fail_are_one_error_that_the_loop_explains() -> None:
    session = Session()
    session.user("look")
    made = [session.call("look_up", "Error: timed out", id=1) for _ in range(3)]
    analysis = session.analyze()
    error = only(analysis, "tool_error")
    assert error.data["calls"] == [asked for asked, _ in made]
    assert error.data["caused_by"] == "retry_loop"
    assert analysis.cause is not None and analysis.cause.kind == "retry_loop"
    assert only(analysis, "failure").data["root"] == "retry_loop"


def test_a_tool_that_fails_with_every_argument() -> None:
    session = Session()
    session.user("look")
    for n in range(3):
        session.call("look_up", "Error: not found", id=f"QQ{n}{n}X{n}")
    assert only(session.analyze(), "retry_loop").data["style"] == "guesses"


def test_attempts_at_one_step() -> None:
    session = Session()
    model = session.step("model", "m")
    for n in (2, 3):
        session.step("retry", "m", parent=model.id, attempt=n, reason="overloaded")
    finding = only(session.analyze(), "retry_loop")
    assert finding.data["times"] == 3 and "overloaded" in finding.why
    session.step("tool", "t", attempts=5)
    assert {f.data["times"] for f in session.analyze().of("retry_loop")} == {3, 5}


def test_the_same_answer_again_and_again() -> None:
    session = Session()
    for _ in range(3):
        session.user("where is it?")
        session.says("请稍等，我来查一下。")
    assert only(session.analyze(), "retry_loop").data["style"] == "same answer"


# -- slow steps ----------------------------------------------------------------------------


def test_a_step_is_slow_against_its_own_history() -> None:
    session = Session()
    for n in range(6):
        session.step("tool", "quick", duration=0.2 + n / 50, arguments={"n": n})
        session.step("tool", "slow", duration=20.0 + n, arguments={"n": n})
    assert not session.analyze().of("slow_step")
    step = session.step("tool", "quick", duration=6.0, arguments={"n": 9})
    finding = only(session.analyze(), "slow_step")
    assert finding.steps == (step.id,)
    assert finding.data["ratio"] > 20


def test_other_sessions_are_its_history_too() -> None:
    other = Session()
    for n in range(6):
        other.step("tool", "quick", duration=0.2 + n / 50)
    session = Session()
    session.step("tool", "quick", duration=6.0, arguments={})
    assert not session.analyze().of("slow_step")
    assert session.analyze(history=other.steps).of("slow_step")


def test_what_nobody_notices_is_not_slow() -> None:
    session = Session()
    for _ in range(9):
        session.step("recall", duration=0.001, query="q", found=[])
    session.step("recall", duration=0.05, query="other", found=[])
    assert not session.analyze().of("slow_step")


def test_of_a_slow_span_the_slow_part_is_told() -> None:
    session = Session()
    for n in range(6):
        outer = session.step("span", "job", duration=1.2)
        session.step("tool", "part", duration=1.0, parent=outer.id, arguments={"n": n})
    outer = session.step("span", "job", duration=31.0)
    inner = session.step("tool", "part", duration=30.0, parent=outer.id, arguments={"n": 7})
    assert only(session.analyze(), "slow_step").steps == (inner.id,)


# -- layout, cost and waste ----------------------------------------------------------------


def test_parallel_sequential_and_recursive_work() -> None:
    session = Session()
    session.user("look")
    for n in range(3):
        session.call("look_up", f'{{"n": {n}}}', id=f"AB-1000{n}")
    session.call("detail", "{}", id="AB-10001")
    assert only(session.analyze(), "sequential").data["times"] == 3
    for name in ("a", "b"):
        session.step("tool", name, started_at=START - DAY, duration=3.0, arguments={"of": name})
    assert only(session.analyze(), "parallel").data["work"] == 6.0
    outer = session.step("span", "plan", trace="u" * 32)
    middle = session.step("span", "other", parent=outer.id, trace="u" * 32)
    inner = session.step("span", "plan", parent=middle.id, trace="u" * 32)
    finding = only(session.analyze(), "recursion")
    assert finding.steps == (outer.id, inner.id) and finding.data["depth"] == 2


def test_calls_that_need_one_another_are_not_called_sequential() -> None:
    session = Session()
    session.user("follow it")
    for n in range(4):
        session.call("next_page", f'{{"next": "PAGE-100{n + 1}"}}', page=f"PAGE-100{n}")
    assert not session.analyze().of("sequential")


def test_tokens_and_cost() -> None:
    session = Session()
    for n in range(8):
        session.step("model", "m", tokens=1_000 + 10 * n, cost=0.01)
    session.step("model", "m", tokens=40_000, cost=0.5)
    for _ in range(3):
        session.window(parts={"tools": 900, "system": 50, "messages": 200})
    analysis = session.analyze()
    assert {f.data.get("part") for f in analysis.of("token_hot_spot")} == {None, "tools"}
    assert len(analysis.of("cost_hot_spot")) == 2


def test_a_tool_whose_answers_are_most_of_the_session() -> None:
    session = Session()
    session.user("look")
    session.call("dump", "x" * 40)
    session.messages[-1] = Logged(3, session.messages[-1].message, 5_000)
    finding = only(session.analyze(), "token_hot_spot")
    assert finding.data["tool"] == "dump" and finding.versions == (3,)


def test_recalls_and_memories_that_are_of_no_use() -> None:
    session = Session()
    memories = [
        MemoryRecord(namespace=("a",), id=id, kind="fact", content=id, created_at=START)
        for id in ("used", "never")
    ]
    for n in range(12):
        session.step("recall", query="Where does she live?", found=["used"], n=n)
    analysis = session.analyze(memories=memories)
    assert only(analysis, "repeated_recall").data["times"] == 12
    assert only(analysis, "unused_memory").data["ids"] == ["never"]
    read = [memory.evolve(access_count=1) for memory in memories]
    assert not session.analyze(memories=read).of("unused_memory")
    session.steps.clear()
    assert not session.analyze(memories=memories).of("unused_memory")


def test_what_loses_the_prompt_cache() -> None:
    session = Session()
    for n in range(6):
        session.window(1, system={"request": f"d{n}"}, parts={"system": 50}) if session.head else (
            session.user("hello")
        )
    finding = only(session.analyze(), "cache_break")
    assert finding.data["part"] == "system" and finding.data["times"] == 4
    assert finding.severity == "warning"


def test_the_same_prompt_that_grows_loses_nothing() -> None:
    session = Session()
    for n in range(6):
        session.user(f"{n}")
        session.window(system={"request": "d"}, tools="t", compactions=0)
    assert not session.analyze().of("cache_break")


def test_asking_again_for_an_answer_that_was_cut() -> None:
    session = Session()
    session.user("look")
    session.window()
    session.call("look_up", '{"a": 1}', id=1)
    session.user("and again")
    window = session.window(1, 2, 4, fates={1: "verbatim", 2: "verbatim", 3: "digest"})
    session.call("look_up", '{"a": 1}', id=1)
    finding = only(session.analyze(), "repeated_call")
    assert window.id in finding.steps and finding.data["fate"] == "digest"


# -- the whole -----------------------------------------------------------------------------


def test_a_session_in_which_all_goes_well_has_no_cause() -> None:
    session = Session()
    session.user("My order is ORD-77812")
    for _ in range(3):
        session.window()
        session.call("look_up", '{"state": "sent"}', order_id="ORD-77812")
        session.window()
        session.says("It was sent.")
        session.user("And now?")
    analysis = session.analyze()
    assert analysis.cause is None and analysis.causes == ()
    assert json.loads(json.dumps(analysis.to_dict()))["cause"] is None


def test_a_session_without_steps_or_windows_says_so() -> None:
    empty = analyze(Recorded("s"))
    assert empty.findings == () and "No steps" in empty.notes[0]
    session = Session()
    session.step("tool", "t", arguments={})
    assert "No window" in session.analyze().notes[0]


def _everything() -> Any:
    session = Session()
    session.user("My order is ORD-77812")
    session.says("ok")
    session.user("go on")
    session.window(2, 3)
    for n in range(3):
        session.call("look_up", "Error: no such order", order_id="ORD-77812", n=0)
        session.step("model", "m", duration=1.0 + n / 10)
        session.step("model", "m", duration=1.0)
    session.step("model", "m", duration=60.0)
    return session.analyze()


def test_findings_are_sentences_with_evidence_and_advice() -> None:
    analysis = _everything()
    assert {"lost_value", "tool_error", "retry_loop", "slow_step", "failure"} <= kinds(analysis)
    known = set(KINDS)
    for finding in analysis.findings:
        assert finding.kind in known
        for sentence in (finding.summary, finding.why, finding.suggestion):
            assert sentence[0].isupper() or sentence[0] in "'\"0123456789"
            assert sentence.endswith("."), sentence
        assert finding.steps or finding.versions
        assert json.loads(json.dumps(finding.to_dict()))["kind"] == finding.kind


def test_the_gravest_comes_first_and_causes_are_those_that_may_fail_a_session() -> None:
    analysis = _everything()
    ranks = [("high", "warning", "info").index(f.severity) for f in analysis.findings]
    assert ranks == sorted(ranks)
    assert {f.kind for f in analysis.causes} <= set(CAUSES)
    assert analysis.cause is not None and analysis.cause.kind == "lost_value"


def test_an_analysis_changes_nothing_and_is_the_same_twice() -> None:
    first, second = _everything(), _everything()
    assert first.to_dict() == second.to_dict()


def _answers(session: Session, order: Sequence[int]) -> None:
    calls = [ToolCallPart("same", "look_up", {"n": n}) for n in order]
    for call in calls:
        session.add(Message("assistant", call))
        session.add(Message("tool", ToolResultPart("same", (TextPart(f"{call.arguments}"),))))


def test_an_answer_belongs_to_the_newest_call_of_its_id() -> None:
    session = Session()
    session.user("look")
    session.add(Message("assistant", ToolCallPart("same", "look_up", {"n": 1})))  # no answer came
    asked = session.add(Message("assistant", ToolCallPart("same", "look_up", {"n": 2})))
    session.add(Message("tool", ToolResultPart("same", (TextPart("Error: timed out"),))))
    assert only(session.analyze(), "tool_error").versions == (asked, asked + 1)


@given(st.permutations([1, 2, 3]))
def test_call_ids_that_come_again_are_told_apart_by_order(order: list[int]) -> None:
    session = Session()
    session.user("look")
    _answers(session, order)
    for n in order:
        session.step("tool", "look_up", call_id="same", duration=float(n))
    session.add(Message("assistant", ToolCallPart("same", "look_up", {"n": 4})))
    session.add(Message("tool", ToolResultPart("same", (TextPart("Error: timed out"),))))
    finding = only(session.analyze(), "tool_error")
    assert finding.data["arguments"] == {"n": 4} and not finding.steps
