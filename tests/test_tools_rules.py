"""Rules decide which calls run: deny beats ask beats allow, and what fails is closed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug import AgentMemory, ToolCallPart
from ctxplug.errors import InvalidNamespaceError, InvalidValueError
from ctxplug.scope import Scope
from ctxplug.tools import PendingCall, Tool, ToolPolicy, ToolRule

HERE = Scope(("acme", "alice"), "trip", "planner")


def send(to: str) -> str:
    """Send a letter."""
    return to


def look(at: str) -> str:
    """Look at something."""
    return at


SEND = Tool.of(send)
LOOK = Tool.of(look, side_effects=False)


def decided(*rules: ToolRule, tool: Tool = SEND, scope: Scope = HERE, **fields: Any) -> str:
    return ToolPolicy(rules, **fields).decide(tool, scope, {"to": "鲍勃"}).action


# -- what beats what ----------------------------------------------------------------------


@given(st.lists(st.sampled_from(["allow", "ask", "deny"]), max_size=5), st.booleans())
def test_the_strictest_rule_that_holds_decides(actions: list[Any], side_effects: bool) -> None:
    tool = SEND.evolve(side_effects=side_effects)
    strictness = ["allow", "ask", "deny"]
    expected = max(actions, key=strictness.index, default="allow")
    assert decided(*map(ToolRule, actions), tool=tool) == expected


@pytest.mark.parametrize(
    ("default", "with_effects", "without"),
    [("allow", "allow", "allow"), ("ask", "ask", "allow"), ("deny", "deny", "deny")],
)
def test_without_a_rule_the_default_decides(default: Any, with_effects: str, without: str) -> None:
    assert decided(default=default) == with_effects
    assert decided(tool=LOOK, default=default) == without
    assert decided(ToolRule("allow", "send"), default=default) == "allow"
    decision = ToolPolicy(default=default).decide(SEND, HERE, {})
    assert decision.rule is None and "default" in decision.reason


# -- what a rule is about -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "holds"),
    [
        ({"tool": "send"}, True),
        ({"tool": "s*"}, True),
        ({"tool": "S*"}, False),
        ({"tool": "look"}, False),
        ({"namespace": "acme"}, True),
        ({"namespace": "acme/alice"}, True),
        ({"namespace": ("acme", "a*")}, True),
        ({"namespace": "*/alice"}, True),
        ({"namespace": "acm"}, False),
        ({"namespace": "acme/al"}, False),
        ({"namespace": "acme/alice/phone"}, False),
        ({"namespace": "alice"}, False),
        ({"session": "trip"}, True),
        ({"session": "t*"}, True),
        ({"session": "work"}, False),
        ({"agent": "planner"}, True),
        ({"agent": "plan?"}, False),
        ({"tool": "send", "namespace": "acme", "session": "trip", "agent": "*er"}, True),
        ({"tool": "send", "namespace": "acme", "session": "trip", "agent": "other"}, False),
    ],
)
def test_a_rule_holds_where_all_that_it_names_does(fields: dict[str, Any], holds: bool) -> None:
    assert (decided(ToolRule("deny", **fields)) == "deny") is holds


def test_a_rule_for_an_agent_is_not_about_nobody() -> None:
    nobody = Scope(("acme",), "trip")
    assert decided(ToolRule("deny", agent="planner"), scope=nobody) == "allow"
    assert decided(ToolRule("deny", agent="*"), scope=nobody) == "deny"


def test_a_rule_may_depend_on_the_arguments() -> None:
    rule = ToolRule("deny", "send", when=lambda arguments: arguments["to"] == "鲍勃")
    policy = ToolPolicy((rule,))
    assert policy.decide(SEND, HERE, {"to": "鲍勃"}).action == "deny"
    assert policy.decide(SEND, HERE, {"to": "Alice"}).action == "allow"
    assert policy.decide(SEND, HERE, {"to": "鲍勃"}).rule is rule


@pytest.mark.parametrize("answer", [KeyError("to"), None, 1, "yes", object()])
def test_a_condition_that_fails_fails_closed(answer: Any) -> None:
    def when(arguments: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert decided(ToolRule("deny", when=when)) == "deny"
    assert decided(ToolRule("ask", when=when)) == "ask"
    assert decided(ToolRule("allow", when=when), default="deny") == "deny"


# -- what is refused at once --------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "maybe"},
        {"action": "deny", "tool": ""},
        {"action": "deny", "tool": None},
        {"action": "deny", "session": 3},
        {"action": "deny", "agent": ""},
        {"action": "deny", "when": "always"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        ToolRule(**fields)
    with pytest.raises(InvalidNamespaceError):
        ToolRule("deny", namespace="")


@pytest.mark.parametrize(
    "fields",
    [
        {"rules": ["deny"]},
        {"default": "maybe"},
        {"approve": True},
        {"concurrency": 0},
        {"concurrency": 1.5},
        {"per_user": -1},
        {"output_limit": 0},
        {"preview_tokens": True},
        {"retries": -1},
        {"timeout": 0},
        {"queue_timeout": float("nan")},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError) as raised:
        ToolPolicy(**fields)
    assert raised.value.path == next(iter(fields))


def test_a_memory_takes_a_policy_and_nothing_else() -> None:
    with pytest.raises(InvalidValueError, match="tool_policy"):
        AgentMemory.open("memory:", namespace="a", tool_policy="deny")  # type: ignore[arg-type]


def test_what_an_approver_is_shown() -> None:
    decision = ToolPolicy((ToolRule("ask", "send"),)).decide(SEND, HERE, {})
    pending = PendingCall(
        ToolCallPart("c1", "send", {"to": "x"}), SEND, {"to": "x"}, HERE, decision
    )
    assert (pending.id, pending.name, pending.decision.action) == ("c1", "send", "ask")
    assert "'send'" in pending.decision.reason


# -- what a model is told of --------------------------------------------------------------


def names(policy: ToolPolicy, session: str = "trip", **options: Any) -> list[str]:
    memory = AgentMemory.open(
        "memory:", namespace="acme/alice", session=session, agent="planner", tool_policy=policy
    )
    with memory:
        memory.tools.add(send)
        memory.tools.add(look, side_effects=False)
        return [tool.name for tool in memory.tools.list(**options)]


def test_a_model_is_not_told_of_what_it_cannot_use() -> None:
    assert names(ToolPolicy()) == ["look", "send"]
    assert names(ToolPolicy((ToolRule("deny", "send"),))) == ["look"]
    assert names(ToolPolicy((ToolRule("ask", "send"),))) == ["look", "send"]
    asks = ToolPolicy((ToolRule("deny", "send", when=lambda arguments: True),))
    assert names(asks) == ["look", "send"]
    only = ToolPolicy((ToolRule("allow", "look"),), default="deny")
    assert names(only) == ["look"]
    assert names(ToolPolicy(default="deny")) == []


def test_rules_for_a_session_or_an_agent_hold_there_alone() -> None:
    policy = ToolPolicy(
        (ToolRule("deny", "send", session="work"), ToolRule("deny", "look", agent="x"))
    )
    assert names(policy) == ["look", "send"]
    assert names(policy, session="work") == ["look"]
    assert names(policy, **{"agent": "x"}) == ["send"]
    memory = AgentMemory.open("memory:", namespace="acme/alice", session="trip", tool_policy=policy)
    with memory:
        memory.tools.add(send)
        assert [tool.name for tool in memory.tools.list(session="work")] == []
        assert [tool.name for tool in memory.beside(session="work").tools] == []
        assert [tool.name for tool in memory.tools] == ["send"]
