"""A window that goes on from the last one is the one that the memory would have made."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_ctxplug import CtxplugMiddleware
from langchain_ctxplug.state_log import StateLog

from ctxplug import AgentMemory


def call(id: str | None) -> dict[str, Any]:
    return {"name": "look", "args": {"q": "问"}, "id": id, "type": "tool_call"}


def step(n: int, kind: str) -> list[BaseMessage]:
    said = AIMessage("", tool_calls=[call(f"a{n}"), call(f"b{n}")], id=f"m{n}")
    results = [ToolMessage(f"r{n}", tool_call_id=f"{x}{n}", id=f"{x}{n}") for x in "ab"]
    if kind == "swapped":
        results.reverse()
    elif kind == "missing":
        del results[0]
    elif kind == "large":
        results[0] = ToolMessage("word 字 " * 900, tool_call_id=f"a{n}", id=f"a{n}")
    elif kind == "reused":
        said = AIMessage("", tool_calls=[call("a0"), call("b0")], id=f"m{n}")
        results = [ToolMessage(f"r{n}", tool_call_id=f"{x}0", id=f"{x}{n}") for x in "ab"]
    elif kind == "thinking":
        said.content = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    elif kind == "user":
        return [AIMessage(f"so {n}", id=f"s{n}"), HumanMessage(f"and {n}?", id=f"h{n}")]
    elif kind == "system":
        results.append(SystemMessage(f"rule {n}", id=f"r{n}"))  # type: ignore[arg-type]
    elif kind == "blank":
        return [AIMessage(" ", id=f"m{n}"), HumanMessage(f"and {n}?", id=f"h{n}")]
    elif kind == "no id":
        said = AIMessage("", tool_calls=[call(None)], id=f"m{n}")
        results = [HumanMessage("hm", id=f"h{n}")]  # type: ignore[list-item]
    return [said, *results]


def run(kinds: list[str], *, plain: bool, monkeypatch: Any) -> tuple[list[list[Any]], list[Any]]:
    taken: list[bool] = []
    real = StateLog.go_on

    def go_on(self: StateLog, *args: Any) -> Any:
        self.pending.tell(wait=True)
        made = real(self, *args) if plain else None
        taken.append(made is not None)
        return made

    monkeypatch.setattr(StateLog, "go_on", go_on)
    memory = AgentMemory.open("memory:", namespace="acme", budget=4_000)
    middleware = CtxplugMiddleware(memory, recall=False)
    sent: list[list[Any]] = []

    def handler(request: ModelRequest[Any]) -> ModelResponse[Any]:
        sent.append([(m.type, m.content, getattr(m, "tool_calls", None)) for m in request.messages])
        return ModelResponse(result=[AIMessage("ok")])

    state: list[Any] = [HumanMessage("go", id="h")]
    for n, kind in enumerate(["plain", *kinds]):
        state += step(n, kind)
        request = ModelRequest(model=None, messages=list(state), state={"messages": state})  # type: ignore[arg-type]
        middleware.wrap_model_call(request, handler)
    middleware.after_agent({"messages": list(state)}, None)
    session = memory.beside(session="main")
    logged = [(m.role, m.content) for m in session.messages()]
    return sent, [logged, taken]


KINDS = ("swapped", "missing", "large", "reused", "thinking", "user", "system", "blank", "no id")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(("plain",) * 8 + KINDS), min_size=1, max_size=25))
def test_both_ways_send_and_log_the_same(kinds: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        quick = run(kinds, plain=True, monkeypatch=patch)
    with pytest.MonkeyPatch.context() as patch:
        slow = run(kinds, plain=False, monkeypatch=patch)
    assert quick[0] == slow[0]
    assert quick[1][0] == slow[1][0]


def test_a_plain_loop_does_go_on(monkeypatch: Any) -> None:
    _, (_, taken) = run(["plain"] * 10, plain=True, monkeypatch=monkeypatch)
    assert taken == [False] + [True] * 10
