"""What stands behind a shortened part, for the agent itself."""

from __future__ import annotations

import pytest

from ctxplug import AgentMemory, Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.errors import NotFoundError


@pytest.fixture
def memory() -> AgentMemory:
    memory = AgentMemory.open(namespace="acme/alice", session="trip")
    memory.add("user", "订单在哪里？ Where is it?")
    memory.add(Message("assistant", [TextPart("Looking."), ToolCallPart("c", "find", {"id": 7})]))
    memory.add(Message("tool", ToolResultPart("c", (TextPart("x" * 20_000),))))
    return memory


def test_a_reference_gives_the_words_and_the_calls(memory: AgentMemory) -> None:
    shown = memory.expand("@1-2")
    assert shown == '[user] 订单在哪里？ Where is it?\n[assistant] Looking.\nfind({"id":7})'


def test_a_long_original_is_given_piece_by_piece(memory: AgentMemory) -> None:
    first = memory.expand("@3")
    assert first.endswith("[8000 of 20007 characters; go on with start=8000]")
    pieces = [memory.expand("@3", start).split("\n[")[0] for start in (0, 8_000, 16_000)]
    assert "".join(pieces) == "[tool] " + "x" * 20_000


async def test_the_twin_agrees_and_a_reference_to_nothing_is_an_error(memory: AgentMemory) -> None:
    assert await memory.aexpand("@1") == memory.expand("@1")
    for ref in ("@99", "nonsense", ""):
        with pytest.raises(NotFoundError):
            memory.expand(ref)
