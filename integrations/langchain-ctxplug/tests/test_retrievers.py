"""CtxplugRetriever: what is recalled, as documents with all that is known of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.tools import create_retriever_tool
from langchain_ctxplug.middleware import CtxplugMiddleware
from langchain_ctxplug.retrievers import CtxplugRetriever
from langchain_ctxplug.tools import Run

from ctxplug import AgentMemory
from ctxplug.errors import InvalidNamespaceError, InvalidValueError


@pytest.fixture
def memory() -> AgentMemory:
    memory = AgentMemory.open("memory:", namespace="acme/alice", session="trip", agent="planner")
    memory.add("user", "We fly to Berlin in May.", created_at="2026-05-01", name="Alice")
    memory.add("assistant", "Noted.", created_at="2026-05-02")
    memory.add("user", "Anything else?", created_at="2026-08-31")
    memory.add("user", "国庆带女儿去成都看大熊猫，她对花生过敏。", created_at="2026-09-01")
    memory.remember(
        "Prefers aisle seats to Berlin",
        kind="preference",
        importance=0.9,
        tags=["travel"],
        metadata={"score": "mine", "source": "form"},
        origin="tool:forms",
    )
    return memory


def test_a_memory_becomes_a_document_with_all_that_is_known_of_it(memory: AgentMemory) -> None:
    [found] = CtxplugRetriever(memory, kinds="preference").invoke("seats to Berlin")
    [recalled] = memory.recall("seats to Berlin", kinds="preference")
    record = recalled.record
    assert (found.page_content, found.id) == (record.content, record.id)
    said = found.metadata
    assert said["why"].keys() == recalled.why.keys() and said["score"] > 0
    assert (said["kind"], said["tier"], said["importance"]) == ("preference", record.tier, 0.9)
    assert datetime.fromisoformat(said["created_at"]) == record.created_at
    assert (said["namespace"], said["session"], said["agent"]) == ("acme/alice", "trip", "planner")
    assert (said["origin"], said["trust"], said["made_by"]) == ("tool:forms", "tool", "remember")
    assert (said["tags"], said["sources"]) == (["travel"], [])
    assert said["metadata"] == {"score": "mine", "source": "form"}  # cannot pass for ours


def test_a_message_becomes_a_document_that_names_its_place_in_the_log(memory: AgentMemory) -> None:
    found = CtxplugRetriever(memory).invoke("女儿花生过敏，成都大熊猫")[0]
    assert "花生" in found.page_content
    assert found.metadata["kind"] == "message"
    assert found.metadata["metadata"]["version"] == 4
    assert memory.original(str(found.id))[0].text == found.page_content


def test_metadata_is_json_and_survives_a_document_s_own_dump(memory: AgentMemory) -> None:
    for document in CtxplugRetriever(memory).invoke("Berlin"):
        assert Document.model_validate_json(document.model_dump_json()) == document


def test_filters_narrow_by_constructor_and_by_call(memory: AgentMemory) -> None:
    retriever = CtxplugRetriever(memory, k=1)
    assert len(retriever.invoke("Berlin")) == 1
    assert len(retriever.invoke("Berlin", k=2)) == 2
    assert {d.metadata["kind"] for d in retriever.invoke("Berlin", k=9)} > {"preference"}
    messages = retriever.invoke("Berlin", k=9, kinds="message")
    assert {d.metadata["kind"] for d in messages} == {"message"}
    assert retriever.invoke("Berlin", with_tags="none of that") == []
    assert retriever.invoke("Berlin", with_metadata={"source": "form"})[0].metadata["tags"]
    assert retriever.invoke("Berlin", session="another") == []
    late = CtxplugRetriever(memory, since="2026-06-01", until=datetime(2026, 10, 1, tzinfo=UTC))
    assert {d.metadata["created_at"][:7] for d in late.invoke("大熊猫 Berlin")} == {
        "2026-08",
        "2026-09",
    }
    [early, *_] = late.invoke("Berlin", since="2026-01-01", until="2026-05-02")
    assert early.page_content == "We fly to Berlin in May."


def test_what_is_superseded_is_found_only_when_it_is_asked_for(memory: AgentMemory) -> None:
    old = memory.remember("住在里斯本")
    memory.remember("住在柏林", supersedes=old.id)
    retriever = CtxplugRetriever(memory)
    assert old.id not in [d.id for d in retriever.invoke("住在哪里")]
    assert old.id in [d.id for d in retriever.invoke("住在哪里", include_superseded=True)]


def test_async_gives_the_same_and_leaves_the_loop_free(memory: AgentMemory) -> None:
    retriever = CtxplugRetriever(memory, k=3)

    async def both() -> list[list[Document]]:
        return await asyncio.gather(*(retriever.ainvoke("Berlin", k=n) for n in (1, 2)))

    one, two = asyncio.run(both())
    assert [d.id for d in one] == [d.id for d in two][:1]
    assert {d.id for d in two} == {d.id for d in retriever.invoke("Berlin", k=2)}


def test_a_path_is_opened_and_namespaces_stay_apart(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="acme/陈伟") as memory:
        memory.remember("喜欢靠窗的座位", kind="preference")
    found = CtxplugRetriever(path, namespace="acme/陈伟", k=1).invoke("座位")
    assert [d.page_content for d in found] == ["喜欢靠窗的座位"]
    assert CtxplugRetriever(str(path), namespace="acme/alice").invoke("座位") == []
    with pytest.raises(InvalidNamespaceError):
        CtxplugRetriever(path, namespace="")


@pytest.mark.parametrize("by", ["functions", "middleware", "memory"])
def test_whose_memory_it_is_comes_from_the_run(tmp_path: Path, by: str) -> None:
    path = tmp_path / "agent.db"
    retriever = {
        "functions": lambda: CtxplugRetriever(path, namespace=by_user),
        "middleware": lambda: CtxplugRetriever(CtxplugMiddleware(path, namespace="acme")),
        "memory": lambda: CtxplugRetriever(
            lambda run: AgentMemory.open(path, namespace=by_user(run))
        ),
    }[by]()
    tool = create_retriever_tool(retriever, "search", "Search.")
    for user in ("alice", "陈伟"):
        with AgentMemory.open(path, namespace=("acme", user)) as memory:
            memory.remember(f"{user}：靠窗的座位")
    for user in ("alice", "陈伟"):
        config: Any = {"configurable": {"user_id": user, "thread_id": "t"}}
        mine = [f"{user}：靠窗的座位"]
        assert [d.page_content for d in retriever.invoke("座位", config)] == mine
        assert [d.page_content for d in asyncio.run(retriever.ainvoke("座位", config))] == mine
        both = retriever.with_config(run_name="both").batch(["座位", "靠窗"], config)
        assert [[d.page_content for d in found] for found in both] == [mine, mine]
        many = retriever.configurable_fields(k=ConfigurableField(id="k"))
        found = many.with_config(configurable={"k": 1}).invoke("座位", config)
        assert [d.page_content for d in found] == mine
        chain = RunnableLambda(str) | retriever
        assert [d.page_content for d in chain.invoke("座位", config)] == mine
        assert tool.invoke({"query": "座位"}, config) == mine[0]
        assert asyncio.run(tool.ainvoke({"query": "座位"}, config)) == mine[0]
    if by != "middleware":  # which without a user has a place of its own, see user_key
        with pytest.raises(KeyError):
            retriever.invoke("座位")
    else:
        assert retriever.invoke("座位") == []


def by_user(run: Run) -> tuple[str, ...]:
    return "acme", run.configurable["user_id"]


def test_mistakes_are_told(memory: AgentMemory) -> None:
    with pytest.raises(InvalidValueError, match="'kind' narrows no recall"):
        CtxplugRetriever(memory).invoke("Berlin", kind="preference")
    with pytest.raises(InvalidValueError, match="open already"):
        CtxplugRetriever(memory, namespace="acme/bob")
    with pytest.raises(ValueError, match="k"):
        CtxplugRetriever(memory, k=0)


def test_it_is_a_runnable_with_tags_of_its_own_and_shows_no_memory(memory: AgentMemory) -> None:
    retriever = CtxplugRetriever(memory, k=1, tags=["mine"], metadata={"for": "tests"})
    chain = retriever | RunnableLambda(lambda documents: documents[0].page_content)
    assert chain.batch(["aisle seats", "大熊猫"])[1].startswith("国庆")
    assert "memory" not in retriever.model_dump() and "AgentMemory" not in repr(retriever)
    assert retriever.with_config(run_name="x").invoke("aisle")[0].metadata["kind"] == "preference"
