"""LangChain messages come back as they went in, and every reader of the log understands them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_ctxplug.messages import from_message, from_messages, to_message, to_messages

from ctxplug import AgentMemory, Message, codec
from ctxplug.context.validity import check
from ctxplug.errors import InvalidMessageError
from ctxplug.messages import (
    ImagePart,
    OpaquePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

PNG = "iVBORw=="
USAGE = {
    "input_tokens": 10,
    "output_tokens": 2,
    "total_tokens": 12,
    "input_token_details": {"cache_read": 4},
}
BLOCKS: list[Any] = [
    {"type": "text", "text": "你好", "cache_control": {"type": "ephemeral"}},
    "bare text",
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
    {"type": "image", "source": {"type": "file", "file_id": "f1"}},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
    {"type": "image_url", "image_url": "https://x.test/a.png"},
    {"type": "image", "url": "https://x.test/a.png", "mime_type": "image/png"},
    {"type": "image", "base64": PNG, "mime_type": "image/png", "id": "i1"},
    {"type": "image", "base64": PNG},
    {"type": "image", "base64": "not base64!"},
    {"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"},
    {"type": "image", "file_id": "f2"},
    {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},
    {"type": "video", "url": "https://x.test/a.mp4"},
    {"type": "file", "base64": "AAAA", "mime_type": "application/pdf", "extras": {"a": 1}},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
    {"type": "text-plain", "text": "x", "mime_type": "text/plain"},
    {"type": "non_standard", "value": {"deep": [1, 2.5, None, True]}},
    {"type": "tool_result", "tool_use_id": "t1", "content": "x", "is_error": True},
    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "x"}]},
    {"type": "tool_result", "tool_use_id": "t1", "content": []},
    {"type": "tool_result", "tool_use_id": "t1"},
    {"type": "thing of tomorrow", "value": {"ctxplug:kind": "mine"}},
    {"no": "type"},
]
SAID: list[Any] = [
    {"type": "thinking", "thinking": "hm", "signature": "sig", "index": 0},
    {"type": "thinking", "thinking": "hm"},
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "redacted_thinking", "data": "xx"},
    {"type": "reasoning", "reasoning": "r", "extras": {"signature": "s", "other": 1}},
    {"type": "reasoning", "reasoning": "r"},
    {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "t"}]},
    {"type": "text", "text": "ok", "annotations": [{"type": "citation", "url": "https://x.test"}]},
    {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"q": "x"}},
]


def same(message: BaseMessage) -> BaseMessage:
    """What comes back after the whole way through the log's own JSON."""
    stored = codec.decode(codec.encode(to_message(message).to_dict()))
    return from_message(Message.from_dict(stored))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: json.dumps(b)[:60])
def test_every_content_block_of_a_user_comes_back(block: Any) -> None:
    message = HumanMessage([block], name="bob", id="m1")
    assert same(message) == message


@pytest.mark.parametrize("block", SAID, ids=lambda b: json.dumps(b)[:60])
def test_every_content_block_of_a_model_comes_back(block: Any) -> None:
    for provider in ({}, {"model_provider": "anthropic", "stop_reason": "end_turn"}):
        message = AIMessage([block], response_metadata=provider, id="m1")
        assert same(message) == message


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("你好"),
        HumanMessage(""),
        HumanMessage([]),
        HumanMessage([{"type": "text", "text": "x"}]),
        HumanMessage("x", additional_kwargs={"lc_source": "summary", "n": 2**70}),
        HumanMessage("x", unknown_field={"a": (1, 2)}),
        SystemMessage("s"),
        SystemMessage([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]),
        AIMessage("x", usage_metadata=USAGE, response_metadata={"logprobs": [0.5, math.inf]}),
        AIMessage([{"type": "text", "text": "x"}], name="planner"),
        AIMessage([]),
        AIMessage("x", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}),
        FunctionMessage("result", name="f"),
        ChatMessage("c", role="developer"),
        ChatMessage("c", role="critic"),
        ToolMessage("r", tool_call_id="a", name="t", status="error", artifact={"a": (1, b"x")}),
        ToolMessage("r", tool_call_id="a", artifact=[Document("d", metadata={"k": 1}, id="9")]),
        ToolMessage([{"type": "text", "text": "x"}, "y"], tool_call_id="a"),
        ToolMessage("", tool_call_id="a"),
    ],
    ids=lambda m: repr(m)[:50],
)
def test_every_kind_of_message_comes_back(message: BaseMessage) -> None:
    back = same(message)
    assert back == message
    assert back.id == message.id
    assert from_message(to_message(back)) == message


def test_calls_come_back_wherever_they_stand(call: Any) -> None:
    content = [
        {"type": "text", "text": "both"},
        {"type": "tool_use", "id": "c2", "name": "f", "input": {"a": 1}, "caller": {"type": "x"}},
        {"type": "tool_use", "id": "c1", "name": "g", "input": "", "partial_json": "{}"},
        {"type": "tool_use", "id": "only here", "name": "g", "input": {}},
        {
            "type": "function_call",
            "call_id": "c3",
            "id": "fc",
            "name": "h",
            "arguments": '{"b": 2}',
        },
        {"type": "tool_call", "id": "c5", "name": "f", "args": {"q": "问"}},
    ]
    calls = [
        call("c1", "g"),
        call("c2", "f", a=1),
        call("c3", "h", b=2),
        call("c4", "k", z=[1, 2.5, None]),
        call("c5", "f", q="问"),
    ]
    message = AIMessage(content, tool_calls=calls)
    back = same(message)
    assert back == message
    assert [c["id"] for c in back.tool_calls] == ["c1", "c2", "c3", "c4", "c5"]
    ours = to_message(message).tool_calls
    assert {c.id for c in ours} == {"c1", "c2", "c3", "c4", "c5", "only here"}


def test_calls_without_id_and_calls_that_could_not_be_read_come_back() -> None:
    bad = [
        {"name": "f", "args": '{"a', "id": "x", "error": "cut off", "type": "invalid_tool_call"},
        {"name": None, "args": None, "id": None, "error": None, "type": "invalid_tool_call"},
    ]
    call = {"name": "g", "args": {}, "id": None, "type": "tool_call"}
    message = AIMessage("", tool_calls=[call], invalid_tool_calls=bad)
    assert same(message) == message
    ours = to_message(message).tool_calls
    assert [(c.name, c.raw_arguments) for c in ours[1:]] == [("f", '{"a'), ("unknown", "")]


def test_an_unreadable_call_of_a_content_block_is_one_call() -> None:
    content = [{"type": "tool_use", "id": "x", "name": "f", "input": '{"a', "index": 1}]
    bad = [{"name": "f", "args": '{"a', "id": "x", "error": "cut", "type": "invalid_tool_call"}]
    message = AIMessage(content, invalid_tool_calls=bad)
    assert same(message) == message
    assert [call.id for call in to_message(message).tool_calls] == ["x"]


def test_a_chunk_becomes_its_message() -> None:
    chunk = AIMessageChunk(
        "x",
        id="1",
        usage_metadata=USAGE,
        tool_call_chunks=[
            {"name": "f", "args": '{"a": 1}', "id": "c", "index": 0, "type": "tool_call_chunk"}
        ],
    )
    assert same(chunk) == message_chunk_to_message(chunk)
    assert same(HumanMessageChunk("x")) == HumanMessage("x")


def test_typed_parts_hold_what_others_read(call: Any) -> None:
    user = to_message(HumanMessage([BLOCKS[0], BLOCKS[2], BLOCKS[17]]))
    assert [type(p) for p in user.content] == [TextPart, ImagePart, OpaquePart]
    assert user.text == "你好"
    said = to_message(AIMessage([SAID[0], SAID[7]], tool_calls=[call("c", a=1)]))
    assert [type(p) for p in said.content] == [ThinkingPart, TextPart, ToolCallPart]
    assert said.content[0].signature == "sig"
    result = to_message(ToolMessage("r", tool_call_id="c", name="t", status="error"))
    assert result.content == (ToolResultPart("c", (TextPart("r"),), True, "t"),)


def test_what_is_written_here_is_valid_for_every_provider(call: Any) -> None:
    talk = [
        SystemMessage("Be brief."),
        HumanMessage("Weather?"),
        AIMessage("", tool_calls=[call("c1", city="北京")]),
        ToolMessage("24 °C", tool_call_id="c1", name="look_up"),
        AIMessage("24 °C."),
    ]
    for provider in ("anthropic", "openai", "openai-responses", "gemini"):
        assert check(provider, to_messages(talk)) == []


def test_plain_messages_read_as_langchain_ones() -> None:
    call = ToolCallPart("c1", "look", {"q": 1})
    said = Message("assistant", [ThinkingPart("hm", "sig"), TextPart("see"), call])
    results = Message("tool", [ToolResultPart("c1", (TextPart("a"),)), ToolResultPart("c2")])
    mixed = Message("user", [ToolResultPart("c1", (TextPart("a"),)), TextPart("and?")])
    out = from_messages([Message("user", "hi"), said, results, mixed])
    assert [m.type for m in out] == ["human", "ai", "tool", "tool", "tool", "human"]
    assert out[0].content == "hi"
    assert out[1].content[0] == {"type": "thinking", "thinking": "hm", "signature": "sig"}
    assert out[1].tool_calls == [
        {"name": "look", "args": {"q": 1}, "id": "c1", "type": "tool_call"}
    ]
    assert (out[2].content, out[5].content) == ("a", "and?")
    with pytest.raises(InvalidMessageError, match="from_messages"):
        from_message(results)


def test_orders_and_strangers_are_refused() -> None:
    with pytest.raises(InvalidMessageError, match="RemoveMessage"):
        to_messages(RemoveMessage(id="m1"))
    with pytest.raises(InvalidMessageError, match="convert_to_messages"):
        to_messages([{"role": "user", "content": "x"}])  # type: ignore[list-item]


def test_an_artifact_that_is_no_json_is_described() -> None:
    class Own:
        def __repr__(self) -> str:
            return "Own(1)"

    back = same(ToolMessage("r", tool_call_id="a", artifact=Own()))
    assert back.artifact["repr"] == "Own(1)"


def test_what_langchain_wrote_is_read_by_a_plain_memory_and_back(tmp_path: Any, call: Any) -> None:
    talk = [
        HumanMessage("住在哪里?"),
        AIMessage("", tool_calls=[call("c")]),
        ToolMessage("里斯本", tool_call_id="c"),
        AIMessage("里斯本。", usage_metadata=USAGE),
    ]
    with AgentMemory.open(tmp_path / "m.db", namespace="acme", session="s") as memory:
        memory.extend(to_messages(talk))
    with AgentMemory.open(tmp_path / "m.db", namespace="acme", session="s") as memory:
        assert from_messages(memory.messages()) == [
            m.model_copy(update={"id": o.id}) if m.id else m
            for m, o in zip(talk, memory.messages(), strict=True)
        ]
        assert memory.context().text if hasattr(memory.context(), "text") else True
        assert check("anthropic", memory.context().messages) == []
        assert memory.recall("里斯本")


texts = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=3)
any_block = (
    st.sampled_from(BLOCKS + SAID)
    | texts
    | st.builds(lambda more, text: {**more, "type": "text", "text": text}, objects, texts)
    | objects
)
contents = texts | st.lists(any_block, max_size=4)
calls = st.lists(
    st.builds(
        lambda id, name, args: {"name": name, "args": args, "id": id, "type": "tool_call"},
        st.none() | st.sampled_from(["a", "b", "c"]),
        texts,
        objects,
    ),
    max_size=3,
)
invalid = st.lists(
    st.builds(
        lambda id, name, args, error: {
            "name": name,
            "args": args,
            "id": id,
            "error": error,
            "type": "invalid_tool_call",
        },
        st.none() | st.sampled_from(["x", "y"]),
        st.none() | texts,
        st.none() | texts,
        st.none() | texts,
    ),
    max_size=2,
)
messages = (
    st.builds(HumanMessage, contents, name=st.none() | texts, additional_kwargs=objects)
    | st.builds(SystemMessage, contents, id=st.none() | st.sampled_from(["1", "2"]))
    | st.builds(
        AIMessage,
        contents,
        tool_calls=calls,
        invalid_tool_calls=invalid,
        response_metadata=objects,
        id=st.none() | st.just("m"),
    )
    | st.builds(
        ToolMessage,
        contents,
        tool_call_id=texts,
        artifact=values,
        name=st.none() | texts,
        status=st.sampled_from(["success", "error"]),
    )
    | st.builds(ChatMessage, contents, role=texts)
)


@settings(max_examples=400, deadline=None)
@given(messages)
def test_no_message_is_lost_or_changed(message: BaseMessage) -> None:
    assert same(message) == message
