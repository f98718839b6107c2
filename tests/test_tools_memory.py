"""The memory tools: what an agent remembers, recalls, forgets and expands by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ctxplug import AgentMemory, Message, TextPart, ToolCallPart, ToolResultPart, hookimpl
from ctxplug.errors import ToolArgumentsError, ToolConflictError, ToolError, UnknownToolError
from ctxplug.plugins import Plugins
from ctxplug.tools.memory_tools import memory_tools

NAMES = ["expand", "forget", "recall", "remember"]


@pytest.fixture
def memory() -> Any:
    with AgentMemory.open("memory:", namespace="acme/alice", session="trip") as memory:
        yield memory


def use(memory: AgentMemory, name: str, **arguments: Any) -> str:
    tool = memory.tools.get(name)
    return str(tool.function(**tool.validated(arguments)))


def records(shown: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown.splitlines()[1:]]


# -- being there --------------------------------------------------------------------------


def test_they_are_found_by_name_and_told_to_a_model_once_added(memory: AgentMemory) -> None:
    assert set(NAMES) <= set(memory.tools.names())
    assert list(memory.tools) == []
    assert [tool.name for tool in memory.tools.add_memory_tools("recall")] == ["recall"]
    assert [tool.name for tool in memory.tools] == ["recall"]
    memory.tools.add_memory_tools()
    assert [tool.name for tool in memory.tools] == NAMES
    memory.tools.remove("forget")
    assert [tool.name for tool in memory.tools] == ["expand", "recall", "remember"]
    with pytest.raises(UnknownToolError, match="expand, forget"):
        memory.tools.add_memory_tools("erase")


def test_a_name_that_an_application_took_is_not_taken_from_it(memory: AgentMemory) -> None:
    def recall(query: str) -> str:
        """Look it up elsewhere."""
        return query

    memory.tools.add(recall)
    assert use(memory, "recall", query="x") == "x"
    with pytest.raises(ToolConflictError, match="memory tools of ctxplug"):
        memory.tools.add_memory_tools()
    assert [tool.name for tool in memory.tools] == ["recall"]


def test_their_schemas_in_the_forms_of_the_providers(memory: AgentMemory) -> None:
    memory.tools.add_memory_tools()
    for tool, other in zip(memory.tools.to_anthropic(), memory.tools.to_openai(), strict=True):
        assert tool["input_schema"] == other["function"]["parameters"]
        assert tool["input_schema"]["additionalProperties"] is False
        assert all(one["description"] for one in tool["input_schema"]["properties"].values())
        assert tool["description"] == other["function"]["description"] != ""


# -- what they do -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "query"),
    [
        ("The user lives in Lisbon.", "where does the user live?"),
        ("用户住在里斯本。", "用户住哪里"),
    ],
)
def test_what_is_remembered_is_recalled_and_can_be_forgotten(
    memory: AgentMemory, content: str, query: str
) -> None:
    said = use(memory, "remember", content=content, kind="fact", importance=0.9, tags=["home"])
    record_id = said.removeprefix("Remembered as ").rstrip(".")
    (record,) = memory.memories()
    assert (record.id, record.origin, record.tags) == (record_id, "assistant", ("home",))
    assert record.trust == "model"
    (found,) = records(use(memory, "recall", query=query, k=3))
    assert (found["id"], found["text"], found["from"]) == (record_id, content, "assistant")
    newer = use(memory, "remember", content="Lives in Porto.", replaces=[record_id])
    assert record_id not in use(memory, "recall", query=query, kinds=["fact"])
    use(memory, "forget", memory_id=newer.removeprefix("Remembered as ").rstrip("."))
    assert (
        use(memory, "recall", query="Porto")
        == "Nothing was found in memory; other words may find it."
    )


def test_expand_shows_an_original(memory: AgentMemory) -> None:
    memory.add("user", "里斯本" * 5_000)
    first = use(memory, "expand", ref="@1")
    assert "start=8000" in first
    rest = use(memory, "expand", ref="@1", start=8_000)
    assert first.partition("\n[")[0] + rest == "[user] " + "里斯本" * 5_000


def test_what_a_model_asks_for_wrongly_is_told_to_it(memory: AgentMemory) -> None:
    for name, arguments in {
        "forget": {"memory_id": "nobody"},
        "expand": {"ref": "@99"},
        "recall": {"query": "x", "since": "someday"},
        "remember": {"content": "x", "replaces": ["nobody"]},
    }.items():
        with pytest.raises(ToolError) as raised:
            use(memory, name, **arguments)
        assert raised.value.tool == name and len(str(raised.value)) > 20
    for name, arguments in {
        "recall": {"query": "x", "k": 51},
        "remember": {"content": "x", "importance": 1.5},
        "forget": {"memory_id": "x", "namespace": "acme/bob"},
        "expand": {"ref": 12},
    }.items():
        with pytest.raises(ToolArgumentsError):
            use(memory, name, **arguments)


def test_what_a_guard_refuses_is_told_and_not_stored() -> None:
    class Refuses:
        @hookimpl
        def judge_memory(self, record: Any) -> bool:
            return "密码" not in record.content

    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Refuses(), "refuses")
    with AgentMemory.open("memory:", namespace="acme/alice", plugins=plugins) as memory:
        with pytest.raises(ToolError, match="refuses"):
            use(memory, "remember", content="密码是 hunter2")
        assert memory.memories() == []


def test_the_scope_is_the_callers(memory: AgentMemory) -> None:
    """No argument of any tool leads to another namespace."""
    bob = memory.beside(namespace="acme/bob", session="trip")
    said = use(bob, "remember", content="Bob's violin is red.")
    bob.add("user", "Bob's violin is red, 小提琴.")
    for name in NAMES:
        properties = set(memory.tools.get(name).schema["properties"])
        assert not properties & {"namespace", "session", "agent", "origin", "user"}
    assert (
        use(memory, "recall", query="violin 小提琴", k=50)
        == "Nothing was found in memory; other words may find it."
    )
    for arguments in ({"memory_id": said.split()[-1].rstrip(".")}, {"memory_id": "trip@1"}):
        with pytest.raises(ToolError):
            use(memory, "forget", **arguments)
    with pytest.raises(ToolError):
        use(memory, "expand", ref="trip@1")
    assert len(records(use(bob, "recall", query="violin"))) == 2


# -- what recall shows --------------------------------------------------------------------


def test_no_text_leaves_its_line(memory: AgentMemory) -> None:
    memory.remember('Line one\n{"id": "fake"}\r\u2028"quoted" 引号”')
    shown = use(memory, "recall", query="line quoted")
    assert len(shown.split("\n")) == 2
    assert records(shown)[0]["text"].startswith("Line one\n")


def test_what_is_shown_takes_no_more_than_it_may(memory: AgentMemory) -> None:
    for number in range(30):
        memory.remember(f"Violin {number}: " + "很长的句子。 A long sentence. " * 60)
    recall = {tool.name: tool for tool in memory_tools(memory, recall_tokens=600)}["recall"]
    shown = recall.function(**recall.validated({"query": "violin", "k": 10}))
    assert memory.counter.count_text(shown) <= 700
    assert len(records(shown)) == 10
    whole = use(memory, "recall", query="violin", k=2)
    assert memory.counter.count_text(whole) <= 2_100


def test_what_the_tools_answered_is_not_recalled_again(memory: AgentMemory) -> None:
    memory.remember("The violin is red. 小提琴")
    for number in range(8):
        answer = use(memory, "recall", query="violin 小提琴", k=50)
        call = ToolCallPart(f"c{number}", "recall", {"query": "violin"})
        result = ToolResultPart(f"c{number}", (TextPart(answer),), name="recall")
        memory.extend([Message("assistant", call), Message("tool", result)])
    found = records(use(memory, "recall", query="violin 小提琴", k=5))
    assert [one["text"] for one in found if one["kind"] == "fact"] == ["The violin is red. 小提琴"]
    assert not [one for one in found if "One record a line" in one["text"]]
