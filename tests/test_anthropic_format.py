from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import anthropic_format, openai_format
from ctxplug.context.validity import check_anthropic
from ctxplug.errors import InvalidMessageError
from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.testing.histories import FEATURES, histories

PNG = "iVBORw0KGgo="
texts = st.sampled_from(["Hello.", "你好，世界。", "a\x00b", "x" * 300, " padded", "é\n"])
marks = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}])
plain_texts = st.builds(lambda t, m: {"type": "text", "text": t, **m}, texts, marks)
cited = texts.map(
    lambda t: {"type": "text", "text": t, "citations": [{"type": "char_location", "cited_text": t}]}
)
images = st.sampled_from(
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    ]
)
documents = st.sampled_from(
    [
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
        {"type": "search_result", "source": "s", "title": "t", "content": []},
    ]
)
thinkings = st.one_of(
    st.builds(
        lambda t, s: {"type": "thinking", "thinking": t, "signature": s},
        st.sampled_from(["", "Let me see.", "让我想想。"]),
        st.sampled_from(["c2ln", "sig=="]),
    ),
    st.just({"type": "redacted_thinking", "data": "EmwK"}),
)
served = st.just(
    [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    ]
)
inputs = st.sampled_from([{}, {"city": "里斯本"}, {"a": {"b": [1, 2.5, None, True]}}])


@st.composite
def wire_conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Merged turns, as `to_messages` writes them."""
    turns: list[dict[str, Any]] = []
    open_ids: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        results = [draw(tool_results(id)) for id in open_ids]
        least = 0 if results else 1
        others = draw(st.lists(plain_texts | images | documents, min_size=least, max_size=3))
        turns.append({"role": "user", "content": results + others})
        said = draw(st.lists(thinkings, max_size=2)) + draw(st.just([]) | served)
        said += draw(st.lists(plain_texts | cited, min_size=1, max_size=2))
        open_ids = [f"toolu_{len(turns)}-{i}" for i in range(draw(st.integers(0, 3)))]
        for id in open_ids:
            call = {"type": "tool_use", "id": id, "name": "find", "input": draw(inputs)}
            said.append(call | draw(st.sampled_from([{}, {"caller": {"type": "direct"}}])))
        turns.append({"role": "assistant", "content": said})
    results = [draw(tool_results(id)) for id in open_ids]
    turns.append({"role": "user", "content": [*results, draw(plain_texts)]})
    return turns


def tool_results(id: str) -> st.SearchStrategy[dict[str, Any]]:
    content = st.lists(plain_texts | images, max_size=2)
    good = content.map(lambda c: {"content": c} if c else {})
    bad = plain_texts.map(lambda t: {"content": [t], "is_error": True})
    head = {"type": "tool_result", "tool_use_id": id}
    return st.builds(lambda body, mark: {**head, **body, **mark}, good | bad, marks)


def there_and_back(wire: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ours = [m for d in wire for m in Message.from_anthropic(d)]
    return anthropic_format.to_messages(ours)[1]


@settings(deadline=None)
@given(wire_conversations())
def test_canonical_messages_come_back_as_they_were(wire: list[dict[str, Any]]) -> None:
    assert there_and_back(wire) == wire


@settings(deadline=None)
@given(wire_conversations(), st.data())
def test_other_spellings_come_back_canonical(
    wire: list[dict[str, Any]], data: st.DataObject
) -> None:
    loose: list[dict[str, Any]] = []
    for turn in wire:
        blocks = list(turn["content"])
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(blocks)))
            blocks.insert(at, {"type": "text", "text": data.draw(st.sampled_from(["", " \n"]))})
        cut = data.draw(st.integers(0, len(blocks)))
        for some in (blocks[:cut], blocks[cut:]):
            if len(some) == 1 and some[0].keys() == {"type", "text"}:
                loose.append({"role": turn["role"], "content": some[0]["text"]})
            elif some:
                loose.append({"role": turn["role"], "content": some})
    assert there_and_back(loose) == wire


same = FEATURES - {"system", "neighbours", "odd_ids", "opaque", "gemini", "pinned"}


@settings(deadline=None)
@given(histories(features=same - {"odd_text", "huge"}))
def test_our_messages_come_back_as_they_were(history: list[Message]) -> None:
    back = [m for d in anthropic_format.to_messages(history)[1] for m in Message.from_anthropic(d)]
    assert [(m.role, m.content) for m in back] == [(m.role, expected(m)) for m in history]


def expected(message: Message) -> tuple[Any, ...]:
    return tuple(
        ToolResultPart(p.call_id, result_content(p), p.is_error)
        if isinstance(p, ToolResultPart)
        else p
        for p in message.content
    )


def result_content(part: ToolResultPart) -> tuple[Any, ...]:
    content = [p for p in part.content if not isinstance(p, TextPart) or p.text]
    if not part.is_error:
        return tuple(content)
    noted = (
        TextPart("[image: image/png, 32 bytes]") if isinstance(p, ImagePart) else p for p in content
    )
    return tuple(noted) or (TextPart(anthropic_format.EMPTY_ERROR),)


@settings(deadline=None)
@given(histories())
def test_rendering_repeats_byte_for_byte_and_changes_nothing(history: list[Message]) -> None:
    before = json.dumps([m.to_dict() for m in history])
    first = json.dumps(anthropic_format.to_messages(history), ensure_ascii=False).encode()
    assert json.dumps(anthropic_format.to_messages(history), ensure_ascii=False).encode() == first
    assert json.dumps([m.to_dict() for m in history]) == before


def test_what_is_rendered_shares_nothing_with_the_message() -> None:
    call = ToolCallPart("a", "f", {"x": [1]}, extra={"anthropic": {"caller": {"type": "direct"}}})
    message = Message("assistant", call)
    block = anthropic_format.to_messages([message])[1][0]["content"][0]
    block["input"]["x"].append(2)
    block["caller"]["type"] = "changed"
    assert message.content[0] == ToolCallPart(
        "a", "f", {"x": [1]}, extra={"anthropic": {"caller": {"type": "direct"}}}
    )


def test_a_user_turn_becomes_one_message_per_result_and_then_the_rest() -> None:
    ours = Message.from_anthropic(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "also"},
                {"type": "tool_result", "tool_use_id": "a", "content": "one"},
                {"type": "tool_result", "tool_use_id": "b", "is_error": True, "content": "two"},
            ],
        }
    )
    assert [(m.role, m.text) for m in ours] == [("tool", "one"), ("tool", "two"), ("user", "also")]
    assert [r.is_error for m in ours for r in m.tool_results] == [False, True]


def test_system_messages_are_hoisted_and_blank_ones_dropped() -> None:
    messages = [
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("system", [TextPart("  "), TextPart("用中文回答。")]),
    ]
    system, turns = anthropic_format.to_messages(messages)
    assert [block["text"] for block in system] == ["Be brief.", "用中文回答。"]
    assert turns == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]


def test_results_and_user_text_share_one_turn_with_results_first() -> None:
    _, turns = anthropic_format.to_messages(
        [
            Message("user", "go"),
            Message("assistant", [ToolCallPart("a", "f"), ToolCallPart("b", "f")]),
            Message("tool", ToolResultPart("b", (TextPart("2"),))),
            Message("user", "wait"),
            Message("tool", ToolResultPart("a", (TextPart("1"),))),
        ]
    )
    assert [b["type"] for b in turns[2]["content"]] == ["tool_result", "tool_result", "text"]
    assert [b.get("tool_use_id") for b in turns[2]["content"]] == ["b", "a", None]


def test_text_after_a_call_moves_before_it_and_thinking_keeps_its_order() -> None:
    _, turns = anthropic_format.to_messages(
        [
            Message(
                "assistant",
                [
                    ThinkingPart("1", signature="s1"),
                    ToolCallPart("a", "f"),
                    TextPart("late"),
                    ThinkingPart("2", signature="s2"),
                    ToolCallPart("b", "f"),
                ],
            )
        ]
    )
    kinds = [b["type"] for b in turns[0]["content"]]
    assert kinds == ["thinking", "text", "tool_use", "thinking", "tool_use"]


def test_only_the_final_assistant_text_is_stripped() -> None:
    _, turns = anthropic_format.to_messages(
        [Message("assistant", "a \n"), Message("user", "b \n"), Message("assistant", "c \n")]
    )
    assert [t["content"][0]["text"] for t in turns] == ["a \n", "b \n", "c"]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("a\x00b", "a\x00b"),
        ("你\udfff", "你\ufffd"),
    ],
)
def test_surrogates_are_mended_in_rendering_only(text: str, sent: str) -> None:
    message = Message("user", text)
    assert anthropic_format.to_messages([message])[1][0]["content"][0]["text"] == sent
    assert message.text == text


@settings(deadline=None)
@given(st.lists(st.text(max_size=5) | st.characters(categories=["Cs"]), unique=True, min_size=1))
def test_odd_ids_are_mapped_alike_for_call_and_result_and_never_meet(ids: list[str]) -> None:
    messages = [Message("assistant", [ToolCallPart(id, "f") for id in ids])]
    messages += [Message("tool", ToolResultPart(id)) for id in ids]
    _, (calls, results) = anthropic_format.to_messages(messages)
    sent = [block["id"] for block in calls["content"]]
    assert sent == [block["tool_use_id"] for block in results["content"]]
    assert len(set(sent)) == len(ids)
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", id) for id in sent)
    for id, wire in zip(ids, sent, strict=True):
        assert (id == wire) == bool(re.fullmatch("[a-zA-Z0-9_-]+", id))


def test_an_id_used_again_after_its_answer_becomes_another() -> None:
    round_trip = [
        Message("assistant", ToolCallPart("a", "f")),
        Message("tool", ToolResultPart("a")),
    ]
    _, turns = anthropic_format.to_messages([Message("user", "x"), *round_trip * 3])
    assert check_anthropic({"messages": turns}) == []
    assert turns[1]["content"][0]["id"] == "a"
    shorter = anthropic_format.to_messages([Message("user", "x"), *round_trip * 2])[1]
    assert turns[:5] == shorter
    doubled = Message("assistant", [ToolCallPart("a", "f"), ToolCallPart("a", "f")])
    _, turns = anthropic_format.to_messages([Message("user", "x"), doubled, round_trip[1]])
    assert {f.rule for f in check_anthropic({"messages": turns})} == {"A16"}


def test_a_failed_result_has_text_and_only_text() -> None:
    image = ImagePart(data=b"\x89PNG\r\n\x1a\n")
    note = "[image: image/png, 8 bytes]"
    for content, text in [((), anthropic_format.EMPTY_ERROR), ((image,), note)]:
        message = Message("tool", ToolResultPart("a", content, is_error=True))
        block = anthropic_format.to_messages([message])[1][0]["content"][0]
        assert block["content"] == [{"type": "text", "text": text}]


def test_an_image_the_api_does_not_take_becomes_a_note() -> None:
    for image in (
        ImagePart(data=b"<svg/>", media_type="image/svg+xml"),
        ImagePart("file:///a.png"),
    ):
        block = anthropic_format.to_messages([Message("user", image)])[1][0]["content"][0]
        assert block["type"] == "text" and block["text"].startswith("[image: ")


def test_thinking_without_a_signature_and_foreign_parts_are_left_out() -> None:
    parts: list[Part] = [
        ThinkingPart("hm"),
        OpaquePart("openai", {"type": "reasoning"}),
        TextPart("ok"),
    ]
    _, turns = anthropic_format.to_messages([Message("assistant", parts)])
    assert [b["type"] for b in turns[0]["content"]] == ["text"]


def test_fields_of_another_provider_do_not_come_out() -> None:
    extra = {"openai": {"annotations": [1]}, "anthropic": {"citations": [2]}}
    message = Message("assistant", TextPart("ok", extra), extra={"openai": {"refusal": "no"}})
    turn = anthropic_format.to_messages([message])[1][0]
    assert turn == {
        "role": "assistant",
        "content": [{"type": "text", "text": "ok", "citations": [2]}],
    }


def test_a_whole_response_can_be_kept_and_sent_again() -> None:
    response = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "Hi", "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    (ours,) = Message.from_anthropic(response)
    assert ours.extra["anthropic"]["usage"] == {"input_tokens": 3, "output_tokens": 1}
    assert anthropic_format.to_messages([ours])[1] == [
        {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}
    ]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({}, "role"),
        ({"role": "tool", "content": "x"}, "role"),
        ({"role": "user"}, "content"),
        ({"role": "user", "content": 3}, "content"),
        ({"role": "user", "content": ["x"]}, "content[0]"),
        ({"role": "user", "content": [{"text": "x"}]}, "content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0].text"),
        ({"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f"}]},
         "content[0].input"),
        ({"role": "assistant", "content": [{"type": "tool_use", "id": 1, "name": "f"}]},
         "content[0].id"),
        ({"role": "user", "content": [{"type": "tool_result", "content": "x"}]},
         "content[0].tool_use_id"),
        ({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [
            {"type": "thinking", "thinking": "x"}]}]}, "content[0].content[0]"),
        ({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "is_error": 1}]},
         "content[0].is_error"),
        ({"role": "user", "content": [{"type": "image", "source": {
            "type": "base64", "media_type": "image/png", "data": "!"}}]}, "content[0].source.data"),
        ({"role": "user", "content": [{"type": "text", "text": "x", "odd": float("nan")}]},
         "content[0].odd"),
    ],
)  # fmt: skip
def test_a_malformed_message_is_refused_with_its_path(message: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        Message.from_anthropic(message)
    assert caught.value.path == path
    assert path in str(caught.value)


def test_a_message_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidMessageError):
        Message.from_anthropic("hello")  # type: ignore[arg-type]


def test_tools_convert_in_either_direction() -> None:
    schema = {"type": "object", "properties": {"城市": {"type": "string"}}}
    theirs = {"name": "weather", "description": "天气", "input_schema": schema}
    other = {
        "type": "function",
        "function": {"name": "weather", "description": "天气", "parameters": schema},
    }
    assert anthropic_format.to_tools([other]) == [theirs] == anthropic_format.to_tools([theirs])
    assert openai_format.to_tools([theirs]) == [other] == openai_format.to_tools([other])
    flat = {"type": "function", "name": "weather", "description": "天气", "parameters": schema}
    assert openai_format.to_tools([flat]) == [other]
    marked = theirs | {"cache_control": {"type": "ephemeral"}}
    assert anthropic_format.to_tools([marked]) == [marked]
    assert openai_format.to_tools([marked]) == [other]


def test_a_server_tool_stays_with_its_provider() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    assert anthropic_format.to_tools([search]) == [search]
    with pytest.raises(InvalidMessageError, match="web_search"):
        openai_format.to_tools([search])


@pytest.mark.parametrize("tool", [{}, {"name": "f"}, {"input_schema": {}}, {"function": {}}, 3])
def test_a_malformed_tool_is_refused_with_its_place(tool: Any) -> None:
    for to_tools in (anthropic_format.to_tools, openai_format.to_tools):
        with pytest.raises(InvalidMessageError) as caught:
            to_tools([{"name": "ok", "input_schema": {}}, tool])
        assert caught.value.path.startswith("tools[1]")
