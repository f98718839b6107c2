"""Scripted models, and what the converters of two providers make of a list of ChatMessages.

The first cores of 0.13 have neither such a model nor blocks for calls: there, tests that need
them are skipped.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import ChatMessage, TextBlock
from llama_index.core.llms import mock

from ctxplug.context.validity import check_anthropic, check_openai


def _calls(message: ChatMessage) -> list[tuple[str, str, Any]]:
    """The calls of a message as LlamaIndex's converters read them: id, name and arguments."""
    found = [
        (block.tool_call_id or "", block.tool_name, block.tool_kwargs)
        for block in message.blocks
        if block.block_type == "tool_call"
    ]
    if found:
        return found
    return [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.additional_kwargs.get("tool_calls", ())
    ]


def _text(message: ChatMessage) -> str:
    return "\n".join(block.text for block in message.blocks if isinstance(block, TextBlock))


def to_openai(messages: Sequence[ChatMessage]) -> dict[str, Any]:
    """What llama-index-llms-openai makes of a list."""
    made: list[dict[str, Any]] = []
    for message in messages:
        said: dict[str, Any] = {"role": str(message.role.value), "content": _text(message) or None}
        if calls := _calls(message):
            said["tool_calls"] = [
                {
                    "id": id,
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(arguments)},
                }
                for id, name, arguments in calls
            ]
        if message.role == "tool":
            said |= {"tool_call_id": message.additional_kwargs["tool_call_id"]}
            said["content"] = _text(message)
        made.append(said)
    return {"messages": made}


def to_anthropic(messages: Sequence[ChatMessage]) -> dict[str, Any]:
    """What llama-index-llms-anthropic makes of a list: roles joined, system messages apart."""
    system = [{"type": "text", "text": _text(m)} for m in messages if m.role == "system"]
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        content: list[dict[str, Any]] = []
        role = "assistant" if message.role == "assistant" else "user"
        if message.role == "tool":
            id = message.additional_kwargs["tool_call_id"]
            content.append({"type": "tool_result", "tool_use_id": id, "content": _text(message)})
        elif _text(message):
            content.append({"type": "text", "text": _text(message)})
        content += [
            {"type": "tool_use", "id": id, "name": name, "input": arguments}
            for id, name, arguments in _calls(message)
        ]
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += content
        else:
            turns.append({"role": role, "content": content})
    return {"messages": turns} | ({"system": system} if system else {})


def broken(messages: Sequence[ChatMessage]) -> list[str]:
    """The rules that a list breaks once converters of Anthropic and OpenAI made a request of it."""
    found = [f"anthropic {fault}" for fault in check_anthropic(to_anthropic(messages))]
    return found + [f"openai {fault}" for fault in check_openai(to_openai(messages))]


@pytest.fixture(scope="session")
def faults() -> Callable[[Sequence[ChatMessage]], list[str]]:
    return broken


class Scripted:
    """LlamaIndex's offline model, saying what `answer(messages, n)` gives; keeps what it is sent.

    `sent` are copies of the lists, `tools` what came with each.
    """

    def __init__(self, answer: Callable[[list[ChatMessage], int], ChatMessage | str]) -> None:
        self.answer = answer
        self.sent: list[list[ChatMessage]] = []
        self.tools: list[list[Any]] = []
        self.llm = mock.MockFunctionCallingLLM(response_generator=self._say, is_chat_model=True)

    def _say(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatMessage:
        self.sent.append([message.model_copy(deep=True) for message in messages])
        self.tools.append(list(kwargs.get("tools") or ()))
        said = self.answer(list(messages), len(self.sent) - 1)
        return ChatMessage(role="assistant", content=said) if isinstance(said, str) else said


@pytest.fixture
def scripted() -> type[Scripted]:
    if not hasattr(mock, "MockFunctionCallingLLM"):
        pytest.skip("this llama-index-core has no MockFunctionCallingLLM")
    return Scripted


def calling(*calls: tuple[str, str, dict[str, Any]], text: str = "") -> ChatMessage:
    """An assistant's message that calls tools: (id, name, arguments) each."""
    blocks: list[Any] = [TextBlock(text=text)] if text else []
    blocks += [
        types.ToolCallBlock(tool_call_id=id, tool_name=name, tool_kwargs=arguments)
        for id, name, arguments in calls
    ]
    return ChatMessage(role="assistant", blocks=blocks)


@pytest.fixture(name="calling")
def _calling() -> Callable[..., ChatMessage]:
    if not hasattr(types, "ToolCallBlock"):
        pytest.skip("this llama-index-core has no ToolCallBlock")
    return calling
