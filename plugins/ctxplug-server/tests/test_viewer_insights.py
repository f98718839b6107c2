"""Charts, comparison, findings, monitoring and live mode of the viewer, by clicks and keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from ctxplug import AgentMemory, Message, ToolCallPart, ToolResultPart
from ctxplug.messages import TextPart
from ctxplug.tokens.usage import Usage

MODEL = "claude-sonnet-4-5"
CALLS = 9

pytestmark = pytest.mark.slow


def called(memory: AgentMemory, n: int) -> None:
    """Make one model call, with what it used and how long it took."""
    memory.add("user", f"Question {n}: what of order ORD-{n:03}? " + "It was paid and sent. " * 12)
    window = memory.context(system="Be brief.")
    with memory.trace.span(MODEL, kind="model") as span:
        read = 40 * n
        memory.record_usage(
            Usage(
                input_tokens=window.tokens - read,
                output_tokens=20,
                cache_read_tokens=read,
                model=MODEL,
            )
        )
        span.lasted(datetime.now(UTC), 1.0 + n)
    memory.add("assistant", f"Answer {n}: order ORD-{n:03} is on its way. " * 6)


def failed(memory: AgentMemory) -> None:
    """Have a tool fail again and again."""
    for n in range(5):
        call = ToolCallPart(f"call_{n}", "run_tests", {"path": "tests"})
        memory.add(Message("assistant", [call]))
        memory.trace.record(
            "tool",
            "run_tests",
            started_at=datetime.now(UTC),
            duration=0.5,
            outcome="error",
            error="ConnectionError: no connection",
            call_id=call.id,
            arguments=call.arguments,
        )
        text = TextPart("ConnectionError: no connection")
        result = ToolResultPart(call.id, [text], name="run_tests", is_error=True)
        memory.add(Message("tool", [result], name="run_tests"))


@pytest.fixture(scope="module")
def store(stored: tuple[Path, str]) -> Path:
    """A store, which a server serves, with a traced session."""
    options: dict[str, Any] = {"namespace": "acme/alice", "counter": "estimate", "model": MODEL}
    with AgentMemory.open(stored[0], session="orders", budget=1_000, **options) as memory:
        for n in range(1, CALLS + 1):
            called(memory, n)
    with AgentMemory.open(stored[0], session="failing", budget=4_000, **options) as memory:
        called(memory, 1)
        failed(memory)
    return stored[0]


@pytest.fixture
def view(
    store: Path, stored: tuple[Path, str], open_page: Callable[..., Any]
) -> Callable[..., Any]:
    """Open a view of the session: `view("charts")`."""

    def open(tab: str, session: str = "orders", **options: Any) -> Any:
        place = f"#/s/acme%2Falice/{quote(session, safe='')}/{tab}"
        return open_page(f"{stored[1]}/{place}", **options)

    return open


def test_charts_tell_each_call_with_the_keyboard_and_as_a_table(view: Callable[..., Any]) -> None:
    page = view("charts")
    tokens = page.get_by_role("slider", name="Tokens of each call, by part")
    tokens.focus()
    page.keyboard.press("Home")
    assert re.match(r"Call 1, [\d,]+ tokens, \$0\.", tokens.get_attribute("aria-valuetext"))
    page.keyboard.press("ArrowRight")
    assert tokens.get_attribute("aria-valuetext").startswith("Call 2, ")
    assert page.locator(".plot-point").first.inner_text() == "Call 2"
    page.get_by_text("The numbers as a table").first.click()
    rows = page.locator(".figure").first.locator("tbody tr")
    expect(rows).to_have_count(CALLS)
    assert rows.nth(1).locator("th").inner_text() == "Call 2"
    totals = page.locator(".totals").inner_text()
    assert "Cached share" in totals and "$" in totals
    page.get_by_role("link", name="Conversation at this call").first.click()
    page.get_by_text(f"Turn 2 of {CALLS}").first.wait_for()


def test_charts_of_the_namespace_are_by_day_and_by_hour(view: Callable[..., Any]) -> None:
    page = view("charts")
    page.get_by_role("button", name="The whole namespace").click()
    chart = page.get_by_role("slider", name="Cost of the namespace over time")
    chart.wait_for()
    day = chart.get_attribute("aria-valuetext")
    assert re.match(r"\d{4}-\d\d-\d\d: [\d,]+ tokens, \$", day)
    page.get_by_role("button", name="Hour").click()
    page.get_by_text("the last 48 hours").wait_for()
    chart.wait_for()


def test_a_chart_follows_the_theme(view: Callable[..., Any]) -> None:
    page = view("charts", color_scheme="light")
    canvas = page.locator("canvas").first
    canvas.wait_for()
    light = canvas.screenshot()
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert canvas.screenshot() != light


def test_two_policies_are_compared_and_lead_to_the_call(view: Callable[..., Any]) -> None:
    page = view("compare")
    page.get_by_text("Nothing is sent to a model and nothing is written.").wait_for()
    page.get_by_label("Another").select_option("balanced")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("alert").get_by_text("Choose two different policies.").wait_for()
    page.get_by_label("Another").select_option("aggressive")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name=re.compile("call.* differ")).wait_for()
    totals = page.locator(".compare-totals")
    assert totals.locator("thead").inner_text().split() == ["balanced", "aggressive", "Difference"]
    assert "Tokens sent" in totals.inner_text()
    page.locator(".differing summary").last.click()
    body = page.locator(".differing-body")
    body.wait_for()
    body.get_by_role("link", name="Conversation at this call").click()
    page.get_by_text(re.compile(rf"Turn \d of {CALLS}")).first.wait_for()


def test_findings_lead_to_their_messages_and_steps(view: Callable[..., Any]) -> None:
    page = view("findings", "failing")
    found = page.locator(".finding").first
    found.wait_for()
    assert "run_tests" in found.inner_text()
    assert "What to do" in found.inner_text()
    severities = page.get_by_role("group", name="Severity").get_by_role("button")
    expect(severities).to_have_count(3)
    before = page.locator(".finding").count()
    page.get_by_role("button", name=re.compile("^.*high")).first.click()
    assert 0 < page.locator(".finding").count() <= before
    step = page.locator(".evidence", has_text="Steps").get_by_role("link").first
    name = step.inner_text()
    step.click()
    page.get_by_text(re.compile(name)).first.wait_for()
    page.go_back()
    page.locator(".evidence", has_text="Messages").get_by_role("link").first.click()
    page.get_by_text("run_tests").first.wait_for()


def test_monitoring_tells_latencies_growth_process_and_advice(
    store: Path, stored: tuple[Path, str], open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{stored[1]}/#/monitoring")
    page.get_by_text("The process").wait_for()
    page.get_by_role("button", name="Read again").click()
    page.get_by_text("GET /v1/monitoring").wait_for()
    page.get_by_text("Too little is known to say anything").wait_for()
    assert page.get_by_role("heading", name="How namespaces grow").is_visible()


@pytest.fixture
def talk(store: Path) -> Iterator[AgentMemory]:
    """An agent that talks in a session of its own."""
    options: dict[str, Any] = {"namespace": "acme/alice", "counter": "estimate"}
    with AgentMemory.open(store, session="live talk", **options) as memory:
        for n in range(40):
            memory.add("user", f"Earlier {n}. " * 20)
        yield memory


def test_live_mode_follows_until_the_reader_scrolls_up(
    talk: AgentMemory, view: Callable[..., Any]
) -> None:
    page = view("conversation", "live talk")
    page.get_by_text("Earlier 39.").first.wait_for()
    page.get_by_role("button", name="Live").click()
    page.get_by_text("following").wait_for()
    talk.add("assistant", "First, as it comes.")
    page.get_by_text("First, as it comes.").wait_for()
    page.locator(".sr[aria-live=polite]", has_text="new messages").wait_for(state="attached")
    page.locator(".paged").hover()
    page.mouse.wheel(0, -900)
    page.get_by_text("on, not scrolling").wait_for()
    for n in range(5):
        talk.add("assistant", f"Later {n}. " * 60)
    page.get_by_text("45 messages").or_(page.get_by_text("46 messages")).wait_for()
    below = "node => node.scrollHeight - node.scrollTop - node.clientHeight"
    assert page.locator(".paged").evaluate(below) > 300
    page.get_by_role("button", name="To the newest").click()
    page.get_by_text("Later 4.").first.wait_for()
    assert page.locator(".paged").evaluate(below) < 40
    page.get_by_role("button", name="Live").click()
    page.locator(".live-off").wait_for()


def test_live_mode_comes_back_after_the_connection_is_lost(
    talk: AgentMemory, view: Callable[..., Any]
) -> None:
    page = view("conversation", "live talk")
    page.get_by_role("button", name="Live").click()
    page.get_by_text("following").wait_for()
    page.route("**/v1/live?*", lambda route: route.abort())
    page.evaluate("document.querySelector('.live-toggle').click()")
    page.evaluate("document.querySelector('.live-toggle').click()")
    page.get_by_text("connection lost").wait_for()
    talk.add("assistant", "Said while nobody listened.")
    page.unroute("**/v1/live?*")
    page.get_by_text("following").wait_for()
    page.get_by_text("Said while nobody listened.").wait_for()
    page.troubles.clear()  # the browser tells of the connection
