"""A hundred turns with tools at a budget of 8,000 tokens, the second half in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anthropic
import pytest
from ctxplug_anthropic import MemoryChat

from ctxplug import AgentMemory
from ctxplug.testing.model_server import ModelServer, Reply, ServedRequest

pytestmark = pytest.mark.slow
BUDGET = 8_000
MODEL = "claude-sonnet-4-6"
CITIES = ["Oslo", "Rome", "北京", "Lima", "上海", "Kyoto", "Accra"]


def weather(city: str) -> str:
    """Say the weather of a city."""
    return f"{city}: sunny, 21 degrees, wind from the west. " * 12


def question(turn: int) -> str:
    """Return what the user says: every third turn asks for tools, every other one is Chinese."""
    if turn == 3:
        return "Remember this: the project is called Bluebird and its code is 7741."
    if turn % 3 == 0:
        here, there = CITIES[turn % 7], CITIES[(turn + 1) % 7]
        return f"Turn {turn}: weather in {here} and {there}?"
    if turn % 2:
        return f"第{turn}轮:请告诉我更多关于{CITIES[turn % 7]}的历史和文化。"
    return f"Turn {turn}: tell me more about the history of {CITIES[turn % 7]}, please."


def answer(request: ServedRequest) -> Reply:
    """Answer as a model would: tools for weather, else some lines of prose."""
    last = request.messages[-1]["content"]
    asked = last[0] if isinstance(last, list) else {"type": "text", "text": last}
    if asked["type"] == "text" and "weather in" in asked["text"]:
        here, there = asked["text"].split("weather in ")[1].split("?")[0].split(" and ")
        calls = ("weather", {"city": here}), ("weather", {"city": there})
        return Reply.tool_use(*calls, thinking=f"I need {here} and {there}.")
    return Reply.text("It is a long story, and worth telling slowly. 说来话长。" * 8)


def hold(path: str, url: str, turns: range) -> list[dict[str, Any]]:
    """Hold `turns` of the conversation in the store at `path`."""
    client = anthropic.Anthropic(api_key="test", base_url=url)
    memory = AgentMemory.open(path, namespace="test", budget=BUDGET, model="claude-sonnet-4-6")
    with memory, client:
        chat = MemoryChat(memory, client, tools=[weather], system="You are a guide.")
        replies = [
            chat.create_message("alice", "trip", question(turn), max_tokens=1_000) for turn in turns
        ]
        return [reply.to_dict() for reply in replies]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sequence[ServedRequest], int, Path]:
    """Return the requests, how many the first process made, and the store."""
    path = tmp_path_factory.mktemp("talk") / "agent.db"
    with ModelServer(answer) as server:
        hold(str(path), server.url, range(1, 51))
        first = len(server.sent)
        command = [sys.executable, __file__, str(path), server.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)) == 50
        return list(server.sent), first, path


def test_every_request_is_one_that_the_api_takes(talk: Any) -> None:
    requests, first, _ = talk
    assert [r.answer for r in requests if r.refused or r.status != 200] == []
    assert len(requests) == 100 + 33 - 1  # turns, and once more for each that used tools
    assert 60 < first < len(requests)


def test_every_request_is_within_the_budget(talk: Any) -> None:
    requests, _, _ = talk
    sizes = [total(request) for request in requests]
    assert max(sizes) <= BUDGET
    assert max(sizes) > BUDGET / 2  # the budget is used


def test_every_turn_is_stored_once(talk: Any) -> None:
    _, _, path = talk
    with AgentMemory.open(path, namespace=("test", "alice"), session="trip") as memory:
        messages = memory.messages()
        said = [message.text for message in messages if message.role == "user"]
        assert said == [question(turn) for turn in range(1, 101)]
        calls = [call.id for message in messages for call in message.tool_calls]
        results = [result.call_id for message in messages for result in message.tool_results]
        assert calls == results
        assert len(set(calls)) == len(calls) == 64
        assert len(memory.tools.history(limit=None)) == 64


def test_cache_breakpoints_are_stable(talk: Any) -> None:
    """What was marked in one request stands in the next, but where a compaction was due."""
    requests, first, path = talk
    marks = [prefixes(request) for request in requests]
    breaks = [
        i for i in range(1, len(marks)) if not whole(requests[i]).startswith(marks[i - 1][-1])
    ]
    assert all(1 <= len(one) <= 4 for one in marks)
    assert len({one[0] for one in marks}) == 1  # tools and system never change
    with AgentMemory.open(
        path, namespace=("test", "alice"), session="trip", budget=BUDGET, model=MODEL
    ) as memory:
        assert len(breaks) == memory.context().report.compactions <= 20
    assert first not in breaks  # nor does a second process break what the first had cached
    read = sum(r.usage["cache_read_input_tokens"] for r in requests if r.usage)
    assert read / sum(map(total, requests)) > 0.6


def total(request: ServedRequest) -> int:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    usage = request.usage or {}
    return sum(usage[name] for name in names)


def blocks(request: ServedRequest) -> list[tuple[str, bool]]:
    """Return each block of the prompt in order, as text, and whether it bears a mark."""
    body = request.body
    found = [("tool", block) for block in body.get("tools", [])]
    found += [("system", block) for block in body.get("system", [])]
    for message in body["messages"]:
        found += [(message["role"], block) for block in message["content"]]
    return [
        (json.dumps([kind, {k: v for k, v in block.items() if k != "cache_control"}]), marked)
        for kind, block in found
        for marked in ["cache_control" in block]
    ]


def whole(request: ServedRequest) -> str:
    return "\n".join(text for text, _ in blocks(request))


def prefixes(request: ServedRequest) -> list[str]:
    """Return what stands before each mark, and the marked block."""
    found = blocks(request)
    ends = [i for i, (_, marked) in enumerate(found) if marked]
    return ["\n".join(text for text, _ in found[: end + 1]) for end in ends]


if __name__ == "__main__":
    print(json.dumps(hold(sys.argv[1], sys.argv[2], range(51, 101))))
