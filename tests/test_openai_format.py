from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import anthropic_format, openai_format
from ctxplug.context.validity import check_anthropic, check_openai, check_openai_responses
from ctxplug.errors import InvalidMessageError
from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.testing.histories import FEATURES, histories

PNG = "data:image/png;base64,iVBORw0KGgo="
texts = st.sampled_from(["Hello.", "你好，世界。", "", "a\x00b", "x" * 300, " padded\n"])
text_blocks = texts.map(lambda t: {"type": "text", "text": t})
marked = texts.map(lambda t: {"type": "text", "text": t, "cache_control": {"type": "ephemeral"}})
images = st.sampled_from(
    [
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
)
blocks = st.lists(text_blocks | images, min_size=2, max_size=3) | marked.map(lambda b: [b])
names = st.sampled_from([{}, {}, {"name": "alice"}, {"name": "小明"}])
arguments = st.sampled_from(
    [
        "{}",
        '{"a":1}',
        '{"a": 1}',
        '{"城市":"里斯本"}',
        '{"x":1e5}',
        "[1]",
        "not json",
        "",
        '{"a":1,"a":2}',
    ]
)


@st.composite
def wire_conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Messages as `to_messages` writes them."""
    wire: list[dict[str, Any]] = [
        {"role": draw(st.sampled_from(["system", "developer"])), "content": draw(texts)}
        for _ in range(draw(st.integers(0, 2)))
    ]
    for turn in range(draw(st.integers(1, 4))):
        wire.append({"role": "user", "content": draw(texts | blocks)} | draw(names))
        calls = [draw(tool_calls(f"call_{turn}_{i}")) for i in range(draw(st.integers(0, 3)))]
        said = draw(st.none() | texts) if calls else draw(texts.filter(bool))
        message: dict[str, Any] = {"role": "assistant", "content": said}
        if calls:
            message["tool_calls"] = calls
        elif draw(st.booleans()):
            message |= draw(st.sampled_from([{"refusal": "no"}, {"reasoning_content": "hm"}]))
        wire.append(message)
        for call in calls:
            result = {"role": "tool", "tool_call_id": call["id"], "content": draw(texts)}
            wire.append(result | draw(names))
    return wire


def tool_calls(id: str) -> st.SearchStrategy[dict[str, Any]]:
    function = arguments.map(
        lambda a: {"id": id, "type": "function", "function": {"name": "find", "arguments": a}}
    )
    custom = texts.map(
        lambda t: {"id": id, "type": "custom", "custom": {"name": "write", "input": t}}
    )
    return function | function.map(lambda call: call | {"index": 0}) | custom


def read(wire: list[dict[str, Any]]) -> list[Message]:
    return [m for d in wire for m in Message.from_openai(d)]


def there_and_back(wire: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return openai_format.to_messages(read(wire))


@settings(deadline=None)
@given(wire_conversations())
def test_canonical_messages_come_back_as_they_were(wire: list[dict[str, Any]]) -> None:
    assert there_and_back(wire) == wire


@settings(deadline=None)
@given(wire_conversations())
def test_other_spellings_come_back_canonical(wire: list[dict[str, Any]]) -> None:
    loose = []
    for message in wire:
        other = {"refusal": None, "audio": None, "tool_calls": []} | message
        if isinstance(message["content"], str):
            other["content"] = [{"type": "text", "text": message["content"]}]
        loose.append(other if message["role"] == "assistant" else message | {"extra": None})
    assert there_and_back(loose) == wire


same = FEATURES - {"odd_text", "odd_ids", "opaque", "gemini", "thinking", "pinned", "errors"}


@settings(deadline=None)
@given(histories(features=same - {"images"}))
def test_our_messages_come_back_as_they_were(history: list[Message]) -> None:
    back = read(openai_format.to_messages(history))
    assert [(m.role, m.content, m.name) for m in back] == [
        (m.role, m.content, m.name) for m in history
    ]


@settings(deadline=None)
@given(histories())
def test_rendering_repeats_byte_for_byte_and_changes_nothing(history: list[Message]) -> None:
    before = json.dumps([m.to_dict() for m in history])
    for render in (openai_format.to_messages, openai_format.to_responses_items):
        first = json.dumps(render(history), ensure_ascii=False).encode()
        assert json.dumps(render(history), ensure_ascii=False).encode() == first
    assert json.dumps([m.to_dict() for m in history]) == before


def test_arguments_that_say_more_than_their_value_are_kept_as_text() -> None:
    kept = {}
    for text in ['{"a":1}', '{"a": 1}', '{"a":1,"a":2}', "[1]", "oops", '{"a":NaN}', "[" * 9999]:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": text}}
        (ours,) = Message.from_openai({"role": "assistant", "content": None, "tool_calls": [call]})
        kept[text[:13]] = (ours.tool_calls[0].arguments, ours.tool_calls[0].raw_arguments)
    assert kept == {
        '{"a":1}': ({"a": 1}, None),
        '{"a": 1}': ({"a": 1}, '{"a": 1}'),
        '{"a":1,"a":2}': ({"a": 2}, '{"a":1,"a":2}'),
        "[1]": ({}, "[1]"),
        "oops": ({}, "oops"),
        '{"a":NaN}': ({}, '{"a":NaN}'),
        "[" * 13: ({}, "[" * 9999),
    }


def test_a_developer_message_is_a_system_message_that_remembers() -> None:
    (ours,) = Message.from_openai({"role": "developer", "content": "Be brief."})
    assert (ours.role, ours.extra) == ("system", {"openai": {"role": "developer"}})
    assert openai_format.to_messages([ours]) == [{"role": "developer", "content": "Be brief."}]
    assert anthropic_format.to_messages([ours])[0] == [{"type": "text", "text": "Be brief."}]


def test_a_data_url_becomes_bytes() -> None:
    content = [{"type": "image_url", "image_url": {"url": PNG}}]
    (ours,) = Message.from_openai({"role": "user", "content": content})
    assert ours.content == (
        ImagePart(data=base64.b64decode("iVBORw0KGgo="), media_type="image/png"),
    )


def test_a_refusal_is_said_to_other_providers_too() -> None:
    (ours,) = Message.from_openai({"role": "assistant", "content": None, "refusal": "不行。"})
    assert ours.text == "不行。"
    assert openai_format.to_messages([ours]) == [
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "不行。"}]}
    ]
    assert anthropic_format.to_messages([ours])[1][0]["content"][0]["text"] == "不行。"


def test_legacy_functions_come_back_and_get_one_id_each_elsewhere() -> None:
    wire: list[dict[str, Any]] = [{"role": "user", "content": "weather?"}]
    for city in ("Lisbon", "里斯本"):
        call = {"name": "weather", "arguments": json.dumps({"city": city})}
        wire.append({"role": "assistant", "content": None, "function_call": call})
        wire.append({"role": "function", "name": "weather", "content": "sunny"})
    assert there_and_back(wire) == wire
    assert check_anthropic({"messages": anthropic_format.to_messages(read(wire))[1]}) == []
    assert check_openai_responses(openai_format.to_responses_items(read(wire))) == []


def test_a_message_left_with_nothing_is_skipped() -> None:
    messages = [
        Message("user", "Hi"),
        Message("assistant", ThinkingPart("hm", signature="s")),
        Message("assistant", OpaquePart("anthropic", {"type": "server_tool_use"})),
        Message("assistant", ""),
        Message("assistant", ()),
        Message("user", OpaquePart("anthropic", {"type": "document"})),
    ]
    assert openai_format.to_messages(messages) == [{"role": "user", "content": "Hi"}]


def test_several_results_become_several_tool_messages_and_images_a_note() -> None:
    image = ImagePart(data=b"\x89PNG\r\n\x1a\n", media_type="image/png")
    parts = [ToolResultPart("a", (TextPart("1"), image)), ToolResultPart("b", (), name="f g")]
    assert openai_format.to_messages([Message("tool", parts)]) == [
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": [
                {"type": "text", "text": "1"},
                {"type": "text", "text": "[image: image/png, 8 bytes]"},
            ],
        },
        {"role": "tool", "tool_call_id": "b", "name": "f_g", "content": ""},
    ]


def test_a_long_id_is_mapped_alike_for_call_and_result() -> None:
    id = "toolu_" + "x" * 60
    call, result = openai_format.to_messages(
        [Message("assistant", ToolCallPart(id, "f")), Message("tool", ToolResultPart(id))]
    )
    assert call["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) <= 40


def test_a_name_is_made_acceptable() -> None:
    (message,) = openai_format.to_messages([Message("user", "x", name="Alice <b> 李" + "y" * 99)])
    assert message["name"] == ("Alice__b__李" + "y" * 99)[:64]


def test_fields_of_another_provider_do_not_come_out() -> None:
    text = TextPart("ok", {"anthropic": {"cache_control": {"type": "ephemeral"}}})
    call = ToolCallPart("a", "f", extra={"anthropic": {"caller": 1}, "openai": {"index": 0}})
    message = Message("assistant", [text, call], extra={"anthropic": {"id": "msg_1"}})
    assert openai_format.to_messages([message]) == [
        {
            "role": "assistant",
            "content": "ok",
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "index": 0,
                }
            ],
        }
    ]


def test_responses_items_keep_reasoning_in_its_place() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    items = openai_format.to_responses_items(
        [
            Message("system", "Be brief."),
            Message("user", [TextPart("Look"), ImagePart("https://example.org/a.png")]),
            Message(
                "assistant",
                [
                    OpaquePart("openai", reasoning),
                    TextPart("查一下"),
                    ToolCallPart("a", "f", {"x": 1}),
                ],
            ),
            Message("tool", ToolResultPart("a", (TextPart("42"),))),
        ]
    )
    assert items == [
        {"type": "message", "role": "system", "content": "Be brief."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look"},
                {
                    "type": "input_image",
                    "image_url": "https://example.org/a.png",
                    "detail": "auto",
                },
            ],
        },
        reasoning,
        {"type": "message", "role": "assistant", "content": "查一下"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x":1}'},
        {"type": "function_call_output", "call_id": "a", "output": "42"},
    ]
    assert check_openai_responses(items) == []


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({}, "role"),
        ({"role": "bot", "content": "x"}, "role"),
        ({"role": "user"}, "content"),
        ({"role": "tool", "tool_call_id": "a", "content": None}, "content"),
        ({"role": "tool", "content": "x"}, "tool_call_id"),
        ({"role": "function", "content": "x"}, "name"),
        ({"role": "user", "content": [{"type": "text", "text": 3}]}, "content[0].text"),
        ({"role": "user", "content": ["x"]}, "content[0]"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "u"}]},
         "content[0].image_url"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]},
         "content[0].image_url.url"),
        ({"role": "user", "content": "x", "name": 3}, "name"),
        ({"role": "assistant", "content": None, "tool_calls": {}}, "tool_calls"),
        ({"role": "assistant", "tool_calls": [{"id": "a"}]}, "tool_calls[0].function"),
        ({"role": "assistant", "tool_calls": [{"function": {}}]}, "tool_calls[0].id"),
        ({"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]},
         "tool_calls[0].function.arguments"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "function_call.arguments"),
        ({"role": "user", "content": "x", "odd": {"a": float("inf")}}, "odd.a"),
    ],
)  # fmt: skip
def test_a_malformed_message_is_refused_with_its_path(message: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        Message.from_openai(message)
    assert caught.value.path == path
    assert path in str(caught.value)


def test_a_dict_in_place_of_a_role_is_told_the_way_in() -> None:
    with pytest.raises(InvalidMessageError, match=r"is not a role; .* Message\.from_openai"):
        Message({"role": "user", "content": "你好"})  # type: ignore[arg-type]


def test_custom_tools_pass_and_strict_comes_back() -> None:
    custom = {"type": "custom", "custom": {"name": "write"}}
    strict = {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}
    assert openai_format.to_tools([custom, strict]) == [custom, strict]
    assert anthropic_format.to_tools([strict]) == [{"name": "f", "input_schema": {}}]


def airline_runs() -> Iterator[list[dict[str, Any]]]:
    root = Path(os.environ.get("CTXPLUG_DATA", Path(__file__).parents[2] / "shared" / "data"))
    file = root / "tau-bench-dev" / "airline.jsonl"
    if not file.exists():
        pytest.skip(f"no recorded runs: {file.parent.name}/{file.name} is not beside the checkout")
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["messages"]


def test_recorded_runs_convert_both_ways_and_are_valid() -> None:
    for wire in airline_runs():
        ours = read(wire)
        assert openai_format.to_messages(ours) == wire
        assert check_openai({"messages": wire}) == []
        system, turns = anthropic_format.to_messages(ours)
        assert check_anthropic({"system": system, "messages": turns}) == []
        back = [m for d in turns for m in Message.from_anthropic(d)]
        # Anthropic has no names on results and parses arguments; a last text is stripped,
        # and an id that the run used for two calls has become two.
        assert [said(m) for m in back] == [said(m) for m in ours if m.role != "system"]


def said(message: Message) -> Any:
    calls = [(c.name, c.arguments) for c in message.tool_calls]
    return message.role, message.text.rstrip(), calls, len(message.tool_results)
