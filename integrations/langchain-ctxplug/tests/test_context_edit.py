"""CtxplugContextEdit: in ContextEditingMiddleware, beside ClearToolUsesEdit."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain.agents.middleware import ClearToolUsesEdit, ContextEditingMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from langchain_ctxplug.stock import CtxplugContextEdit, ctxplug_token_counter, expand_tool

from ctxplug.errors import InvalidValueError, UnknownComponentError

count = ctxplug_token_counter()
NOTES = {"en": "lorem ipsum dolor sit amet ", "zh": "这家酒店离地铁站很近，早餐也不错。"}


def step(n: int, *, calls: int = 2, size: int = 60, language: str = "en") -> list[AnyMessage]:
    """Return one step of an agent: thinking, parallel calls, and their results."""
    ids = [f"c{n}-{i}" for i in range(calls)]
    block = {"type": "thinking", "thinking": f"step {n}", "signature": f"s{n}"}
    asked = AIMessage(
        [block, *({"type": "tool_use", "id": i, "name": "search", "input": {"n": n}} for i in ids)],
        tool_calls=[{"name": "search", "args": {"n": n}, "id": i} for i in ids],
        id=f"ai-{n}",
    )
    results = [
        ToolMessage(
            json.dumps(
                {"id": f"FL-{n}-{i}", "价格": 100 + n, "notes": NOTES[language] * size},
                ensure_ascii=False,
            ),
            tool_call_id=i,
            name="search",
            id=f"tool-{i}",
            artifact={"raw": n},
        )
        for i in ids
    ]
    return [asked, *results]


def history(steps: int, **options: Any) -> list[AnyMessage]:
    said: list[AnyMessage] = [HumanMessage("Find the cheapest flight. 找最便宜的航班。", id="h")]
    for n in range(steps):
        said += step(n, **options)
    return said


def edited(edit: Any, messages: list[AnyMessage]) -> list[AnyMessage]:
    result = copy.deepcopy(messages)
    edit.apply(result, count_tokens=count)
    return result


def first_difference(a: list[AnyMessage], b: list[AnyMessage]) -> int | None:
    """Return where `b` no longer begins with `a`, None if it does to the end of `a`."""
    same = [x.content == y.content for x, y in zip(a, b, strict=False)]
    return same.index(False) if False in same else None


def rewrites(edit: Any, turns: int) -> tuple[int, int]:
    """Return how often a turn changed what the turn before had sent, and the largest request."""
    changed, largest, before = 0, 0, []
    for n in range(1, turns):
        now = edited(edit, history(n))
        changed += first_difference(before, now) is not None
        largest = max(largest, count(now))
        before = now
    return changed, largest


@pytest.mark.parametrize("language", ["en", "zh"])
def test_old_results_are_shortened_and_keep_facts_and_the_place_of_the_original(
    language: str,
) -> None:
    messages = history(20, language=language, size=30)
    now = edited(CtxplugContextEdit(trigger=5_500), messages)
    assert count(messages) > 5_500 >= count(now)
    assert len(now) == len(messages)
    first = now[2]
    assert "FL-0-c0-0" in first.text and first.text.endswith("[see @2-4]")
    assert (first.id, first.artifact, first.tool_call_id) == ("tool-c0-0", None, "c0-0")
    assert first.response_metadata["context_editing"]["original"] == "@3"
    for old, new in zip(messages, now, strict=True):
        if isinstance(old, AIMessage | HumanMessage):
            assert new == old  # thinking with its signature, and calls
    assert now[-9:] == messages[-9:]  # the three newest calls with both results of each


def test_below_the_trigger_nothing_is_touched() -> None:
    messages = history(5)
    given_ = list(messages)
    CtxplugContextEdit(trigger=100_000).apply(messages, count_tokens=count)
    assert all(new is old for new, old in zip(messages, given_, strict=True))


def test_what_was_sent_stays_as_it_was_where_the_stock_edit_rewrites_each_turn() -> None:
    """One human message and a long tool loop; the stock edit moves its boundary every turn."""
    ours, ours_largest = rewrites(CtxplugContextEdit(trigger=12_000), 50)
    stock, _ = rewrites(ClearToolUsesEdit(trigger=12_000, keep=3), 50)
    assert 3 <= ours <= 7 and stock >= 25
    assert ours_largest <= 12_000


def test_a_history_is_edited_the_same_by_an_edit_that_never_saw_it_before() -> None:
    edit = CtxplugContextEdit(trigger=4_000)
    for n in range(1, 40, 4):
        told = edited(edit, history(n))
        assert told == edited(CtxplugContextEdit(trigger=4_000), history(n))


def test_parallel_calls_stay_together_where_the_stock_edit_splits_them() -> None:
    messages = history(10, calls=3)
    stock = edited(ClearToolUsesEdit(trigger=1_000, keep=2), messages)
    split = [m.content == "[cleared]" for m in stock if isinstance(m, ToolMessage)][-3:]
    assert split == [True, False, False]
    ours = edited(CtxplugContextEdit(trigger=1_000, keep=2), messages)
    kept = [
        new == old for old, new in zip(messages, ours, strict=True) if isinstance(old, ToolMessage)
    ]
    assert kept == [False] * 24 + [True] * 6


def test_chinese_triggers_when_it_is_due_where_the_stock_count_sees_a_fifth() -> None:
    messages = history(12, language="zh")
    sent: list[list[AnyMessage]] = []

    def handler(request: Any) -> Any:
        sent.append(request.messages)
        return AIMessage("好")

    class Request:
        def __init__(self, messages: list[AnyMessage]) -> None:
            self.messages, self.system_message, self.tools = messages, None, []

        def override(self, messages: list[AnyMessage]) -> Request:
            return Request(messages)

    for edit in (ClearToolUsesEdit(trigger=8_000), CtxplugContextEdit(trigger=8_000)):
        ContextEditingMiddleware(edits=[edit]).wrap_model_call(Request(messages), handler)  # type: ignore[arg-type]
    assert count(messages) > 16_000
    assert count(sent[0]) > 16_000  # by its own count it was not due
    assert count(sent[1]) <= 8_000


messages_ = st.lists(
    st.one_of(
        st.builds(HumanMessage, st.sampled_from(["and now?", "下一步呢？", NOTES["zh"] * 30])),
        st.builds(AIMessage, st.sampled_from(["Done.", "好的。", NOTES["en"] * 40])),
        st.integers(min_value=0, max_value=3),  # a step of as many calls
        st.just("open"),
        st.just("orphan"),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(
    messages_,
    st.sampled_from(
        [
            ("clear-tool-results",),
            ("shape-tool-results", "clear-tool-results"),
            ("extractive",),
            ("clear-tool-results", "digest"),
            ("summarize",),
            ("drop-low-priority",),
        ]
    ),
    st.integers(min_value=0, max_value=3),
)
def test_any_history_stays_whole(drawn: list[Any], strategies: tuple[str, ...], keep: int) -> None:
    """No result is without its call, no call loses a result, and nothing grows."""
    said: list[AnyMessage] = [SystemMessage("Be brief."), HumanMessage("开始")]
    for n, one in enumerate(drawn):
        if isinstance(one, int):
            said += step(n, calls=one) if one else [AIMessage("thinking")]
        elif one == "open":
            said += step(n, calls=2)[:2]
        elif one == "orphan":
            said.append(ToolMessage("lost", tool_call_id=f"none-{n}"))
        else:
            said.append(one)
    before = copy.deepcopy(said)
    edit = CtxplugContextEdit(trigger=900, keep=keep, strategies=strategies)
    now = edited(edit, said)
    assert said == before  # only the copy was edited
    assert count(now) <= count(said)
    assert now == edited(CtxplugContextEdit(trigger=900, keep=keep, strategies=strategies), said)
    assert now[0] == said[0] and now[1] == said[1]
    humans = [m for m in said if isinstance(m, HumanMessage)]
    assert humans[-1] in now
    pairs = [(m.tool_call_id, m.id) for m in said if isinstance(m, ToolMessage)]
    calls = {c["id"] for m in now if isinstance(m, AIMessage) for c in m.tool_calls}
    left = [(m.tool_call_id, m.id) for m in now if isinstance(m, ToolMessage)]
    assert left == [p for p in pairs if p in left]
    for id, _ in pairs:
        asked = any(id == c["id"] for m in said if isinstance(m, AIMessage) for c in m.tool_calls)
        assert not asked or (id in calls) == (id in {i for i, _ in left})


STRATEGIES = [
    ("clear-tool-results",),
    ("shape-tool-results", "clear-tool-results"),
    ("extractive",),
    ("clear-tool-results", "digest"),
    ("merge-similar", "dedupe"),
    ("summarize",),
    ("drop-low-priority",),
]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # it holds no state
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("said"), st.sampled_from(["and now?", NOTES["zh"] * 30])),
            st.tuples(st.sampled_from(["en", "zh"]), st.integers(min_value=1, max_value=4)),
        ),
        max_size=20,
    ),
    st.sampled_from(STRATEGIES),
    st.integers(min_value=0, max_value=3),
)
def test_what_is_left_is_valid_for_both_providers_once_they_converted_it(
    faults: Any, drawn: list[tuple[str, Any]], strategies: tuple[str, ...], keep: int
) -> None:
    """At each model call of any agent's run, one edit following all of it."""
    edit = CtxplugContextEdit(trigger=900, keep=keep, strategies=strategies)
    said: list[AnyMessage] = [SystemMessage("Be brief."), HumanMessage("开始")]
    for n, (kind, value) in enumerate(drawn):
        if kind == "said":
            said += [AIMessage("Done. 好的。"), HumanMessage(value)]
        else:
            said += step(n, calls=value, size=20, language=kind)
        assert not faults(said)
        assert not faults(edited(edit, said))


def test_whole_units_can_go_into_a_digest() -> None:
    messages = history(40)
    edit = CtxplugContextEdit(trigger=3_000, strategies=("clear-tool-results", "digest"))
    now = edited(edit, messages)
    assert count(now) <= 3_000 and len(now) < len(messages)
    digest = now[1]
    assert isinstance(digest, HumanMessage) and "<earlier_conversation ref=" in digest.text
    assert "1970" not in digest.text
    assert now[-9:] == messages[-9:]


def test_tools_are_chosen_by_name_even_within_parallel_calls() -> None:
    messages: list[AnyMessage] = [HumanMessage("go")]
    for n in range(12):
        calls = [{"name": name, "args": {}, "id": f"{name}{n}"} for name in ("search", "read")]
        messages.append(AIMessage("", tool_calls=calls))
        messages += [
            ToolMessage(f"{NOTES['en'] * 80} {n}", tool_call_id=c["id"], name=c["name"])
            for c in calls
        ]

    def changed(**options: Any) -> set[str]:
        now = edited(CtxplugContextEdit(trigger=3_000, **options), messages)
        return {m.name for m, old in zip(now, messages, strict=True) if m != old and m.name}

    assert changed() == {"search", "read"}
    assert changed(exclude_tools=["read"]) == {"search"} == changed(only_tools=["search"])
    assert changed(only_tools=["none"]) == set()


def test_mistakes_are_told() -> None:
    with pytest.raises(InvalidValueError, match="target=200"):
        CtxplugContextEdit(trigger=100, target=200)
    with pytest.raises(UnknownComponentError):
        CtxplugContextEdit(strategies=["none"])


class Scripted(GenericFakeChatModel):
    """Says what it was told to and keeps what it was sent."""

    sent: list[list[AnyMessage]] = []  # noqa: RUF012

    def bind_tools(self, tools: Any, **kwargs: Any) -> Scripted:
        return self

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self.sent.append(list(messages))
        return super()._generate(messages, *args, **kwargs)


def test_an_agent_reads_the_original_behind_what_was_shortened() -> None:
    @tool
    def search(n: int) -> str:
        """Search."""
        return f"FL-{n} {NOTES['en'] * 100} the code is {n * 7919}"

    script = [
        AIMessage("", tool_calls=[{"name": "search", "args": {"n": n}, "id": f"c{n}"}])
        for n in range(12)
    ]
    script.append(
        AIMessage("", tool_calls=[{"name": "expand", "args": {"ref": "@2-3"}, "id": "e"}])
    )
    script.append(AIMessage("", tool_calls=[{"name": "expand", "args": {"ref": "x"}, "id": "f"}]))
    model = Scripted(messages=iter([*script, AIMessage("done")]), sent=[])
    edit = CtxplugContextEdit(trigger=3_000)
    expand = expand_tool()
    assert set(expand.args) == {"ref", "start"}
    agent = create_agent(
        model, [search, expand], middleware=[ContextEditingMiddleware(edits=[edit])]
    )
    said = agent.invoke({"messages": [("user", "go")]}, {"recursion_limit": 100})["messages"]
    assert max(count(request) for request in model.sent[:12]) <= 3_000
    assert "[see @2-3]" in model.sent[11][2].text
    shown = next(m for m in said if isinstance(m, ToolMessage) and m.tool_call_id == "e")
    assert 'search({"n":0})' in shown.text and "the code is 0" in shown.text
    failed = next(m for m in said if isinstance(m, ToolMessage) and m.tool_call_id == "f")
    assert failed.status == "error" and "nothing behind 'x'" in failed.text
    assert said[2].text.endswith("the code is 0")  # the state keeps everything
