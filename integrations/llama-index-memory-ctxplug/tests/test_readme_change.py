"""README.md's change to an existing LlamaIndex agent: few lines, and what they are good for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from changed_lines import before_and_after, changed_lines, printed
from llama_index.core import Settings
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLM

BEFORE, AFTER = before_and_after("llamaindex")

pytestmark = [  # LlamaIndex's own
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
]


def answer(messages: Sequence[ChatMessage], **_: Any) -> ChatMessage:
    """Answer from what the model is sent, and from nothing else."""
    known = any("Lisbon" in (message.content or "") for message in messages)
    return ChatMessage(role="assistant", content="In Lisbon." if known else "I cannot know.")


@pytest.fixture(autouse=True)
def model_of_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Settings, "_llm", MockFunctionCallingLLM(response_generator=answer))
    monkeypatch.chdir(tmp_path)


def test_at_most_three_lines_change() -> None:
    assert changed_lines(BEFORE, AFTER) == 3


def test_before_the_agent_forgets_between_conversations() -> None:
    assert printed(BEFORE) == "I cannot know."


def test_after_it_knows_in_another_conversation_and_in_another_process() -> None:
    assert printed(AFTER) == "In Lisbon."
    only_asked = "\n".join(line for line in AFTER.splitlines() if "moved to" not in line)
    assert printed(only_asked) == "In Lisbon."
