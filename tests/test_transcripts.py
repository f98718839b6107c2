from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message, ToolCallPart, ToolResultPart
from ctxplug.errors import TranscriptError
from ctxplug.transcripts import Conversation, read_transcript

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "trip_planner.jsonl"

HELLO = {"role": "user", "content": "Hello"}
ANSWER = {"role": "assistant", "content": "你好"}
ARGUMENTS = '{"city": "里斯本"}'
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ARGUMENTS}},
    ],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "22 °C"}
LOCOMO: dict[str, Any] = {
    "speaker_a": "Ann",
    "speaker_b": "Bo",
    "session_2_date_time": "12:48 am on 1 February, 2024",
    "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Later."}],
    "session_1_date_time": "1:56 pm on 8 May, 2023",
    "session_1": [
        {"speaker": "Ann", "dia_id": "D1:1", "text": "Look!", "blip_caption": "a red kite"},
        {"speaker": "Bo", "dia_id": "D1:2", "text": "Nice."},
    ],
    "events_session_1": {"Ann": []},
    "qa": [],
}


def _write(path: Path, *lines: Any, end: str = "\n") -> Path:
    texts = [
        line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines
    ]
    path.write_text("\n".join(texts) + end, encoding="utf-8")
    return path


def _read(path: Path) -> list[Conversation]:
    return list(read_transcript(path))


def _said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in conversation.messages]


# -- shapes ------------------------------------------------------------------------


def test_each_line_with_messages_is_a_conversation_and_keeps_its_metadata(tmp_path: Path) -> None:
    file = _write(
        tmp_path / "chats.jsonl",
        {"messages": [HELLO, ANSWER], "task_id": 7},
        {"name": "second", "messages": [HELLO]},
    )
    first, second = _read(file)
    assert _said(first) == [("user", "Hello"), ("assistant", "你好")]
    assert (first.name, first.metadata) == ("chats-1", {"task_id": 7})
    assert (second.name, second.metadata) == ("second", {"name": "second"})


def test_each_line_that_is_a_list_is_a_conversation(tmp_path: Path) -> None:
    file = _write(tmp_path / "x.jsonl", [HELLO, ANSWER], [HELLO])
    assert [len(c.messages) for c in _read(file)] == [2, 1]


def test_lines_of_single_messages_are_one_conversation(tmp_path: Path) -> None:
    (conversation,) = _read(_write(tmp_path / "chat.jsonl", HELLO, CALL, RESULT, ANSWER))
    assert conversation.name == "chat"
    assert [message.role for message in conversation.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert conversation.messages[1].tool_calls[0].arguments == {"city": "里斯本"}


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_list_of_messages_is_one_conversation(tmp_path: Path, indent: int | None) -> None:
    file = tmp_path / "list.json"
    file.write_text(json.dumps([HELLO, ANSWER], indent=indent))
    (conversation,) = _read(file)
    assert _said(conversation) == [("user", "Hello"), ("assistant", "你好")]
    assert conversation.name == "list"


def test_an_anthropic_request_keeps_its_system_prompt_calls_and_results(tmp_path: Path) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}
    request = {
        "system": "Be kind.",
        "messages": [
            {"role": "user", "content": "Go"},
            {"role": "assistant", "content": [{"type": "text", "text": "I will."}, use]},
            {"role": "user", "content": [result]},
        ],
    }
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request, indent=1))
    (conversation,) = _read(file)
    assert [m.role for m in conversation.messages] == ["system", "user", "assistant", "tool"]
    (call,) = conversation.messages[2].tool_calls
    assert isinstance(call, ToolCallPart) and call.arguments == {"a": 1}
    (part,) = conversation.messages[3].content
    assert isinstance(part, ToolResultPart) and part.call_id == "t1"


def test_our_own_messages_come_back_equal(tmp_path: Path) -> None:
    messages = [
        Message("user", "第一句", metadata={"n": 1}, pinned=True),
        Message("assistant", ToolCallPart("c", "f", {"x": [1, None]})),
    ]
    file = _write(tmp_path / "own.jsonl", *(message.to_dict() for message in messages))
    (conversation,) = _read(file)
    assert list(conversation.messages) == messages


def test_a_locomo_conversation_has_roles_names_times_and_captions(tmp_path: Path) -> None:
    file = tmp_path / "26.json"
    file.write_text(json.dumps(LOCOMO, indent=2))
    (conversation,) = _read(file)
    first, second, third = conversation.messages
    assert (conversation.name, conversation.metadata) == (
        "26",
        {"speaker_a": "Ann", "speaker_b": "Bo"},
    )
    assert (first.role, first.name, first.text) == ("user", "Ann", "Look!\n[image: a red kite]")
    assert first.created_at == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    assert first.metadata == {"dia_id": "D1:1", "session": 1}
    assert (second.role, second.name) == ("assistant", "Bo")
    assert (third.metadata["session"], third.created_at.hour) == (2, 0)


def test_the_sample_of_the_demo_is_two_conversations_with_tool_calls() -> None:
    english, chinese = _read(SAMPLE)
    assert (english.name, chinese.name) == ("lisbon", "chengdu")
    for conversation in (english, chinese):
        assert 25 <= len(conversation.messages) <= 40
        calls = [c.id for message in conversation.messages for c in message.tool_calls]
        results = [r.call_id for message in conversation.messages for r in message.tool_results]
        assert calls == results and len(calls) >= 8
    assert "过敏" in "".join(message.text for message in chinese.messages)


def test_names_are_unique_and_fit_for_a_session(tmp_path: Path) -> None:
    chat = {"messages": [HELLO]}
    lines = [{"name": name, **chat} for name in ("a", "a", "x/y", "", 7, "bad\x00")]
    names = [c.name for c in _read(_write(tmp_path / "n.jsonl", *lines))]
    assert len(set(names)) == len(names) == 6
    assert names[0] == "a" and names[4] == "7"
    assert not any("/" in name or "\0" in name for name in names)


def test_blank_lines_a_byte_order_mark_and_crlf_are_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "bom.jsonl"
    line = json.dumps({"messages": [HELLO]}).encode()
    file.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line + b"\r\n")
    assert len(_read(file)) == 2


def test_a_line_separator_inside_a_text_does_not_end_the_line(tmp_path: Path) -> None:
    odd = "a\u2028b\u2029c\x85d"
    file = _write(tmp_path / "x.jsonl", {"messages": [{"role": "user", "content": odd}]}, [HELLO])
    assert _read(file)[0].messages[0].text == odd


def test_conversations_are_read_one_at_a_time(tmp_path: Path) -> None:
    file = _write(tmp_path / "x.jsonl", [HELLO], [HELLO], "broken")
    conversations = read_transcript(file)
    assert next(conversations).name == "x-1"
    assert next(conversations).name == "x-2"
    with pytest.raises(TranscriptError):
        next(conversations)


# -- bad input ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        ([[HELLO], '{"messages": [}'], 2, "not JSON"),
        (['{"messages": [', {"messages": [HELLO]}], 1, "not JSON"),
        ([[HELLO], {"messages": "no list"}], 2, "an object with 'messages'"),
        ([[HELLO], 5], 2, "5"),
        ([[HELLO], "null"], 2, "null"),
        ([[HELLO], [{"role": "robot", "content": "x"}]], 2, "'robot'"),
        ([[HELLO], [HELLO, "hi"]], 2, "message 2"),
        ([[HELLO], []], 2, "no message"),
        ([HELLO, {"messages": [HELLO]}], 2, "message 2"),
        ([HELLO, {"role": "user"}], 2, "message 2"),
        ([HELLO, {"role": "user", "content": "NaN", "x": float("nan")}], 2, "NaN"),
        ([{**LOCOMO, "session_1_date_time": "yesterday"}], 1, "'yesterday'"),
        ([{**LOCOMO, "session_1": [{"speaker": "Zoe", "text": "x"}]}], 1, "'Zoe'"),
        ([{**LOCOMO, "session_1": [{"speaker": ["Ann"], "text": "x"}]}], 1, "Ann"),
    ],
)
def test_bad_input_names_the_file_the_line_and_the_reason(
    tmp_path: Path, lines: list[Any], line: int, reason: str
) -> None:
    file = _write(tmp_path / "bad.jsonl", *lines)
    with pytest.raises(TranscriptError) as caught:
        _read(file)
    assert (caught.value.path, caught.value.line) == (str(file), line)
    assert str(file) in str(caught.value) and reason in str(caught.value)
    assert f"line {line}" in str(caught.value)


def test_a_broken_line_of_json_is_located_by_column(tmp_path: Path) -> None:
    file = _write(tmp_path / "bad.jsonl", [HELLO], '[{"role": "user" "content"}]')
    with pytest.raises(TranscriptError, match=r"line 2: .*column 18"):
        _read(file)


def test_a_bad_message_in_a_pretty_list_is_located_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text(json.dumps([HELLO, ANSWER, {"role": "robot", "content": ""}], indent=2))
    with pytest.raises(TranscriptError, match="message 3") as caught:
        _read(file)
    assert file.read_text().splitlines()[caught.value.line] == '    "role": "robot",'


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_bytes(data)
    with pytest.raises(TranscriptError, match="empty"):
        _read(file)


def test_text_that_is_not_utf8_is_an_error_that_says_where(tmp_path: Path) -> None:
    file = tmp_path / "latin.jsonl"
    file.write_bytes(b'[{"role": "user", "content": "a"}]\n[{"role": "user", "content": "\xe9"}]\n')
    with pytest.raises(TranscriptError, match=r"line 2: .*not UTF-8.*0xe9"):
        _read(file)
    file.write_text('[{"role": "user", "content": "a"}]', encoding="utf-16")
    with pytest.raises(TranscriptError, match="UTF-16"):
        _read(file)


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.jsonl", tmp_path):
        with pytest.raises(TranscriptError, match="cannot be read"):
            _read(path)


def test_deep_nesting_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    file = _write(tmp_path / "deep.json", "[" * 100_000)
    with pytest.raises(TranscriptError):
        _read(file)


KEYS = ["role", "content", "messages", "type", "created_at", "id", "name", "text", "tool_calls"]
KEYS += ["session_1", "speaker_a", "speaker_b", "conversation", "ctxplug_export"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "user", "tool", "话"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(JSON, min_size=1, max_size=3))
def test_any_json_is_either_conversations_or_a_transcript_error(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    file = _write(tmp_path_factory.getbasetemp() / "any.jsonl", *map(json.dumps, values))
    try:
        conversations = _read(file)
    except TranscriptError as exc:
        assert str(file) in str(exc)
    else:
        assert all(conversation.messages for conversation in conversations)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_either_conversations_or_a_transcript_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.bin"
    file.write_bytes(data)
    with pytest.raises(TranscriptError):
        _read(file)


def test_a_store_is_told_from_a_transcript(tmp_path: Path) -> None:
    file = tmp_path / "agent.db"
    AgentMemory.open(file, namespace="acme/陈伟").close()
    with pytest.raises(TranscriptError, match="is a store, not text; `ctxplug export`"):
        _read(file)
