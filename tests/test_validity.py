from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ctxplug import anthropic_format, gemini_format, openai_format
from ctxplug.context import validity
from ctxplug.context.validity import (
    PROVIDERS,
    Fault,
    check,
    check_anthropic,
    check_gemini,
    check_openai,
    check_openai_responses,
    check_thinking,
)
from ctxplug.errors import InvalidValueError
from ctxplug.messages import Message, OpaquePart, TextPart, ThinkingPart, ToolCallPart
from ctxplug.messages import ToolResultPart as Result
from ctxplug.testing.histories import FEATURES, histories

Request = dict[str, Any]


def rules(faults: list[Fault]) -> set[str]:
    return {fault.rule for fault in faults}


# -- what is drawn is valid ---------------------------------------------------------------


@settings(deadline=None)
@given(histories())
@pytest.mark.parametrize("provider", PROVIDERS)
def test_drawn_histories_are_valid(provider: str, history: list[Message]) -> None:
    event(f"ends with {history[-1].role}")
    assert check(provider, history) == []


@pytest.mark.slow
@settings(deadline=None, max_examples=2000)
@given(histories())
@pytest.mark.parametrize("provider", PROVIDERS)
def test_two_thousand_drawn_histories_are_valid(provider: str, history: list[Message]) -> None:
    assert check(provider, history) == []


@settings(deadline=None)
@given(histories(end="closed"), st.data())
def test_a_history_keeps_its_thinking_while_it_grows(
    history: list[Message], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(history)))
    assert check_thinking(history, history[:cut]) == []


@settings(deadline=None)
@given(histories(end="tools", features=()))
def test_histories_end_as_asked(history: list[Message]) -> None:
    assert history[-1].role == "tool"
    kinds = {part.type for m in history for part in m.content}
    assert kinds <= {"text", "tool_call", "tool_result"}


def test_an_unknown_feature_or_provider_is_refused() -> None:
    with pytest.raises(ValueError, match="thoughts"):
        histories(features=["thoughts"])
    with pytest.raises(InvalidValueError, match="mistral"):
        check("mistral", [])


# -- what is broken on purpose is found -----------------------------------------------------


def loop() -> Request:
    """Return a valid request: a tool loop with two calls, and what follows."""
    return {
        "system": [{"type": "text", "text": "Be brief."}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "messages": [
            user({"type": "text", "text": "天气?"}),
            assistant(
                {"type": "thinking", "thinking": "", "signature": "c2ln"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "a", "name": "f", "input": {}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {"x": 1}},
            ),
            user(result("a"), result("b"), {"type": "text", "text": "and?"}),
            assistant({"type": "text", "text": "Sunny."}),
            user({"type": "text", "text": "Thanks."}),
        ],
    }


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def result(id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": "25 °C"} | fields


TEXT = {"type": "text", "text": "x"}
MARK = {"cache_control": {"type": "ephemeral"}}
THINK = {"type": "thinking", "thinking": "", "signature": "c2ln"}
COMPACTION = {"type": "compaction", "content": "what was said"}


Damage = Callable[[Request], None]


def at(*keys: Any, put: Any = None, insert: Any = None, drop: bool = False) -> Damage:
    def change(request: Request) -> None:
        place: Any = request
        for key in keys[:-1]:
            place = place[key]
        if drop:
            del place[keys[-1]]
        elif insert is not None:
            place.insert(keys[-1], copy.deepcopy(insert))
        else:
            place[keys[-1]] = copy.deepcopy(put)

    return change


def block(i: int, j: int, *keys: Any, **how: Any) -> Damage:
    return at("messages", i, "content", j, *keys, **how)


def five_marks(request: Request) -> None:
    request["tools"][0] |= MARK
    request["system"][0] |= MARK
    for i in (0, 3, 4):
        request["messages"][i]["content"][0] |= MARK


def programmatic(request: Request) -> None:
    request["messages"][1]["content"][2]["caller"] = {"type": "code_execution_20250825"}


def split_results(request: Request) -> None:
    request["messages"][2:3] = [user(result("a")), user(result("b"))]


def served_then_system(request: Request) -> None:
    request["messages"].insert(4, {"role": "system", "content": "Be kind."})


BROKEN: list[tuple[str, Damage]] = [
    ("A01", at("messages", put=[])),
    ("A02", lambda r: r.update(messages=r["messages"][:1] * 100_001)),
    ("A03", at("messages", 0, drop=True)),
    ("A04", at("messages", 4, "role", put="tool")),
    ("A05", at("messages", 0, insert={"role": "system", "content": "x"})),
    ("A05", served_then_system),
    ("A05", at("messages", 5, insert={"role": "system", "content": [result("a")]})),
    ("A06", at("messages", 3, "content", put=[])),
    ("A06", at("messages", 4, "content", put="")),
    ("A07", block(3, 0, "text", put="")),
    ("A07", at("system", 0, "text", put="")),
    ("A07", block(2, 0, "content", put=[{"type": "text", "text": ""}])),
    ("A08", block(3, 0, "text", put=" \n　")),
    ("A08", at("messages", 4, "content", put=" ")),
    ("A09", block(0, 0, "text", put="a\ud800")),
    ("A09", block(1, 3, "input", put={"\udfff": 1})),
    ("A10", block(1, 0, put=THINK | MARK)),
    ("A10", block(4, 0, put={"type": "text", "text": ""} | MARK)),
    ("A11", block(0, 0, insert=THINK)),
    ("A12", block(2, 0, "content", put=[TEXT | MARK])),
    ("A12", block(3, 0, insert={"type": "bash_code_execution_tool_result"} | MARK)),
    ("A13", block(1, 0, "signature", put="")),
    ("A13", block(1, 0, "signature", drop=True)),
    ("A13", block(1, 0, put={"type": "redacted_thinking"})),
    ("A14", block(0, 0, insert={"type": "tool_use", "id": "c", "name": "f", "input": {}})),
    ("A15", block(1, 2, "id", put="a.b")),
    ("A15", block(2, 0, "tool_use_id", put="a\n")),
    ("A16", block(1, 3, "id", put="a")),
    ("A17", block(1, 2, "input", put="{}")),
    ("A18", block(3, 0, insert=result("a"))),
    ("A19", block(2, 0, drop=True)),
    ("A19", at("messages", 2, drop=True)),
    ("A20", at("messages", put=loop()["messages"][:2])),
    ("A21", block(2, 1, "tool_use_id", put="a")),
    ("A22", at("messages", 1, drop=True)),
    ("A22", block(4, 0, insert=result("a"))),
    ("A23", block(2, 0, insert=TEXT)),
    ("A25", at("messages", 5, insert=assistant({"type": "text", "text": "So "}))),
    ("A26", five_marks),
    ("A27", block(1, 4, insert=TEXT)),
    ("A28", block(2, 0, put=result("a", is_error=True, content=""))),
    ("A28", block(2, 0, put=result("a", is_error=True, content=[{"type": "image"}]))),
    ("A29", programmatic),
    ("A30", split_results),
    ("C01", block(0, 1, insert=COMPACTION)),
    ("C01", block(0, 0, insert=COMPACTION | {"content": ""})),
]


def test_the_request_to_break_is_valid() -> None:
    assert check_anthropic(loop()) == []
    assert check_anthropic(loop(), allow_prefill=False) == []


@pytest.mark.parametrize(
    ("rule", "damage"), BROKEN, ids=[f"{rule}-{i}" for i, (rule, _) in enumerate(BROKEN)]
)
def test_a_broken_anthropic_request_yields_its_rule(rule: str, damage: Damage) -> None:
    request = loop()
    damage(request)
    before = copy.deepcopy(request)
    assert rule in rules(check_anthropic(request))
    assert request == before


def test_two_compaction_blocks_with_content_are_a_fault() -> None:
    request = loop()
    request["messages"][0]["content"][:0] = [COMPACTION]
    assert check_anthropic(request) == []
    request["messages"][4]["content"].append(COMPACTION)
    assert rules(check_anthropic(request)) == {"C01"}


def test_a_final_assistant_message_is_a_fault_only_where_prefill_is_not_allowed() -> None:
    request = loop()
    request["messages"].append(assistant({"type": "text", "text": "So"}))
    assert check_anthropic(request) == []
    assert rules(check_anthropic(request, allow_prefill=False)) == {"A24"}


def test_a_system_message_at_the_end_after_the_user_is_allowed() -> None:
    request = loop()
    request["messages"].append({"role": "system", "content": "Be kind."})
    assert check_anthropic(request) == []


def test_a_system_message_does_not_hide_a_missing_result() -> None:
    request = loop()
    request["messages"].insert(2, {"role": "system", "content": "Be kind."})
    assert {"A05", "A19", "A22"} <= rules(check_anthropic(request))


def test_four_marks_are_allowed() -> None:
    request = loop()
    five_marks(request)
    del request["tools"][0]["cache_control"]
    assert check_anthropic(request) == []


def test_every_rule_of_the_table_is_tested() -> None:
    listed = {line[:3] for line in (validity.__doc__ or "").splitlines() if line[1:3].isdigit()}
    tested = {rule for rule, _ in [*BROKEN, *OPENAI, *GEMINI]} | {"A24", "O01", "G01"}
    assert listed == tested | {f"R0{i}" for i in (1, 2, 3, 4)} | {"T01", "T02"}


def chat() -> Request:
    def call(id: str) -> dict[str, Any]:
        return {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}

    return {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "天气?"},
            {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "b", "content": ""},
            {"role": "tool", "tool_call_id": "a", "content": "25"},
            {"role": "assistant", "content": "Sunny."},
        ]
    }


OPENAI: list[tuple[str, Damage]] = [
    ("O01", at("messages", put=[])),
    ("O02", at("messages", 3, drop=True)),
    ("O02", at("messages", 4, insert={"role": "user", "content": "wait"})),
    ("O02", at("messages", put=chat()["messages"][:4])),
    ("O03", at("messages", 2, drop=True)),
    ("O03", at("messages", 0, insert={"role": "tool", "tool_call_id": "a", "content": ""})),
    ("O04", at("messages", 4, "tool_call_id", put="b")),
    ("O04", at("messages", 4, "tool_call_id", put="c")),
    ("O05", at("messages", 5, "tool_calls", put=[])),
    ("O06", at("messages", 5, "content", put=None)),
]


@pytest.mark.parametrize(("rule", "damage"), OPENAI)
def test_a_broken_chat_request_yields_its_rule(rule: str, damage: Damage) -> None:
    request = chat()
    assert check_openai(request) == []
    damage(request)
    assert rule in rules(check_openai(request))


ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": "天气?"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA"},
    {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
    {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "b", "output": "1"},
    {"type": "function_call_output", "call_id": "a", "output": "2"},
    {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gB"},
    {"type": "message", "role": "assistant", "content": "Sunny."},
]


def test_broken_responses_items_yield_their_rule() -> None:
    def without(*places: int) -> set[str]:
        items = [item for i, item in enumerate(ITEMS) if i not in places]
        return rules(check_openai_responses(items, before=ITEMS))

    assert without() == set()
    assert without(2) == {"R01"}
    assert without(5) == {"R02"}
    assert without(1) == {"R03"}
    assert without(7) == {"R04"}
    assert without(2, 3, 4, 5) == set()  # a run of reasoning items, then the answer
    assert without(1, 2, 3, 4, 5) == set()
    changed = copy.deepcopy(ITEMS)
    changed[1]["encrypted_content"] = "gX"
    assert rules(check_openai_responses(changed, before=ITEMS)) == {"R03"}
    assert check_openai_responses(changed) == []
    reordered = [ITEMS[i] for i in (0, 2, 3, 1, 4, 5, 6, 7)]
    assert rules(check_openai_responses(reordered, before=ITEMS)) == {"R03", "R04"}


def contents() -> Request:
    def call(name: str, **fields: Any) -> dict[str, Any]:
        return {"function_call": {"name": name, "args": {}}, **fields}

    def response(name: str) -> dict[str, Any]:
        return {"function_response": {"name": name, "response": {"output": ""}}}

    return {
        "contents": [
            {"role": "user", "parts": [{"text": "天气?"}]},
            {"role": "model", "parts": [call("f", thought_signature="s1"), call("g")]},
            {"role": "user", "parts": [response("f"), response("g")]},
            {"role": "model", "parts": [call("f", thought_signature="s2")]},
            {"role": "user", "parts": [response("f")]},
        ]
    }


def part(i: int, j: int, *keys: Any, **how: Any) -> Damage:
    return at("contents", i, "parts", j, *keys, **how)


GEMINI: list[tuple[str, Damage]] = [
    ("G01", at("contents", put=[])),
    ("G02", at("contents", 0, "parts", put=[])),
    ("G02", part(0, 0, "text", put="")),
    ("G03", at("contents", 0, drop=True)),
    ("G03", at("contents", 2, drop=True)),
    ("G04", part(2, 1, drop=True)),
    ("G04", at("contents", 4, drop=True)),
    ("G05", at("contents", 1, drop=True)),
    ("G06", part(3, 0, "thought_signature", drop=True)),
    ("G06", part(3, 0, "thought_signature", put="s3")),
]


@pytest.mark.parametrize(("rule", "damage"), GEMINI)
def test_broken_gemini_contents_yield_their_rule(rule: str, damage: Damage) -> None:
    request = contents()
    before = contents()["contents"]
    assert check_gemini(request["contents"], before=before) == []
    damage(request)
    assert rule in rules(check_gemini(request["contents"], before=before))


def test_gemini_contents_in_camel_case_are_read_too() -> None:
    turns = [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": "s"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f"}}]},
    ]
    assert check_gemini(turns) == []
    assert rules(check_gemini(turns[:2])) == {"G04"}


# -- thinking -------------------------------------------------------------------------------


def thoughtful() -> list[Message]:
    return [
        Message("user", "one"),
        Message("assistant", [ThinkingPart("", signature="s1"), ToolCallPart("a", "f")]),
        Message("tool", Result("a", (TextPart("long result"),))),
        Message(
            "assistant",
            [ThinkingPart("想", signature="s2"), ThinkingPart(redacted="r2"), TextPart("two")],
        ),
        Message("user", "three"),
    ]


def with_part(messages: list[Message], i: int, *parts: Any) -> list[Message]:
    changed = Message(messages[i].role, parts)
    return [*messages[:i], changed, *messages[i + 1 :]]


def test_changed_thinking_is_found() -> None:
    before = thoughtful()
    first, second, text = before[3].content
    assert isinstance(first, ThinkingPart)
    for parts in (
        (replace(first, signature="s3"), second, text),
        (replace(first, text="想 "), second, text),
        (second, first, text),
        (first, text),
    ):
        assert rules(check_thinking(before, with_part(before, 3, *parts))) == {"T01"}


def test_a_changed_prefix_is_found_behind_which_thinking_is_kept() -> None:
    before = thoughtful()
    shrunk = with_part(before, 2, Result("a", (TextPart("short"),)))
    (fault,) = check_thinking(before, shrunk)
    assert (fault.rule, fault.path) == ("T02", "messages[3]")
    assert rules(check_thinking(before, [Message("user", "1"), *before[1:]])) == {"T02"}
    stripped = with_part(shrunk, 3, TextPart("two"))
    assert check_thinking(before, stripped) == []


def test_cache_marks_and_new_messages_behind_do_not_count() -> None:
    before = thoughtful()
    marked = with_part(before, 0, TextPart("one", {"anthropic": MARK}))
    assert check_thinking(before, [*marked, Message("user", "四")]) == []


# -- laws over drawn histories ----------------------------------------------------------------

looped = histories(end="tools", features=FEATURES - {"huge", "odd_text"})


@settings(deadline=None)
@given(looped, st.data())
def test_a_dropped_result_is_found_by_every_provider(
    history: list[Message], data: st.DataObject
) -> None:
    places = [i for i, m in enumerate(history) if m.tool_results]
    cut = data.draw(st.sampled_from(places))
    broken = history[:cut] + history[cut + 1 :]
    assert rules(check("anthropic", broken)) & {"A19", "A20"}
    assert "O02" in rules(check("openai", broken))
    assert "R02" in rules(check("openai-responses", broken))
    assert "G04" in rules(check("gemini", broken))


@settings(deadline=None)
@given(looped, st.data())
def test_a_dropped_call_is_found_by_every_provider(
    history: list[Message], data: st.DataObject
) -> None:
    cut = data.draw(st.sampled_from([i for i, m in enumerate(history) if m.tool_calls]))
    broken = history[:cut] + history[cut + 1 :]
    assert "A22" in rules(check("anthropic", broken))
    assert rules(check("openai", broken)) & {"O03", "O04"}
    assert "R01" in rules(check("openai-responses", broken))
    assert rules(check("gemini", broken)) & {"G04", "G05"}


@settings(deadline=None)
@given(looped, st.data())
def test_a_doubled_id_is_found(history: list[Message], data: st.DataObject) -> None:
    places = [i for i, m in enumerate(history) if m.tool_calls]
    i = data.draw(st.sampled_from(places))
    call = history[i].tool_calls[0]
    broken = [*history[:i], Message("assistant", [*history[i].content, call]), *history[i + 1 :]]
    assert "A16" in rules(check("anthropic", broken))
    assert "O02" in rules(check("openai", broken))


@settings(deadline=None)
@given(looped)
def test_a_result_before_its_call_is_found(history: list[Message]) -> None:
    i = next(i for i, m in enumerate(history) if m.tool_calls)
    broken = [*history[:i], history[i + 1], history[i], *history[i + 2 :]]
    assert rules(check("anthropic", broken)) & {"A19", "A20"}
    assert "O03" in rules(check("openai", broken))
    assert "R01" in rules(check("openai-responses", broken))
    assert "G05" in rules(check("gemini", broken))


def test_a_fault_reads_as_one_line() -> None:
    (fault,) = check_openai({"messages": [{"role": "user", "content": None}]})
    assert str(fault) == "O06 at messages[0]: there is neither content nor a call"


def test_rendered_surrogates_are_no_fault() -> None:
    messages = [Message("user", "a\ud800"), Message("assistant", ToolCallPart("\udfff", "f\ud800"))]
    messages += [Message("tool", Result("\udfff", (TextPart("\ud800"),)))]
    for provider in PROVIDERS:
        assert check(provider, messages) == []
    for rendered in (
        str(anthropic_format.to_messages(messages)),
        str(openai_format.to_messages(messages)),
        str(openai_format.to_responses_items(messages)),
        str(gemini_format.to_contents(messages)),
    ):
        assert rendered.encode()


def test_reasoning_without_its_item_is_found_in_messages_too() -> None:
    reasoning = OpaquePart("openai", {"type": "reasoning", "id": "rs_1", "summary": []})
    messages = [Message("user", "x"), Message("assistant", reasoning), Message("user", "y")]
    assert rules(check("openai-responses", messages)) == {"R04"}
