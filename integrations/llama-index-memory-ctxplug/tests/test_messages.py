"""LlamaIndex messages come back as they went in, and every reader of the log understands them."""

from __future__ import annotations

import base64
import json
import math
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ctxplug_llamaindex import from_message, from_messages, to_message, to_messages
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.schema import ImageDocument

from ctxplug import AgentMemory, Message, codec
from ctxplug.errors import InvalidMessageError
from ctxplug.messages import (
    ImagePart,
    OpaquePart,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))
PDF = b"%PDF-1.4 " + bytes(range(40))
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
BLOCKS: list[Any] = [
    TextBlock(text="你好，里斯本"),
    TextBlock(text=""),
    ImageBlock(image=PNG),
    ImageBlock(image=PNG, image_mimetype="image/x-own", detail="low"),
    ImageBlock(url="https://x.test/a.png", detail="high"),
    ImageBlock(url=DATA_URL),
    ImageBlock(image=PNG, url="https://x.test/a.png"),
    ImageBlock(),
    AudioBlock(audio=b"RIFF....WAVEfmt ", format="wav"),
    AudioBlock(url="https://x.test/a.mp3"),
    VideoBlock(video=b"0123", fps=2, detail="low"),
    DocumentBlock(data=PDF, title="票据"),
    DocumentBlock(url="https://x.test/a.pdf"),
    DocumentBlock(path="/no/such/file.pdf"),
    CachePoint(cache_control=CacheControl(type="ephemeral", ttl="1h")),
    CitableBlock(title="t", source="s", content=[TextBlock(text="里"), DocumentBlock(data=PDF)]),
    CitationBlock(
        cited_content=TextBlock(text="x"), source="s", title="t", additional_location_info={"a": 1}
    ),
]
SAID: list[Any] = [
    ThinkingBlock(content="hm"),
    ThinkingBlock(),
    ThinkingBlock(
        content="hm", num_tokens=7, additional_information={"signature": "sig", "x": [math.inf]}
    ),
    ThinkingBlock(additional_information={"type": "redacted_thinking", "data": "???"}),
    ToolCallBlock(tool_call_id="c1", tool_name="look_up", tool_kwargs={"city": "里斯本", "n": 3}),
    ToolCallBlock(tool_call_id="c2", tool_name="look_up", tool_kwargs='{"city": "Porto"}'),
    ToolCallBlock(tool_call_id="c3", tool_name="look_up", tool_kwargs="{broken"),
    ToolCallBlock(tool_call_id="c4", tool_name="run", tool_kwargs="[1]"),
    ToolCallBlock(tool_call_id=None, tool_name="run"),
    ToolCallBlock(tool_call_id="", tool_name="run", tool_kwargs={"at": math.nan, "b": b"x"}),
]


def through(message: Message) -> Message:
    """Return the message after it was stored and read."""
    return Message.from_dict(codec.decode(codec.encode(message.to_dict())))


def form(value: Any) -> Any:
    """All that a value is, in a form in which NaN is NaN, 1 is not True, and keys have no order."""
    if isinstance(value, BaseModel):
        return type(value).__name__, form(dict(value))
    if isinstance(value, dict):
        return sorted((key, form(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value).__name__, [form(item) for item in value]
    return repr(value)


def same(one: ChatMessage, other: ChatMessage) -> bool:
    return bool(form(one) == form(other))


def assert_comes_back(message: ChatMessage) -> None:
    before = message.model_copy(deep=True)
    back = from_message(through(to_message(message)))
    assert same(back, message), f"{back!r}\nis not\n{message!r}"
    assert same(message, before), "it was changed"


# -- nothing is lost -----------------------------------------------------------------------


@pytest.mark.parametrize("block", [*BLOCKS, *SAID], ids=lambda b: b.block_type)
def test_every_block_comes_back(block: Any) -> None:
    assert_comes_back(ChatMessage(role="assistant", blocks=[block]))
    assert_comes_back(ChatMessage(role="user", blocks=[TextBlock(text="a"), block]))
    result = {"tool_call_id": "c1"}
    assert_comes_back(ChatMessage(role="tool", blocks=[block], additional_kwargs=result))


ROLES = st.sampled_from(
    ["user", "assistant", "system", "tool", "developer", "function", "chatbot", "model"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
LISTED = st.lists(
    st.fixed_dictionaries({"id": st.text(max_size=2), "type": st.just("function")}).flatmap(
        lambda call: st.builds(
            lambda name, text: {**call, "function": {"arguments": text, "name": name}},
            st.sampled_from(["look_up", "f"]),
            st.sampled_from(['{"city":"里斯本"}', '{ "city" : "Porto" }', "{}", "", "{broken"]),
        )
    )
    | st.builds(
        lambda id, kwargs: ToolSelection(tool_id=id, tool_name="look_up", tool_kwargs=kwargs),
        st.sampled_from(["c1", "c2", ""]),
        st.sampled_from([{"city": "里斯本", "n": 3}, {}]),
    )
    | JSON,
    max_size=3,
)
KWARGS = st.dictionaries(st.text(max_size=4).filter(lambda key: key != "images"), JSON, max_size=2)


@given(
    role=ROLES,
    blocks=st.lists(st.sampled_from([*BLOCKS, *SAID]), max_size=4),
    kwargs=KWARGS,
    listed=st.none() | LISTED,
    other=st.sampled_from(
        [{}, {"tool_call_id": "c1"}, {"name": "安娜"}, {"name": "f", "tool_call_id": ""}]
    ),
)
@settings(max_examples=300, deadline=None)
def test_any_message_comes_back(
    role: str, blocks: list[Any], kwargs: dict[str, Any], listed: Any, other: dict[str, Any]
) -> None:
    asks = listed is not None and role in ("assistant", "chatbot", "model")
    more = {"tool_calls": listed} if asks else {}
    assert_comes_back(
        ChatMessage(role=role, blocks=blocks, additional_kwargs={**kwargs, **other, **more})
    )


def test_a_call_in_a_block_and_in_the_list_is_one_call() -> None:
    listed = [{"id": "c1", "function": {"name": "f", "arguments": '{ "a" : 1 }'}, "type": "x"}]
    message = ChatMessage(
        role="assistant",
        blocks=[ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={"a": 1})],
        additional_kwargs={"tool_calls": listed},
    )
    (call,) = to_message(message).tool_calls
    assert (call.id, call.name, call.arguments) == ("c1", "f", {"a": 1})
    assert_comes_back(message)
    message.blocks[0].tool_kwargs = '{"a": 1}'  # type: ignore[union-attr]
    assert_comes_back(message)
    message.additional_kwargs["tool_calls"][0]["function"]["arguments"] = '{"a":2}'
    assert_comes_back(message)


class _Function(BaseModel):
    arguments: str
    name: str


class _Call(BaseModel):  # as the classes of OpenAI's client are
    id: str
    function: _Function
    type: str = "function"


def test_a_call_of_a_provider_s_class_comes_back_as_what_it_holds() -> None:
    call = _Call(id="c1", function=_Function(name="look_up", arguments='{"city": "里斯本"}'))
    message = ChatMessage(role="assistant", additional_kwargs={"tool_calls": [call]})
    ours = through(to_message(message))
    assert ours.tool_calls[0].arguments == {"city": "里斯本"}
    assert from_message(ours).additional_kwargs == {"tool_calls": [call.model_dump()]}


def test_a_call_of_openai_s_first_form_and_its_result_belong_together() -> None:
    function = {"name": "look_up", "arguments": '{"city": "里斯本"}', "x": 1}
    said = ChatMessage(role="assistant", content="", additional_kwargs={"function_call": function})
    result = ChatMessage(role="function", content="晴", additional_kwargs={"name": "look_up"})
    assert_comes_back(said)
    assert_comes_back(result)
    (call,), (answer,) = to_message(said).tool_calls, to_message(result).tool_results
    assert (call.id, call.arguments) == (answer.call_id, {"city": "里斯本"})


def test_what_is_no_json_is_kept_as_far_as_it_can_be() -> None:
    given = {"bytes": b"\xff", "pair": (1, (2,)), "object": SimpleNamespace(city="里斯本")}
    back = from_message(through(to_message(ChatMessage("x", additional_kwargs=given))))
    assert back.additional_kwargs["bytes"] == b"\xff"
    assert back.additional_kwargs["pair"] == (1, (2,))
    assert "里斯本" in back.additional_kwargs["object"]["repr"]
    json.dumps(to_message(ChatMessage("x", additional_kwargs=given)).to_dict())


@pytest.mark.parametrize(
    ("block", "field"),
    [
        (ImageBlock(image=BytesIO(PNG)), "image"),
        (AudioBlock(audio=BytesIO(PNG)), "audio"),
        (VideoBlock(video=BytesIO(PNG)), "video"),
        (DocumentBlock(data=BytesIO(PNG), document_mimetype="image/png"), "data"),
    ],
)
def test_a_stream_is_read_and_can_be_read_again(block: Any, field: str) -> None:
    for _ in range(2):
        back = from_message(through(to_message(ChatMessage(role="user", blocks=[block]))))
        assert base64.b64decode(getattr(back.blocks[0], field)) == PNG


def test_an_image_in_a_file_is_in_the_log_when_the_file_is_gone(tmp_path: Path) -> None:
    place = tmp_path / "图.png"
    place.write_bytes(PNG)
    message = ChatMessage(role="user", blocks=[ImageBlock(path=place, detail="low")])
    ours = through(to_message(message))
    (image,) = ours.content
    assert isinstance(image, ImagePart) and (image.data, image.media_type) == (PNG, "image/png")
    assert same(from_message(ours), message)
    place.unlink()
    (block,) = from_message(ours).blocks
    assert base64.b64decode(block.image) == PNG and block.detail == "low"


def test_a_block_whose_file_is_gone_comes_back_with_its_place(tmp_path: Path) -> None:
    place = tmp_path / "a.mp3"
    place.write_bytes(b"ID3")
    message = ChatMessage(role="user", blocks=[AudioBlock(path=place)])
    ours = through(to_message(message))
    place.unlink()
    (block,) = from_message(ours).blocks
    assert isinstance(block, AudioBlock) and str(block.path) == str(place)


def test_images_of_the_first_form_stand_once() -> None:
    document = ImageDocument(image=base64.b64encode(PNG).decode())
    message = ChatMessage("look", additional_kwargs={"images": [document]})
    back = from_message(through(to_message(message)))
    assert same(back, ChatMessage(role="user", blocks=message.blocks)) and len(back.blocks) == 2


# -- what other readers see ----------------------------------------------------------------


def test_parts_say_what_the_blocks_say() -> None:
    message = ChatMessage(
        role="assistant",
        blocks=[
            TextBlock(text="a"),
            ImageBlock(image=PNG),
            ThinkingBlock(content="hm", additional_information={"signature": "sig"}),
            ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs='{"a": 1}'),
            DocumentBlock(data=PDF),
        ],
    )
    text, image, thinking, call, document = to_message(message).content
    assert text == TextPart("a")
    assert image == ImagePart(data=PNG, media_type="image/png")
    assert thinking == ThinkingPart("hm", "sig")
    assert isinstance(call, ToolCallPart)
    assert (call.arguments, call.raw_arguments) == ({"a": 1}, '{"a": 1}')
    assert isinstance(document, OpaquePart) and document.data["block_type"] == "document"


@pytest.mark.parametrize(
    ("role", "ours"),
    [("developer", "system"), ("chatbot", "assistant"), ("model", "assistant"), ("tool", "tool")],
)
def test_roles_become_those_that_all_providers_know(role: str, ours: str) -> None:
    assert to_message(ChatMessage("x", role=role)).role == ours


def test_a_redactor_sees_all_that_a_call_says_and_what_it_changes_stays_changed() -> None:
    listed = [{"id": "c2", "function": {"name": "f", "arguments": '{"pin": "1234"}'}, "type": "x"}]
    message = ChatMessage(
        role="assistant",
        blocks=[ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={"pin": "1234"})],
        additional_kwargs={"tool_calls": listed},
    )
    stored = to_message(message).to_dict()
    assert json.dumps([part.get("extra", {}) for part in stored["content"]]).count("1234") == 0
    assert "1234" not in json.dumps(stored.get("extra", {}))
    redacted = Message.from_dict(json.loads(json.dumps(stored).replace("1234", "****")))
    back = from_message(redacted)
    assert back.blocks[0].tool_kwargs == {"pin": "****"}
    assert back.additional_kwargs["tool_calls"][0]["function"]["arguments"] == '{"pin": "****"}'


def test_another_thing_is_no_message() -> None:
    with pytest.raises(InvalidMessageError, match="type dict and no ChatMessage"):
        to_messages([{"role": "user"}])  # type: ignore[list-item]


# -- a log that others wrote ---------------------------------------------------------------


def test_calls_and_results_of_openai_s_form() -> None:
    dicts: list[dict[str, Any]] = [
        {"role": "system", "content": "简短回答。"},
        {"role": "user", "content": [{"type": "text", "text": "里斯本天气？"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "晴"},
    ]
    system, user, said, result = from_messages(m for d in dicts for m in Message.from_openai(d))
    assert (str(system), str(user)) == ("system: 简短回答。", "user: 里斯本天气？")
    assert said.blocks == [ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={"a": 1})]
    assert (result.role, result.content) == ("tool", "晴")
    assert said.additional_kwargs == {} and result.additional_kwargs == {"tool_call_id": "c1"}


def test_thinking_documents_and_several_results_of_anthropic_s_form() -> None:
    encoded = base64.b64encode(PDF).decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": encoded}
    dicts: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "document", "title": "票据", "source": source}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "???"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {"a": "里"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "一"},
                {"type": "tool_result", "tool_use_id": "c2", "content": [], "is_error": True},
                {"type": "text", "text": "Go on."},
            ],
        },
    ]
    ours = [message for given in dicts for message in Message.from_anthropic(given)]
    user, said, *results, last = from_messages(ours)
    (document,) = user.blocks
    assert isinstance(document, DocumentBlock) and document.title == "票据"
    assert base64.b64decode(document.data or b"") == PDF
    assert said.blocks == [
        ThinkingBlock(content="hm", additional_information={"signature": "sig"}),
        ThinkingBlock(
            content="", additional_information={"type": "redacted_thinking", "data": "???"}
        ),
        ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={}),
        ToolCallBlock(tool_call_id="c2", tool_name="g", tool_kwargs={"a": "里"}),
    ]
    assert [r.additional_kwargs["tool_call_id"] for r in results] == ["c1", "c2"]
    assert str(last) == "user: Go on."


def test_several_results_in_one_message_become_as_many() -> None:
    several = Message("tool", [ToolResultPart("c1", (TextPart("一"),)), ToolResultPart("c2")])
    with pytest.raises(InvalidMessageError, match="brings 2 results"):
        from_message(several)
    first, second = from_messages([several])
    assert (first.content, first.additional_kwargs) == ("一", {"tool_call_id": "c1"})
    assert (second.content, second.additional_kwargs) == (None, {"tool_call_id": "c2"})


def test_what_llamaindex_has_no_block_for_is_left_out() -> None:
    parts: list[Part] = [
        TextPart("a"),
        OpaquePart("anthropic", {"type": "server_tool_use", "id": "s1"}),
        OpaquePart("llama_index", {"block_type": "of_a_newer_core", "x": 1}),
        OpaquePart("anthropic", {"type": "document", "source": {}}),
    ]
    assert from_message(Message("assistant", parts)).blocks == [TextBlock(text="a")]


def test_media_of_other_forms_become_blocks() -> None:
    sound = base64.b64encode(b"ID3....").decode()
    document = {"type": "text", "data": "里斯本"}
    data_url = f"data:text/plain;base64,{sound}"
    given: list[dict[str, Any]] = [
        {"type": "input_audio", "input_audio": {"data": sound, "format": "mp3"}},
        {"type": "file", "file": {"file_data": data_url}},
        {"type": "audio", "base64": sound, "mime_type": "audio/mp3"},
        {"type": "file", "url": "https://x.test/a.pdf"},
        {"type": "video", "base64": sound, "mime_type": "video/mp4"},
        {"type": "document", "source": document},
    ]
    parts = [OpaquePart("of whomever", data) for data in given]
    blocks = from_message(Message("user", parts)).blocks
    assert [block.block_type for block in blocks] == [
        "audio", "document", "audio", "document", "video", "text",
    ]  # fmt: skip
    assert base64.b64decode(blocks[0].audio) == b"ID3...." and blocks[0].format == "mp3"


def test_a_window_s_messages_convert_whatever_became_of_them() -> None:
    memory = AgentMemory.open(namespace="acme", budget=2_000)
    for n in range(12):
        call = ToolCallBlock(tool_call_id=f"c{n}", tool_name="look_up", tool_kwargs={"n": n})
        rows = json.dumps([{"id": n, "city": "里斯本", "text": "word " * 60}] * 3)
        said = [
            ChatMessage(f"Question {n}? 第{n}个问题", role="user"),
            ChatMessage(role="assistant", blocks=[call]),
            ChatMessage(rows, role="tool", additional_kwargs={"tool_call_id": f"c{n}"}),
            ChatMessage(f"Answer {n}.", role="assistant"),
        ]
        memory.extend(to_messages(said))
        window = memory.context()
    assert window.report.compressed
    shown = from_messages(window.messages)
    calls = [b.tool_call_id for m in shown for b in m.blocks if isinstance(b, ToolCallBlock)]
    results = [m.additional_kwargs["tool_call_id"] for m in shown if m.role == "tool"]
    assert calls == results and shown[-1].content == "Answer 11."
