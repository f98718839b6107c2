"""LangChain's trigger and keep grammar, and where a run's ids lead."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_ctxplug import CtxplugMiddleware
from langchain_ctxplug.runtime_scope import encode_label
from langchain_ctxplug.triggers import policy_for, to_clauses
from langgraph.checkpoint.memory import InMemorySaver

from ctxplug import AgentMemory
from ctxplug.context.policy import PRESETS
from ctxplug.errors import InvalidNamespaceError, InvalidValueError
from ctxplug.scope import to_namespace, to_session

T1: dict[str, Any] = {"configurable": {"thread_id": "t1"}}


@pytest.mark.parametrize(
    ("trigger", "holds", "fails"),
    [
        (("tokens", 100), [(100, 1)], [(99, 999)]),
        (("messages", 5), [(1, 5)], [(999, 4)]),
        (("fraction", 0.5), [(500, 1)], [(499, 999)]),
        ({"tokens": 100, "messages": 5}, [(100, 5)], [(100, 4), (99, 5)]),
        ([("tokens", 100), ("messages", 5)], [(100, 1), (1, 5)], [(99, 4)]),
        ([{"tokens": 100, "messages": 5}, ("fraction", 0.9)], [(100, 5), (900, 1)], [(899, 4)]),
    ],
)
def test_a_trigger_holds_when_it_says(trigger: Any, holds: Any, fails: Any) -> None:
    clauses = to_clauses(trigger)
    assert all(clauses.holds(1_000, *case) for case in holds)
    assert not any(clauses.holds(1_000, *case) for case in fails)


@pytest.mark.parametrize(
    "trigger", [None, "tokens", ("tokens",), ("tokens", 1.5), ("fraction", 0), {"words": 1}, [[]]]
)
def test_what_is_not_of_the_grammar_is_refused(trigger: Any) -> None:
    with pytest.raises(InvalidValueError, match="trigger is"):
        to_clauses(trigger)


def test_keep_is_what_a_compaction_leaves() -> None:
    plain = PRESETS["balanced"]
    assert policy_for(plain, trigger=None, keep=("tokens", 300), budget=1_000).low == 0.3
    assert (
        policy_for(plain, trigger=None, keep=("fraction", 0.2), budget=500, window=1_000).low == 0.4
    )
    assert policy_for(plain, trigger=None, keep=("messages", 6), budget=1_000).keep_last == 6
    assert policy_for(plain, trigger=None, keep=None, budget=1_000) == plain


def run(scripted: Any, turns: int, **options: Any) -> list[list[str]]:
    model = scripted(answer=lambda m, n: AIMessage(f"answer {n} " + "word " * 40))
    memory = AgentMemory.open("memory:", namespace="acme", budget=50_000)
    agent = create_agent(
        model,
        [],
        middleware=[CtxplugMiddleware(memory, recall=False, **options)],
        checkpointer=InMemorySaver(),
    )
    for n in range(turns):
        agent.invoke({"messages": [HumanMessage(f"问题 {n} " + "word " * 40)]}, T1)
    return [[m.text for m in sent] for sent in model.sent]


def test_messages_trigger_and_keep(scripted: Any) -> None:
    sent = run(scripted, 30, trigger=("messages", 20), keep=("messages", 4))
    assert max(map(len, sent)) <= 20
    assert all(request[-1].startswith(f"问题 {n}") for n, request in enumerate(sent))
    breaks = [n for n in range(1, 30) if sent[n][: len(sent[n - 1])] != sent[n - 1]]
    assert 1 <= len(breaks) <= 6, "a trigger does not fire again until there is something new"


def test_tokens_trigger(scripted: Any) -> None:
    grown = [sum(map(len, request)) for request in run(scripted, 40)]
    cut = [
        sum(map(len, r)) for r in run(scripted, 40, trigger=("tokens", 1_500), keep=("tokens", 600))
    ]
    assert max(cut) < 10_000 < max(grown)


@given(st.text(min_size=1), st.text(min_size=1))
def test_ids_become_labels_and_never_meet(one: str, other: str) -> None:
    if not one.strip() or not other.strip():
        with pytest.raises(InvalidNamespaceError):
            encode_label(one if not one.strip() else other)
        return
    labels = encode_label(one), encode_label(other)
    assert (labels[0] == labels[1]) == (one == other)
    to_namespace(labels)
    to_session(f"{labels[0]}~g12")
    assert "." not in labels[0] and "/" not in labels[0] and "~" not in labels[0].split("~h")[0]


def test_long_ids_stay_apart() -> None:
    labels = {encode_label("x" * 500), encode_label("x" * 501), encode_label("李" * 200)}
    assert len(labels) == 3 and all(len(label.encode()) <= 96 for label in labels)
    assert encode_label(7) == "7" and encode_label("王小明") == "王小明"
    with pytest.raises(InvalidNamespaceError):
        encode_label(None)
