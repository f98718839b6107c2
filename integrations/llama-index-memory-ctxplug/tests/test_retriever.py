"""CtxplugRetriever: what is recalled, as nodes with scores and all that is known of them."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ctxplug_llamaindex.retriever import CtxplugRetriever
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import RetrieverTool

from ctxplug import AgentMemory
from ctxplug.errors import InvalidNamespaceError, InvalidValueError
from ctxplug.recall.weights import RecallWeights


@pytest.fixture
def memory() -> Iterator[AgentMemory]:
    with AgentMemory.open(
        "memory:", namespace="acme/alice", session="trip", agent="planner"
    ) as memory:
        memory.add("user", "We fly to Berlin in May.", created_at="2026-05-01", name="Alice")
        memory.add("assistant", "Noted.", created_at="2026-05-02")
        memory.add("user", "Anything else?", created_at="2026-08-31")
        memory.add("user", "国庆带女儿去成都看大熊猫，她对花生过敏。", created_at="2026-09-01")
        memory.remember(
            "Prefers aisle seats to Berlin",
            kind="preference",
            importance=0.9,
            tags=["travel"],
            metadata={"score": "mine", "at": {"gates": [7]}},
            origin="tool:forms",
        )
        yield memory


def texts(found: list[NodeWithScore]) -> list[str]:
    return [one.node.get_content() for one in found]


def test_a_memory_becomes_a_node_with_all_that_is_known_of_it(memory: AgentMemory) -> None:
    [found] = CtxplugRetriever(memory, kinds="preference").retrieve("seats to Berlin")
    [recalled] = memory.recall("seats to Berlin", kinds="preference")
    record = recalled.record
    assert (found.node.node_id, found.node.get_content()) == (record.id, record.content)
    said = found.node.metadata
    assert found.score is not None and found.score > 0
    assert said["why"].keys() == recalled.why.keys()
    assert (said["kind"], said["tier"], said["importance"]) == ("preference", record.tier, 0.9)
    assert datetime.fromisoformat(said["created_at"]) == record.created_at
    assert (said["namespace"], said["session"], said["agent"]) == ("acme/alice", "trip", "planner")
    assert (said["origin"], said["trust"], said["made_by"]) == ("tool:forms", "tool", "remember")
    assert (said["tags"], said["sources"]) == (["travel"], [])
    assert said["metadata"] == {"score": "mine", "at": {"gates": [7]}}  # cannot pass for ours
    said["metadata"]["at"]["gates"].append(8)
    assert memory.memories()[0].metadata == {"score": "mine", "at": {"gates": [7]}}


def test_a_message_becomes_a_node_that_names_its_place_in_the_log(memory: AgentMemory) -> None:
    found = CtxplugRetriever(memory).retrieve("女儿花生过敏，成都大熊猫")[0]
    assert "花生" in found.node.get_content()
    assert found.node.metadata["kind"] == "message"
    assert found.node.metadata["metadata"]["version"] == 4
    assert memory.original(found.node.node_id)[0].text == found.node.get_content()


def test_a_model_is_shown_what_it_needs_and_nothing_is_embedded_but_the_words(
    memory: AgentMemory,
) -> None:
    [found] = CtxplugRetriever(memory, kinds="preference").retrieve("seats")
    shown = found.node.get_content(metadata_mode=MetadataMode.LLM)
    assert "kind: preference" in shown and "trust: tool" in shown
    assert "importance" not in shown and "why" not in shown
    assert found.node.get_content(metadata_mode=MetadataMode.EMBED) == found.node.get_content()


def test_nodes_are_json_and_survive_their_own_dump(memory: AgentMemory) -> None:
    for found in CtxplugRetriever(memory).retrieve("Berlin"):
        assert isinstance(found.node, TextNode)
        assert TextNode.model_validate_json(found.node.model_dump_json()) == found.node


def test_filters_narrow_as_they_do_for_recall(memory: AgentMemory) -> None:
    assert len(CtxplugRetriever(memory, k=1).retrieve("Berlin")) == 1
    assert len(CtxplugRetriever(memory, similarity_top_k=2).retrieve("Berlin")) == 2
    kinds = {n.node.metadata["kind"] for n in CtxplugRetriever(memory).retrieve("Berlin")}
    assert kinds == {"message", "preference"}
    assert texts(CtxplugRetriever(memory, kinds="message", k=1).retrieve("Berlin")) == [
        "We fly to Berlin in May."
    ]
    assert CtxplugRetriever(memory, tags="none of that").retrieve("Berlin") == []
    [form] = CtxplugRetriever(memory, metadata={"score": "mine"}).retrieve("Berlin")
    assert form.node.metadata["tags"] == ["travel"]
    assert CtxplugRetriever(memory, session="another").retrieve("Berlin") == []
    late = CtxplugRetriever(memory, since="2026-06-01", until=datetime(2026, 10, 1, tzinfo=UTC))
    months = {n.node.metadata["created_at"][:7] for n in late.retrieve("大熊猫 Berlin")}
    assert months == {"2026-08", "2026-09"}
    assert CtxplugRetriever(memory, weights=RecallWeights(importance=0)).retrieve("Berlin")


def test_what_is_superseded_is_found_only_when_it_is_asked_for(memory: AgentMemory) -> None:
    old = memory.remember("住在里斯本")
    memory.remember("住在柏林", supersedes=old.id)
    ids = [n.node.node_id for n in CtxplugRetriever(memory).retrieve("住在哪里")]
    assert old.id not in ids
    all_of_it = CtxplugRetriever(memory, include_superseded=True)
    assert old.id in [n.node.node_id for n in all_of_it.retrieve("住在哪里")]


def test_async_gives_the_same_and_takes_a_bundle(memory: AgentMemory) -> None:
    retriever = CtxplugRetriever(memory, k=3)
    bundle = QueryBundle("Berlin", embedding=[1.0, 0.0])

    async def both() -> list[list[NodeWithScore]]:
        return await asyncio.gather(retriever.aretrieve("Berlin"), retriever.aretrieve(bundle))

    one, two = asyncio.run(both())
    assert [n.node.node_id for n in one] == [n.node.node_id for n in two]
    assert texts(one) == texts(retriever.retrieve("Berlin"))


def test_async_recall_runs_beside_the_loop(memory: AgentMemory) -> None:
    """LlamaIndex's default runs the sync way on the loop, where nothing else goes on."""
    recall, threads = memory.recall, []

    def watched(*args: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        return recall(*args, **options)

    memory.recall = watched  # type: ignore[method-assign]
    assert asyncio.run(CtxplugRetriever(memory).aretrieve("Berlin"))
    assert threads and threading.main_thread() not in threads


def test_a_path_is_opened_and_namespaces_stay_apart(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="acme/陈伟") as memory:
        memory.remember("喜欢靠窗的座位", kind="preference")
    retriever = CtxplugRetriever(path, namespace="acme/陈伟", k=1)
    assert texts(retriever.retrieve("座位")) == ["喜欢靠窗的座位"]
    assert CtxplugRetriever(str(path), namespace="acme/alice").retrieve("座位") == []
    with pytest.raises(InvalidNamespaceError):
        CtxplugRetriever(path, namespace="")


def test_k_is_a_number_that_has_two_names(memory: AgentMemory) -> None:
    retriever = CtxplugRetriever(memory, k=3, similarity_top_k=3, verbose=True)
    retriever.similarity_top_k = 1
    assert (retriever.k, len(retriever.retrieve("Berlin"))) == (1, 1)
    for wrong in (
        {"k": 0},
        {"k": True},
        {"similarity_top_k": "3"},
        {"k": 1, "similarity_top_k": 2},
    ):
        with pytest.raises(InvalidValueError):
            CtxplugRetriever(memory, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError):
        retriever.similarity_top_k = -1


def test_a_deep_copy_keeps_the_connection(memory: AgentMemory) -> None:
    retriever = CtxplugRetriever(memory)
    assert copy.deepcopy([retriever])[0] is retriever


def test_it_serves_query_engines_chat_engines_and_tools(memory: AgentMemory) -> None:
    retriever = CtxplugRetriever(memory, k=2)
    synthesizer = get_response_synthesizer(llm=MockLLM())
    answer = RetrieverQueryEngine(retriever, synthesizer).query("Berlin seats")
    assert "Prefers aisle seats" in str(answer)
    assert {n.node.metadata["namespace"] for n in answer.source_nodes} == {"acme/alice"}
    engine = ContextChatEngine.from_defaults(
        retriever=retriever,
        llm=MockLLM(),
        memory=ChatMemoryBuffer.from_defaults(chat_history=[ChatMessage(content="hi")]),
    )
    assert "大熊猫" in str(engine.chat("成都 大熊猫").source_nodes)
    tool = RetrieverTool.from_defaults(retriever, name="search", description="Search.")
    assert "aisle seats" in asyncio.run(tool.acall(input="Berlin seats")).content
