from __future__ import annotations

import json

from hypothesis import given, settings

from ctxplug import gemini_format
from ctxplug.context.validity import check_gemini
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
from ctxplug.testing.histories import histories

SIGNED = {"gemini": {"thought_signature": "c2ln+/=="}}


def test_a_tool_loop_keeps_its_signature_and_the_order_of_its_calls() -> None:
    system, contents = gemini_format.to_contents(
        [
            Message("system", "Be brief."),
            Message("user", "天气?"),
            Message(
                "assistant",
                [ToolCallPart("1", "lisbon", {"c": 1}, extra=SIGNED), ToolCallPart("2", "porto")],
            ),
            Message("tool", ToolResultPart("2", (TextPart("rain"),), is_error=True)),
            Message("tool", ToolResultPart("1", (TextPart("sun"), TextPart("25")))),
            Message("user", "thanks"),
        ]
    )
    assert system == {"parts": [{"text": "Be brief."}]}
    assert contents == [
        {"role": "user", "parts": [{"text": "天气?"}]},
        {
            "role": "model",
            "parts": [
                {
                    "function_call": {"name": "lisbon", "args": {"c": 1}},
                    "thought_signature": "c2ln+/==",
                },
                {"function_call": {"name": "porto", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"function_response": {"name": "lisbon", "response": {"output": "sun\n25"}}},
                {"function_response": {"name": "porto", "response": {"error": "rain"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "thanks"}]},
    ]
    assert check_gemini(contents) == []


def test_without_system_messages_there_is_no_instruction() -> None:
    assert gemini_format.to_contents([Message("user", "Hi")])[0] is None


def test_thoughts_and_opaque_parts_of_others_are_left_out() -> None:
    code = {"executable_code": {"language": "PYTHON", "code": "1+1"}}
    parts: list[Part] = [
        ThinkingPart("hm", signature="anthropic's"),
        ThinkingPart("gemini thinks", extra=SIGNED),
        OpaquePart("openai", {"type": "reasoning"}),
        OpaquePart("gemini", code),
        TextPart("", extra=SIGNED),
        TextPart(""),
    ]
    _, contents = gemini_format.to_contents([Message("assistant", parts)])
    assert contents[0]["parts"] == [
        {"text": "gemini thinks", "thought": True, "thought_signature": "c2ln+/=="},
        code,
        {"text": "", "thought_signature": "c2ln+/=="},
    ]


def test_images_go_as_data_as_a_typed_file_or_as_a_note() -> None:
    parts = [
        ImagePart(data=b"\x89PNG\r\n\x1a\n"),
        ImagePart("https://example.org/a", media_type="image/png"),
        ImagePart("https://example.org/a"),
        ImagePart("data:image/gif;base64,R0lG"),
    ]
    _, contents = gemini_format.to_contents([Message("user", parts)])
    assert contents[0]["parts"] == [
        {"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo="}},
        {"file_data": {"file_uri": "https://example.org/a", "mime_type": "image/png"}},
        {"text": "[image: https://example.org/a]"},
        {"inline_data": {"mime_type": "image/gif", "data": "R0lG"}},
    ]


@settings(deadline=None)
@given(histories())
def test_rendering_repeats_byte_for_byte_and_changes_nothing(history: list[Message]) -> None:
    before = json.dumps([m.to_dict() for m in history])
    first = json.dumps(gemini_format.to_contents(history), ensure_ascii=False).encode()
    assert json.dumps(gemini_format.to_contents(history), ensure_ascii=False).encode() == first
    assert json.dumps([m.to_dict() for m in history]) == before
