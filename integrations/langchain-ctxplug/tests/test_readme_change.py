"""README.md's change to an existing LangChain agent: few lines, and what they are good for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import langchain.agents.factory
import pytest
from changed_lines import before_and_after, changed_lines, printed
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

BEFORE, AFTER = before_and_after("langchain")


class StandIn(BaseChatModel):
    """Answers from what it is sent, and from nothing else."""

    @property
    def _llm_type(self) -> str:
        return "stand-in"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        known = any("Lisbon" in message.text for message in messages)
        answer = AIMessage("In Lisbon." if known else "I cannot know.")
        return ChatResult(generations=[ChatGeneration(message=answer)])


@pytest.fixture(autouse=True)
def model_of_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program names a model; the one that is made of the name is the stand-in."""
    monkeypatch.setattr(langchain.agents.factory, "init_chat_model", lambda *a, **kw: StandIn())
    monkeypatch.chdir(tmp_path)


def test_at_most_three_lines_change() -> None:
    assert changed_lines(BEFORE, AFTER) == 2


def test_before_the_agent_forgets_between_threads() -> None:
    assert printed(BEFORE) == "I cannot know."


def test_after_it_knows_in_another_thread_and_in_another_process() -> None:
    assert printed(AFTER) == "In Lisbon."
    only_asked = AFTER.replace('ask("I moved to Lisbon last week.", thread="monday")\n', "")
    assert only_asked != AFTER and printed(only_asked) == "In Lisbon."
