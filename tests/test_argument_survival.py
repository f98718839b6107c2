"""The metric of benchmarks/argument_survival.py, and what it says of recorded runs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctxplug.messages import TextPart
from ctxplug.tokens.estimate import estimate

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))  # as when it is run

import argument_survival as survival

COUNTER = estimate()


def _call(n: int, arguments: dict[str, Any], result: str) -> list[dict[str, Any]]:
    function = {"name": "look_up", "arguments": json.dumps(arguments, ensure_ascii=False)}
    return [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": f"c{n}", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": f"c{n}", "name": "look_up", "content": result},
    ]


def _run() -> Any:
    rows = [
        {"订单": f"ORD-{n}000", "价格": 10_000 + n, "note": "很长的说明。" * 9} for n in range(9)
    ]
    messages = [{"role": "user", "content": "我是 user_77"}]
    for n in range(6):
        asked = {"订单": f"ORD-{n}000", "user": "user_77", "new": f"fresh-{n}", "n": 12}
        messages += _call(n, asked if n else {"user": "user_77"}, json.dumps(rows[n : n + 4]))
    return survival.run_of(messages, COUNTER)


def test_values_are_classed_by_where_they_occur() -> None:
    found = survival.classes([_run()])
    # The first call asks for the user; each later one for an order, the user and a new value.
    assert found == {"user/assistant": 6, "tool-only": 5, "nowhere": 5}


def test_argument_values_are_scalar_leaves_of_five_characters() -> None:
    arguments = {"a": "abcd", "b": "abcde", "c": [123456, {"d": True, "e": None, "f": 1.25}]}
    (call, _) = _call(0, arguments, "")
    assert list(survival.argument_values(call)) == ["abcde", "123456"]
    call["tool_calls"][0]["function"]["arguments"] = "{not json"
    assert list(survival.argument_values(call)) == []


def test_leaving_everything_loses_nothing_and_saves_nothing() -> None:
    score = survival.measure("full", survival.full_history, [_run()], COUNTER)
    assert (score.lost, score.tool_only, score.reduction) == (0, 5, 0.0)


def test_clearing_everything_loses_every_tool_only_value() -> None:
    score = survival.measure("none", survival.clear_all_but(0), [_run()], COUNTER)
    assert score.loss == 1.0 and score.recoverable == 0


def test_loss_never_falls_when_fewer_results_are_kept() -> None:
    scores = [survival.measure("k", survival.clear_all_but(k), [_run()], COUNTER) for k in range(7)]
    lost, shown = [s.lost for s in scores], [s.shown for s in scores]
    assert lost == sorted(lost, reverse=True) and lost[0] > lost[-1] == 0
    assert shown == sorted(shown)


def test_a_reference_makes_a_lost_value_recoverable_and_not_kept() -> None:
    def pointer(units: Any, tools: Any) -> Any:
        return [
            unit.changed(
                "pointer", [_pointing(i.message, tools.ref(unit)) for i in unit.items], COUNTER
            )
            for unit in units
        ]

    score = survival.measure("pointer", pointer, [_run()], COUNTER)
    assert (score.lost, score.recoverable) == (5, 5)


def _pointing(message: Any, ref: str) -> Any:
    results = tuple(replace(r, content=(TextPart(f"[see {ref}]"),)) for r in message.tool_results)
    return replace(message, content=results) if results else message


def test_our_policies_lose_nothing_of_a_chinese_run() -> None:
    for name in ("shape-tool-results", "clear-tool-results", "shape, dedupe, then clear"):
        score = survival.measure(name, survival.POLICIES[name], [_run()], COUNTER)
        assert score.lost == 0 and score.reduction > 0.1, name


@pytest.mark.slow
def test_recorded_runs_lose_under_one_percent_with_half_of_the_tokens_removed() -> None:
    file = survival.agent_runs()
    if file is None:
        pytest.skip("there is no tau-bench-dev/airline.jsonl; set CTXPLUG_DATA")
    counter = survival.default_counter()
    runs = survival.read_runs(file, counter)
    usual = survival.measure("usual", survival.clear_all_but(3), runs, counter)
    ours = survival.measure("ours", survival.shape_dedupe_clear, runs, counter)
    assert 0.3 < usual.loss < 0.6, "the usual rule loses 43 %"
    assert ours.loss < 0.01
    assert ours.reduction >= 0.5
