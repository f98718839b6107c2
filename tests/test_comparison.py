"""What if: policies side by side, and the pictures of it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctxplug import Message, ToolCallPart, ToolResultPart
from ctxplug.cli.app import app
from ctxplug.comparison import POLICIES, Comparison, Row, compare
from ctxplug.comparison.picture import to_html, to_svg, write_png
from ctxplug.comparison.survival import tool_only
from ctxplug.errors import UnknownComponentError
from ctxplug.messages import Logged
from ctxplug.tokens.cache_meter import CacheMeter
from ctxplug.tokens.estimate import estimate

SAMPLE = Path(__file__).resolve().parents[1] / "examples" / "trip_planner.jsonl"


def said(version: int, text: str, role: str = "user", tokens: int = 10) -> Logged:
    return Logged(version, Message(role, text), tokens)


def conversation() -> list[Message]:
    messages = [Message("system", "You look orders up.")]
    for n in range(30):
        code = f"ORD-{n:04d}"
        messages += [
            Message("user", f"订单{n}在哪里？ Where is order number {n}?"),
            Message("assistant", ToolCallPart(f"c{n}", "find", {"number": n})),
            Message(
                "tool",
                ToolResultPart(f"c{n}", json.dumps({"code": code, "depot": "Porto"})),  # type: ignore[arg-type]
            ),
            Message("assistant", ToolCallPart(f"d{n}", "track", {"code": code})),
            Message("tool", ToolResultPart(f"d{n}", "on its way 在路上")),  # type: ignore[arg-type]
            Message("assistant", "It is on its way. 正在路上。"),
        ]
    return messages


@pytest.fixture(scope="module")
def result() -> Comparison:
    return compare(
        conversation(), budget=600, counter=estimate(""), policies=("balanced", *POLICIES)
    )


def row(result: Comparison, policy: str) -> Row:
    return next(one for one in result.rows if one.policy == policy)


def test_what_was_sent_before_is_read_from_the_cache() -> None:
    meter = CacheMeter()
    first, second, third = said(1, "a"), said(2, "b"), said(3, "c")
    meter.request([first, second])
    meter.request([first, second, third])
    meter.request([first, third])
    assert (meter.read, meter.written, meter.rewritten) == (30, 40, 20)
    assert meter.cost == pytest.approx(0.1 * 30 + 1.25 * 40)
    assert meter.hit_share == pytest.approx(30 / 70)


def test_a_value_is_tool_only_where_nobody_else_said_it() -> None:
    call = Message("assistant", ToolCallPart("x", "track", {"code": "ORD-0007", "who": "Alice"}))
    history = [
        said(1, "I am Alice"),
        Logged(2, Message("tool", ToolResultPart("y", "ORD-0007 for Alice")), 5),  # type: ignore[arg-type]
    ]
    assert tool_only(call, history) == ["ORD-0007"]


def test_full_history_keeps_everything_and_ours_costs_less_than_a_sliding_window(
    result: Comparison,
) -> None:
    full, ours, sliding = (row(result, n) for n in ("full history", "balanced", "sliding window"))
    assert (full.lost, full.facts, full.words) == (0, 1.0, 1.0)
    assert ours.covered == 1.0 and ours.skipped == 0
    assert ours.cost < sliding.cost and ours.hit_share > sliding.hit_share


def test_blanking_tool_results_loses_values_that_later_calls_need() -> None:
    messages = conversation()
    late = [Message("user", "Track order 0 again."), Message("assistant", ToolCallPart("z", "track", {"code": "ORD-0000"}))]  # fmt: skip # noqa: E501
    shown = compare(
        [m for m in messages if "d0" not in str(m.content)] + late,
        budget=1_500,
        counter=estimate(""),
        policies=("full history", "clear tool results"),
    )
    full, cleared = shown.rows
    assert full.needed == cleared.needed > 0
    assert full.lost == 0 < cleared.lost


def test_an_unknown_policy_is_refused_with_the_choices() -> None:
    with pytest.raises(UnknownComponentError, match="balanced"):
        compare(conversation(), budget=600, counter=estimate(""), policies=("brisk",))


def test_the_page_is_self_contained_and_well_formed(result: Comparison) -> None:
    page = to_html(result, ["balanced"], title="<b>A & B</b> 比较")
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "&lt;b&gt;A &amp; B&lt;/b&gt; 比较" in page
    HTMLParser().feed(page)
    assert all(f">{one.policy}</text>" in to_svg(result, ["balanced"]) for one in result.rows)


def test_the_picture_is_a_png(result: Comparison, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra ctxplug[plots] is not installed")
    write_png(result, ["balanced"], tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_compares_the_sample(tmp_path: Path) -> None:
    if not SAMPLE.exists():
        pytest.skip("the sample transcript is part of the checkout")
    page = tmp_path / "page.html"
    arguments = ["compare", str(SAMPLE), "--budget", "1200", "--policy", "balanced"]
    done = CliRunner().invoke(app, [*arguments, "--html", str(page), "--json"])
    assert done.exit_code == 0, done.output
    assert [one["policy"] for one in json.loads(done.stdout)["rows"]] == ["balanced"]
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_transcript_without_a_model_call_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text('[{"role": "user", "content": "hi"}]', encoding="utf-8")
    done = CliRunner().invoke(app, ["compare", str(file)])
    assert done.exit_code == 1 and "no assistant message" in done.stderr
