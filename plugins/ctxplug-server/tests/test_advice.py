"""Advice: each piece where its evidence is, none where it is not, in two languages."""

from __future__ import annotations

import json
import re
import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ctxplug_server.monitoring.advice import (
    KINDS,
    LANGUAGES,
    Evidence,
    Reader,
    SessionSeen,
    Tip,
    advise,
    said_of,
    to_dict,
    words_en,
    words_zh,
)
from typer.testing import CliRunner

from ctxplug import AgentMemory, Message, ToolCallPart, ToolResultPart
from ctxplug.cli.app import app
from ctxplug.errors import InvalidValueError
from ctxplug.messages import TextPart
from ctxplug.records import MemoryRecord
from ctxplug.storage import ArchiveState
from ctxplug.tokens.prices import CacheRatios, Price
from ctxplug.tracing.analysis import Finding
from ctxplug.tracing.difference import Cost
from ctxplug.tracing.rerun import Rerun, Total
from ctxplug.tracing.step import Step

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NS = ("acme", "alice")


def step(kind: str, number: int = 0, **fields: Any) -> Step:
    given = {
        "id": f"{kind}-{number}",
        "trace": "t",
        "parent": None,
        "kind": kind,
        "name": "",
        "started_at": NOW - timedelta(minutes=number),
        "duration": 0.1,
        "outcome": "ok",
        "session": "trip",
    }
    return Step(**{**given, **fields})


def seen(*steps: Step, findings: tuple[Finding, ...] = (), **fields: Any) -> SessionSeen:
    given = {"session": "trip", "state": "active", "updated_at": NOW}
    return SessionSeen(**{**given, **fields}, steps=steps, findings=findings)


def evidence(*sessions: SessionSeen, **fields: Any) -> Evidence:
    given = {"namespace": "acme/alice", "now": NOW, "sessions": sessions, "listed": sessions}
    return Evidence(**{**given, **fields})


def finding(sort: str, /, *steps: str, **data: Any) -> Finding:
    return Finding(
        kind=sort, severity="info", summary="", why="", suggestion="", steps=steps, data=data
    )


def record(number: int, content: str = "", **fields: Any) -> MemoryRecord:
    text = content or f"note {number} of its own {number * 7919}"
    return MemoryRecord(
        namespace=NS, id=f"r{number}", kind="fact", content=text, **{"created_at": NOW, **fields}
    )


def of(kind: str, given: Evidence) -> Tip:
    (found,) = [tip for tip in advise(given) if tip.kind == kind]
    return found


def window(number: int, tokens: int = 500, **data: Any) -> Step:
    return step("window", number, tokens=tokens, data={"budget": 8_000, "head": number, **data})


# -- one piece for each evidence -------------------------------------------------------


def broken(part: str) -> Evidence:
    found = finding("cache_break", "window-1", part=part, times=6, tokens=90_000)
    windows = [window(n, 5_000) for n in range(20)]
    ratios, price = CacheRatios(read=0.1, write=1.25), Price(input=3.0, output=15.0)
    return evidence(seen(*windows, findings=(found,)), ratios=ratios, price=price, model="m")


@pytest.mark.parametrize("part", ["tools", "system", "edit"])
def test_a_broken_cache_tells_what_broke_it_and_what_it_cost(part: str) -> None:
    tip = of(f"cache_{'edits' if part == 'edit' else part}", broken(part))
    assert (tip.severity, tip.data["times"], tip.steps) == ("high", 6, ("window-1",))
    assert tip.saving is not None and tip.saving.basis == "counted"
    assert tip.saving.tokens == round(90_000 * 1.15)
    assert tip.saving.dollars == pytest.approx(90_000 * 1.15 * 3.0 / 1e6)


def test_a_saving_is_never_more_than_what_was_billed() -> None:
    given = broken("tools")
    calls = [step("model", n, name="m", data={"usage": {"input": 100}}) for n in range(20)]
    whole = replace(given.sessions[0], steps=(*given.sessions[0].steps, *calls))
    tip = of("cache_tools", replace(given, sessions=(whole,)))
    assert tip.saving is not None and tip.saving.tokens == 2_000


def test_a_cache_that_is_never_read_is_told_and_one_that_is_read_is_not() -> None:
    usage = {"input": 2_000, "output": 5, "cache_read": 0, "cache_write": 0}
    calls = [step("model", n, name="m", data={"usage": dict(usage)}) for n in range(12)]
    tip = of("cache_unused", evidence(seen(*calls)))
    assert tip.saving is not None and (tip.saving.basis, tip.saving.tokens) == ("at_most", 21_600)
    calls[3].data["usage"]["cache_read"] = 1  # type: ignore[index]
    assert advise(evidence(seen(*calls))) == ()


def test_a_budget_that_calls_do_not_fit_in() -> None:
    bad = window(30, needed=12_000)
    failed = replace(bad, outcome="error")
    tip = of("budget_tight", evidence(seen(*(window(n, 4_000) for n in range(5)), failed)))
    assert (tip.severity, tip.setting) == ("high", "AgentMemory.open(budget=15000)")
    assert tip.steps == ("window-30",)


def test_a_call_with_a_budget_of_its_own_says_nothing_of_the_others() -> None:
    failed = replace(window(30, needed=5_000), outcome="error")
    failed.data["budget"] = 2_000  # type: ignore[index]
    tip = of("budget_tight", evidence(seen(*(window(n, 4_000) for n in range(5)), failed)))
    assert (tip.data["budget"], tip.setting) == (2_000, "memory.context(budget=6500)")


def test_a_budget_that_nothing_comes_near() -> None:
    windows = [window(n, 700 + n) for n in range(25)]
    tip = of("budget_unused", evidence(seen(*windows)))
    assert tip.setting == "AgentMemory.open(budget=1500)"
    assert (tip.data["most"], tip.steps) == (724, ("window-24",))
    assert advise(evidence(seen(*windows[:19]))) == ()
    assert advise(evidence(seen(*windows, window(26, 2_500)))) == ()


def test_large_results_and_parts() -> None:
    tool = finding(
        "token_hot_spot", "tool-1", tool="list_orders", tokens=9_000, of=10_000, answers=3
    )
    part = finding("token_hot_spot", "window-1", part="tools", tokens=6_000, of=10_000, calls=10)
    given = evidence(seen(findings=(tool, part)), seen(findings=(tool,), session="shop"))
    tip = of("large_results", given)
    assert (tip.data["tokens"], tip.data["each"], tip.sessions) == (18_000, 3_000, ("trip", "shop"))
    assert tip.setting == "ContextPolicy(shape_over=600)"
    assert of("large_part", given).data["each"] == 600
    small = finding("token_hot_spot", "tool-1", tool="find", tokens=5_380, of=9_000, answers=10)
    less = of("large_results", evidence(seen(findings=(small,))))
    assert less.setting == "ContextPolicy(shape_over=250)"  # 600 would leave most as they are


def test_recalls_that_bring_nothing() -> None:
    recalls = [step("recall", n, data={"query": "x", "found": []}) for n in range(8)]
    good = [step("recall", n, data={"query": "y", "found": ["r1"]}) for n in range(8, 12)]
    tip = of("empty_recalls", evidence(seen(*recalls, *good)))
    assert (tip.data["empty"], tip.data["recalls"]) == (8, 12)
    assert tip.setting == 'AgentMemory.open(embedder="wordllama")'
    by_meaning = evidence(seen(*recalls, *good), embedder="wordllama")
    assert of("empty_recalls", by_meaning).setting == "memory.context()"
    assert advise(evidence(seen(*recalls[:4], *good))) == ()


def test_repeated_recalls_and_slow_steps() -> None:
    again = finding("repeated_recall", "recall-1", "recall-2", query="x", times=5, found=[])
    slow = finding("slow_step", "tool-9", kind="tool", name="fetch", duration=9.0, usual=1.5)
    given = evidence(seen(findings=(again, slow)))
    assert of("repeated_recalls", given).data["spare"] == 4
    tip = of("slow_steps", given)
    assert (tip.setting, tip.steps) == ("memory.tools.add(function, timeout=6)", ("tool-9",))
    assert "工具 'fetch'" in said_of(tip, "zh").seen
    assert tip.saving is not None and tip.saving.seconds == 7.5


@pytest.mark.parametrize(
    ("failed", "again", "setting"),
    [
        (4, 0, "memory.tools.add(function, idempotent=True)"),
        (4, 6, "ToolPolicy(retries=0)"),
        (0, 6, "ToolPolicy(timeout=60)"),
    ],
)
def test_a_tool_that_often_fails(failed: int, again: int, setting: str) -> None:
    runs = [
        step(
            "tool",
            n,
            name="fetch",
            outcome="timeout" if n < failed else "ok",
            data={"attempts": 2 if again and n < 4 else 1},
        )
        for n in range(10)
    ]
    retries = [step("retry", n, name="fetch") for n in range(again)]
    tip = of("retried_tool", evidence(seen(*runs, *retries)))
    assert (tip.setting, tip.data["failed"], tip.data["again"]) == (setting, failed, again)
    assert advise(evidence(seen(*runs[5:], *runs[5:]))) == ()


def test_a_tool_that_never_works_is_not_to_be_tried_again() -> None:
    runs = [step("tool", n, name="fetch", outcome="error") for n in range(5)]
    tip = of("retried_tool", evidence(seen(*runs)))
    assert tip.setting == "ToolPolicy(retries=0)"
    assert "does not help" in said_of(tip).change and "没有用" in said_of(tip, "zh").change


def test_memories_that_nothing_recalls() -> None:
    records = tuple(record(n) for n in range(20))
    unused = [f"r{n}" for n in range(15)]
    first = seen(findings=(finding("unused_memory", ids=unused, count=15),))
    tip = of("unused_memories", evidence(first, records=records))
    assert (tip.data["unused"], tip.data["new"]) == (15, 20)
    assert set(tip.records) == set(unused)
    other = seen(findings=(finding("unused_memory", ids=unused[:3], count=3),), session="shop")
    assert advise(evidence(first, other, records=records)) == ()  # the other used them


def test_memories_said_twice() -> None:
    texts = ["Alice likes window seats on trains", "爱丽丝喜欢靠窗的座位"]
    records = tuple(record(n, texts[n % 2]) for n in range(14))
    tip = of("duplicates", evidence(records=records))
    assert (tip.data["duplicates"], tip.data["groups"]) == (12, 2)
    assert advise(evidence(records=tuple(record(n) for n in range(50)))) == ()


def test_sessions_left_open() -> None:
    old = NOW - timedelta(days=20)
    left = [seen(session=f"s{n}", updated_at=old, state="idle") for n in range(3)]
    done = [seen(session="done", updated_at=old, state="completed")]
    tip = of("open_sessions", evidence(*left, *done))
    assert (tip.sessions, tip.data["days"]) == (("s0", "s1", "s2"), 20)
    assert "expire_after=604800" in tip.setting
    assert advise(evidence(*left[:2], *done)) == ()


def test_maintenance_that_is_due() -> None:
    gone = tuple(record(n, expires_at=NOW - timedelta(hours=1)) for n in range(3))
    tip = of("not_maintained", evidence(records=gone))
    assert (tip.data["expired"], tip.data["days"]) == (3, None)
    lately = evidence(records=gone, maintained_at=NOW - timedelta(days=1))
    assert advise(lately) == ()
    late = evidence(records=gone, maintained_at=NOW - timedelta(days=9))
    assert "9 days ago" in said_of(of("not_maintained", late)).seen


def test_history_that_could_be_archived() -> None:
    cold = seen(session="old", updated_at=NOW - timedelta(days=60), state="completed", entries=1500)
    tip = of("not_archived", evidence(cold, archive=ArchiveState(10, 0, 1, 1_000, 250)))
    assert (tip.data["entries"], tip.saving and tip.saving.share) == (1_500, 0.75)
    assert advise(evidence(cold)) == ()  # a store without an archive
    assert advise(evidence(replace(cold, archived=1_000), archive=ArchiveState())) == ()


def rerun(policy: str, before: float, after: float, failed: int = 0) -> Rerun:
    totals = [
        Total(10, fails, 100, Cost(plain=plain, dollars=plain / 1e6), 0)
        for plain, fails in ((before, 0), (after, failed))
    ]
    return Rerun("trip", {"policy": policy}, (), totals[0], totals[1])


def test_a_policy_that_would_be_cheaper() -> None:
    found = (rerun("conservative", 1_000, 800), rerun("aggressive", 1_000, 600))
    tip = of("cheaper_policy", evidence(reruns=found))
    assert tip.setting == 'AgentMemory.open(policy="aggressive")'
    assert tip.saving is not None
    assert (tip.saving.basis, tip.saving.tokens, tip.saving.share) == ("made_again", 400, 0.4)
    for no_better in (rerun("x", 1_000, 950), rerun("x", 1_000, 500, failed=1), rerun("x", 0, 0)):
        assert advise(evidence(reruns=(no_better,))) == ()


def test_nothing_is_said_of_nothing() -> None:
    assert advise(evidence()) == ()
    assert advise(evidence(seen(*(window(n, 5_000) for n in range(40))))) == ()


# -- words -----------------------------------------------------------------------------

TABLES = ("SEEN", "WHY", "CHANGE", "HOW", "SAVED", "NOTES", "TITLES", "LABELS")


def fields_of(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("table", TABLES)
def test_both_languages_say_the_same_of_the_same(table: str) -> None:
    english, chinese = getattr(words_en, table), getattr(words_zh, table)
    assert english.keys() == chinese.keys()
    for key in english:
        assert fields_of(english[key]) == fields_of(chinese[key]), key


@pytest.mark.parametrize("words", [words_en, words_zh])
def test_every_kind_has_words(words: ModuleType) -> None:
    for table in (words.SEEN, words.WHY, words.CHANGE, words.TITLES):
        assert set(table) == set(KINDS)


def test_advice_is_said_in_whole_sentences() -> None:
    given = broken("system")
    tip = of("cache_system", given)
    english, chinese = (said_of(tip, lang) for lang in LANGUAGES)
    assert english.seen.startswith("The system prompt changed 6 times in 20 calls")
    assert "90,000" in english.seen and "90,000" in chinese.seen
    assert re.search("[\u4e00-\u9fff]", chinese.change) and tip.setting in chinese.change
    assert english.saving.startswith("It would have saved 103,500 plain input tokens, $0.31")
    with pytest.raises(InvalidValueError, match="lang is one of en, zh"):
        said_of(tip, "fr")


# -- from a store ----------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of an agent that wastes: a system prompt with the time, big results, duplicates."""
    path = tmp_path / "agent.db"
    memory = AgentMemory.open(path, namespace=NS, session="trip", budget=40_000, model="gpt-4o")
    for n in range(10):
        memory.add("user", f"question {n} 问题 " + "word " * 20)
        memory.context(system=f"It is {n} o'clock. " + "Follow the rules. " * 40)
        memory.add(Message("assistant", ToolCallPart(f"c{n}", "list_orders", {"page": n})))
        rows = " ".join(f"order-{n}-{row} to {row * 7919 % 1000}" for row in range(150))
        memory.add(Message("tool", ToolResultPart(f"c{n}", (TextPart(rows),))))
        memory.add("assistant", f"answer {n}")
    for _ in range(6):
        memory.remember("Alice likes window seats on trains")
    memory.close()
    return path


def test_a_store_is_read_without_a_trace_of_it(store: Path) -> None:
    memory = AgentMemory.open(store, namespace=NS, session="trip")
    before = [(one.session, one.version) for one in memory.backend.sessions(NS)]
    given = Reader(memory.backend, reruns=1).read(NS)
    tips = {tip.kind: tip for tip in advise(given)}
    assert {"cache_system", "large_results", "duplicates"} <= tips.keys()
    assert tips["large_results"].data["tool"] == "list_orders"
    assert set(tips["cache_system"].steps) <= {one.id for one in memory.trace.steps()}
    assert {run.settings["policy"] for run in given.reruns} == {"aggressive", "conservative"}
    assert [(one.session, one.version) for one in memory.backend.sessions(NS)] == before
    memory.close()


def test_advice_of_an_agent_rests_on_what_it_may_read(store: Path) -> None:
    owner = AgentMemory.open(store, namespace=NS)
    owner.access.grant("boss", ["read"], session="trip")
    given = Reader(owner.backend, agent="planner", reruns=1).read(NS)
    assert "trip" not in str(to_dict(advise(given), given))
    owner.close()


@pytest.mark.parametrize(("lang", "word"), [("en", "breaks the cache"), ("zh", "破坏了缓存")])
def test_the_command_says_it(store: Path, lang: str, word: str) -> None:
    run = CliRunner().invoke(app, ["advise", str(store), "-n", "acme/alice", "--lang", lang])
    assert run.exit_code == 0, run.output
    assert word in run.output and "Section(" in run.output
    told = CliRunner().invoke(app, ["advise", str(store), "--json", "--lang", lang])
    data = json.loads(told.output)
    assert {"cache_system", "duplicates"} <= {one["kind"] for one in data["advice"]}
    assert all(one["seen"] and one["why"] and one["change"] for one in data["advice"])


def test_the_command_refuses_what_it_cannot_do(store: Path) -> None:
    for arguments in (["--lang", "fr"], ["-n", "nobody"]):
        run = CliRunner().invoke(app, ["advise", str(store), *arguments])
        assert run.exit_code == 1


def test_the_server_gives_it_too(serve: Any, store: Path) -> None:
    server = serve(store=store)
    with server.client() as client:
        told = client.get("/v1/advice", params={"namespace": "acme/alice", "lang": "zh"}).json()
        assert "cache_system" in {one["kind"] for one in told["advice"]}
        assert told["lang"] == "zh" and "系统提示" in told["advice"][0]["seen"]
        refused = client.get("/v1/advice", params={"namespace": "acme/alice", "lang": "fr"})
        assert refused.status_code == 422
