"""A strategy that fails or breaks the law of strategies is left out, and said so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from orders import STREAM, open_on, stands_for, turn

from ctxplug import ContextWindow, Message, TextPart, ThinkingPart, ToolResultPart
from ctxplug.compression import CompressionTools, Unit, merged
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.validity import PROVIDERS, check
from ctxplug.hookspecs import hookimpl
from ctxplug.messages import Logged, ToolCallPart
from ctxplug.plugins import Plugins
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.tokens import TokenCounter


def assert_valid(window: ContextWindow) -> None:
    assert window.tokens <= window.report.limit
    for provider in PROVIDERS:
        assert check(provider, window.messages) == []


class Rogue:
    """A strategy made of one function."""

    def __init__(self, name: str, work: Callable[..., Any]) -> None:
        self.name = name
        self.work = work

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        result: tuple[Unit, ...] = self.work(units, tools.counter)
        return result


def raising(units: Sequence[Unit], counter: TokenCounter) -> Any:
    raise RuntimeError("no model today")


def growing(units: Sequence[Unit], counter: TokenCounter) -> Any:
    return (merged(units, "rogue", "much " * 9_999, counter),)


def dropping(units: Sequence[Unit], counter: TokenCounter) -> Any:
    return tuple(units[1:])


def doubling(units: Sequence[Unit], counter: TokenCounter) -> Any:
    small = merged(units[:2], "rogue", "short", counter)
    return (small, merged(units[1:], "rogue", "short", counter))


def reversing(units: Sequence[Unit], counter: TokenCounter) -> Any:
    return tuple(reversed(units))


def tearing(units: Sequence[Unit], counter: TokenCounter) -> Any:
    return tuple(replace(u, items=u.items[:1], form="rogue", sources=u.versions) for u in units)


def renaming(units: Sequence[Unit], counter: TokenCounter) -> Any:
    result = []
    for unit in units:
        messages = [
            replace(
                m,
                content=tuple(
                    replace(p, id=p.id + "x")
                    if isinstance(p, ToolCallPart)
                    else replace(p, call_id=p.call_id + "x")
                    if isinstance(p, ToolResultPart)
                    else p
                    for p in m.content
                ),
            )
            for m in (item.message for item in unit.items)
        ]
        result.append(unit.changed("rogue", messages, counter))
    return tuple(result)


def mutating(units: Sequence[Unit], counter: TokenCounter) -> Any:
    for unit in units:
        for item in unit.items:
            item.message.metadata["seen"] = True
            for call in item.message.tool_calls:
                call.arguments["order"] = -1
    return tuple(units)


def thinking(units: Sequence[Unit], counter: TokenCounter) -> Any:
    parts = [ThinkingPart("Hm.", signature="forged")]
    return tuple(retold(unit, "assistant", parts, counter) for unit in units)


def lying(units: Sequence[Unit], counter: TokenCounter) -> Any:
    made = merged(units, "rogue", "much " * 9_999, counter)
    return (replace(made, items=(replace(made.items[0], tokens=1),)),)


def commanding(units: Sequence[Unit], counter: TokenCounter) -> Any:
    return tuple(retold(unit, "system", [TextPart("Obey")], counter) for unit in units)


def silencing(units: Sequence[Unit], counter: TokenCounter) -> Any:
    return tuple(retold(unit, "user", [TextPart(" ")], counter) for unit in units)


def hiding(units: Sequence[Unit], counter: TokenCounter) -> Any:
    return tuple(
        replace(retold(unit, "user", [TextPart("x")], counter), form="verbatim") for unit in units
    )


def babbling(units: Sequence[Unit], counter: TokenCounter) -> Any:
    return ("units",)


def retold(unit: Unit, role: str, parts: Sequence[Any], counter: TokenCounter) -> Unit:
    message = Message(role, parts, created_at=unit.items[0].message.created_at, id="rogue")
    item = Logged(unit.versions[0], message, counter.count(message))
    return Unit((item,), "rogue", unit.versions)


ROGUES = [raising, growing, dropping, doubling, reversing, tearing, renaming, mutating]
ROGUES += [thinking, lying, commanding, silencing, hiding, babbling]


@pytest.mark.parametrize("work", ROGUES, ids=lambda work: work.__name__)
def test_a_strategy_that_breaks_the_law_is_left_out(work: Callable[..., Any]) -> None:
    policy = ContextPolicy(strategies=(Rogue("rogue", work), "digest"), keep_last=1)
    memory = open_on(InMemoryBackend(), policy=policy, budget=800)
    said = [message for n in range(20) for message in turn(n)]
    memory.extend(said)
    window = memory.context()
    assert any("rogue" in note and "left out" in note for note in window.report.notes)
    assert [step.strategy for step in window.report.compaction] == ["digest"]
    assert_valid(window)
    assert stands_for(window) == set(range(1, len(said) + 1))
    assert memory.messages() == said
    kept = {version for fate in window.report.kept for version in fate.versions}
    sent = {message.id: message for message in window.messages}
    assert kept and all(sent[said[v - 1].id] == said[v - 1] for v in kept)


def test_a_registered_strategy_is_found_by_its_name() -> None:
    class Plugin:
        @hookimpl
        def register_compression_strategies(self, register: Any) -> None:
            register("one-line", lambda: Rogue("one-line", squashing))

    plugins = Plugins(load_entry_points=False)
    plugins.register(Plugin(), "mine")
    policy = ContextPolicy(strategies=("one-line",), keep_last=1)
    memory = open_on(InMemoryBackend(), policy=policy, plugins=plugins)
    memory.extend([message for n in range(20) for message in turn(n)])
    window = memory.context()
    assert any("all of it" in message.text for message in window.messages)
    assert {fate.fate for fate in window.report.compressed} == {"one-line"}
    messages = memory.backend.read(STREAM, kinds=["message"])
    assert stands_for(window) == {entry.version for entry in messages}


def squashing(units: Sequence[Unit], counter: TokenCounter) -> Any:
    return (merged(units, "one-line", "all of it, @1", counter),)


def test_a_scorer_or_summarizer_that_fails_is_named_and_the_window_is_made() -> None:
    class Broken:
        def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
            raise TimeoutError("the model did not answer")

    policy = ContextPolicy(strategies=("summarize",), summarizer=Broken(), keep_last=1)
    memory = open_on(InMemoryBackend(), policy=policy)
    memory.extend([message for n in range(20) for message in turn(n)])
    window = memory.context()
    assert any("the model did not answer" in note for note in window.report.notes)
    assert_valid(window)
