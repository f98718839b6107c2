"""Scripted chat models, and what the real converters of two providers make of a request."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from ctxplug.context.validity import check_anthropic, check_openai


class Scripted(BaseChatModel):
    """A model that says what `answer(messages, n)` gives, and keeps what it was sent."""

    answer: Callable[[list[BaseMessage], int], AIMessage | Exception]
    sent: list[list[BaseMessage]] = Field(default_factory=list)
    given_tools: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=list(tools), **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.sent.append(list(messages))
        self.given_tools.append(kwargs.get("tools", []))
        said = self.answer(messages, len(self.sent) - 1)
        if isinstance(said, Exception):
            raise said
        return ChatResult(generations=[ChatGeneration(message=said)])


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture(scope="session")
def converters() -> tuple[Any, Any]:
    from langchain_anthropic import ChatAnthropic
    from langchain_openai import ChatOpenAI

    return (
        ChatAnthropic(model="claude-sonnet-4-5", api_key="none"),
        ChatOpenAI(model="gpt-4o", api_key="none"),
    )


@pytest.fixture
def faults(converters: tuple[Any, Any]) -> Callable[[Sequence[BaseMessage]], list[str]]:
    """The rules that a request breaks once Anthropic's and OpenAI's own converters made it."""
    anthropic, openai = converters

    def broken(messages: Sequence[BaseMessage]) -> list[str]:
        first = anthropic._get_request_payload(list(messages))
        second = openai._get_request_payload(list(messages))
        request = {"messages": first["messages"]}
        request |= {"system": first["system"]} if first.get("system") else {}
        found = [f"anthropic {fault}" for fault in check_anthropic(request)]
        return found + [f"openai {fault}" for fault in check_openai(second)]

    return broken


def call(id: str, name: str = "look_up", **arguments: Any) -> dict[str, Any]:
    return {"name": name, "args": arguments, "id": id, "type": "tool_call"}


@pytest.fixture(name="call")
def _call() -> Callable[..., dict[str, Any]]:
    return call
