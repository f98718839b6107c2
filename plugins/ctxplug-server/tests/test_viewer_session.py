"""A session in the viewer: its messages and their fates, its windows and its steps, by clicks."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from ctxplug import AgentMemory, Message, ToolCallPart, ToolResultPart

NAMESPACE = "viewed/爱丽丝"
SESSION = "trip to Lisbon"
SAID = 14
HOSTILE = "<script>document.title='hit'</script><img src=x onerror=alert(1)> {{7*7}} \u202e"
TOOLS = [
    {"name": "search_places", "description": "Find places.", "input_schema": {"type": "object"}}
]
NARROW = {"width": 390, "height": 844}
TURNS, MESSAGES = 19, 38


def opened(store: Path, session: str = SESSION, **options: Any) -> AgentMemory:
    """Open a memory of the conversation's namespace."""
    options = {"budget": 900, "counter": "estimate", "agent": "planner", **options}
    return AgentMemory.open(store, namespace=NAMESPACE, session=session, **options)


def talk(memory: AgentMemory, turns: int = SAID) -> None:
    """Say so much that the budget forces compactions; every third turn runs a tool."""
    for n in range(turns):
        memory.add(
            "user",
            f"Question {n}: what does hotel H-{n} in 里斯本 cost? {HOSTILE if n == 2 else ''}",
        )
        if n % 3 == 1:
            called(memory, n)
        memory.context(system="You plan trips.", tools=TOOLS)
        memory.add(
            "assistant",
            f"Answer {n}: hotel H-{n} costs {100 + n} euros. " + "It is near the river. " * 12,
        )


def called(memory: AgentMemory, n: int) -> None:
    """Run a tool that fails at first."""
    memory.context(system="You plan trips.", tools=TOOLS)
    call = f"call-{n}"
    memory.add(
        Message("assistant", [ToolCallPart(call, "search_places", {"city": "Lisbon", "n": n})])
    )
    failed = n == 4
    memory.trace.record(
        "tool",
        "search_places",
        started_at=datetime.now(UTC),
        duration=0.25,
        outcome="error" if failed else "ok",
        error="TimeoutError: no answer in 30 s" if failed else None,
        call_id=call,
        arguments={"city": "Lisbon"},
    )
    result = ToolResultPart(call, f"place {n}: " + "Hotel by the sea, 4 stars; " * 8)
    memory.add(Message("tool", [result]))


def address(url: str, tab: str = "conversation", session: str = SESSION, **query: Any) -> str:
    """Return where a tab of the session is shown."""
    place = "/".join(quote(part, safe="") for part in ("s", NAMESPACE, session, tab))
    search = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    return f"{url}/#/{place}" + (f"?{search}" if search else "")


@pytest.fixture(scope="module")
def talked(one_server: Any) -> str:
    """The address of a server that has the conversation."""
    with opened(one_server.store) as memory:
        talk(memory)
    return str(one_server.url)


@pytest.fixture
def show(talked: str, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Show a tab of the session: `show("steps", turn=3, locale="zh-CN")`."""

    def showing(
        tab: str = "conversation", *, locale: str = "en-US", size: Any = None, **query: Any
    ) -> Any:
        options = {"locale": locale, **({"viewport": size} if size else {})}
        page = open_page(address(talked, tab, **query), **options)
        page.get_by_role("heading", name=SESSION).wait_for()
        return page

    return showing


def fates(page: Any) -> dict[str, int]:
    """Return how many messages have which fate, as the legend says."""
    page.locator(".fate-counts li").first.wait_for()
    told = page.locator(".fate-counts li").all_inner_texts()
    return {text.split("\n")[0]: int(text.split()[-1]) for text in told}


def row(page: Any, version: int) -> Any:
    """Return the row of a message."""
    return page.get_by_role("option").filter(has=page.get_by_text(f"@{version}", exact=True))


def test_each_message_has_its_fate_in_the_newest_window(show: Any) -> None:
    page = show()
    page.get_by_text(f"Turn {TURNS} of {TURNS}").wait_for()
    counts = fates(page)
    assert sum(counts.values()) == MESSAGES
    assert counts["in a digest"] > 10 and counts["the answer"] == 1
    assert "the answer" in row(page, 42).inner_text()
    assert row(page, 42).get_attribute("aria-posinset") == row(page, 42).get_attribute(
        "aria-setsize"
    )


def test_the_slider_goes_through_the_turns_by_its_keys(show: Any) -> None:
    page = show()
    slider = page.get_by_role("slider", name="Turn")
    slider.focus()
    page.keyboard.press("Home")
    page.get_by_text(f"Turn 1 of {TURNS}").wait_for()
    page.get_by_text("the first call: nothing is cached yet").wait_for()
    assert fates(page) == {"word for word": 1, "the answer": 1, "not yet said": MESSAGES - 2}
    page.keyboard.press("ArrowRight")
    page.get_by_text("same as in the call before").wait_for()
    assert fates(page)["word for word"] == 3
    assert slider.get_attribute("aria-valuetext").startswith(f"Turn 2 of {TURNS}, ")
    page.keyboard.press("End")
    page.get_by_text("in a digest").first.wait_for()
    assert "turn=" not in page.url
    page.get_by_role("button", name="Previous turn").click()
    page.wait_for_url(re.compile(rf"turn={TURNS - 1}$"))


def test_a_message_opens_with_why_and_what_was_sent_of_it(show: Any) -> None:
    page = show(turn=TURNS)
    page.get_by_text("in a digest").first.wait_for()
    list_ = page.get_by_role("listbox", name="Messages")
    list_.get_by_role("option").last.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    detail = page.get_by_role("complementary", name="Message")
    detail.get_by_text("As it is sent").wait_for()
    assert "It stands in one text with" in detail.inner_text()
    assert "earlier_conversation" in detail.inner_text()
    assert "Question 0: what does hotel H-0 in 里斯本 cost?" in detail.inner_text()
    assert "message=1" in page.url
    page.keyboard.press("ArrowDown")
    detail.get_by_role("heading", name="Message @2").wait_for()
    page.keyboard.press("Escape")
    detail.wait_for(state="detached")
    assert page.evaluate("document.activeElement.dataset.index") == "1"


@pytest.mark.slow
def test_an_address_shows_the_message_that_it_names(show: Any) -> None:
    page = show(message=5, locale="zh-CN")
    page.get_by_role("heading", name="消息 @5").wait_for()
    assert row(page, 5).get_attribute("aria-selected") == "true"
    page.get_by_text("在摘要中").first.wait_for()
    page.get_by_role("button", name="关闭").click()
    assert "message" not in page.url


@pytest.mark.slow
def test_only_what_is_not_word_for_word(show: Any) -> None:
    page = show()
    counts = fates(page)
    page.keyboard.press("c")
    page.get_by_label("Only what is not word for word").is_checked()
    page.get_by_role("option").filter(has_text="word for word").first.wait_for(state="detached")
    shown = page.get_by_role("option").filter(has_text="@").count()
    assert shown == counts["in a digest"]


@pytest.mark.slow
def test_a_fate_of_the_legend_leads_to_the_next_message_with_it(show: Any) -> None:
    page = show()
    page.get_by_role("button", name="in a digest").click()
    focused = page.locator("[role=option]:focus")
    focused.wait_for()
    assert "in a digest" in focused.inner_text()
    page.get_by_role("button", name=f"Show turn {TURNS}").click()
    page.locator("[role=option]:focus").filter(has_text=re.compile("@4[01]")).wait_for()


@pytest.mark.slow
def test_hostile_text_is_only_text(show: Any) -> None:
    page = show()
    page.get_by_text(HOSTILE[:30]).first.wait_for()
    assert page.locator("main script, main img").count() == 0
    assert page.title().startswith(SESSION)


def test_the_window_is_shown_piece_by_piece(show: Any) -> None:
    page = show("window", turn=TURNS)
    page.get_by_role("heading", name=re.compile("pieces, as a provider reads them")).wait_for()
    parts = page.get_by_role("row").all_inner_texts()
    taken = {text.split("\t")[0].strip(): int(text.split("\t")[1]) for text in parts[1:]}
    bar = page.locator(".token-parts").get_attribute("aria-label")
    tokens = int(bar.split()[0])
    assert sum(taken.values()) - taken["free"] - taken["margin"] == tokens
    page.get_by_text("a provider can take it from its cache").wait_for()
    digest = page.locator(".piece-head").filter(has_text="earlier_conversation")
    assert digest.get_attribute("aria-expanded") == "false"
    digest.click()
    page.locator(".piece-text").get_by_role("link", name="@1", exact=True).click()
    page.get_by_role("heading", name="Message @1").wait_for()
    assert f"turn={TURNS}" in page.url


@pytest.mark.slow
def test_all_texts_of_a_window_and_its_tools_can_be_read(show: Any) -> None:
    page = show("window", turn=1)
    page.get_by_role("button", name="Show all texts").click()
    page.get_by_text("input_schema").wait_for()
    page.locator(".piece-text").get_by_text("You plan trips.").wait_for()
    page.locator(".piece-text").get_by_text("Question 0: what does hotel H-0").wait_for()


def test_steps_are_filtered_and_opened(show: Any) -> None:
    page = show("steps")
    page.get_by_role("option").filter(has_text="TimeoutError").wait_for()
    whole = page.get_by_role("option").count()
    page.get_by_label("Only what failed").check()
    page.get_by_role("button", name="all").wait_for()
    page.wait_for_url(re.compile("errors=1"))
    page.get_by_role("option").nth(1).wait_for(state="detached")
    page.get_by_role("option").wait_for()
    assert whole > 20
    expect(page.get_by_role("option")).to_have_count(1)
    page.get_by_role("option").click()
    detail = page.get_by_role("complementary", name="Step")
    assert "TimeoutError: no answer in 30 s" in detail.inner_text()
    assert '"city": "Lisbon"' in detail.inner_text() and "250 ms" in detail.inner_text()
    detail.get_by_role("link", name=re.compile("turn ")).click()
    page.get_by_role("slider", name="Turn").wait_for()


@pytest.mark.slow
def test_steps_of_a_kind(show: Any) -> None:
    page = show("steps", locale="zh-CN")
    page.get_by_role("button", name="压缩").click()
    page.wait_for_url(re.compile("kind=compaction"))
    page.get_by_role("option").filter(has_text="窗口").first.wait_for(state="detached")
    page.get_by_role("option").first.wait_for()
    texts = page.get_by_role("option").all_inner_texts()
    assert texts and all("压缩" in text for text in texts)


@pytest.mark.slow
def test_digits_go_to_the_tabs_unless_shortcuts_are_off(show: Any) -> None:
    page = show()
    page.keyboard.press("3")
    page.wait_for_url(re.compile("/steps"))
    page.keyboard.press("?")
    page.get_by_label("Single letters and signs are shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.keyboard.press("1")
    assert "/steps" in page.url


@pytest.mark.slow
@pytest.mark.parametrize("tab", ["conversation", "window", "steps"])
def test_a_narrow_screen_shows_all_without_scrolling_sideways(show: Any, tab: str) -> None:
    page = show(tab, size=NARROW, locale="zh-CN")
    page.locator("[role=option], .piece").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    if tab == "window":
        return
    page.get_by_role("option").last.click()
    detail = page.get_by_role("complementary")
    box = detail.bounding_box()
    assert (box["width"], box["height"]) == (NARROW["width"], NARROW["height"])
    detail.locator("h2:focus").wait_for()
    page.keyboard.press("Escape")
    page.locator("[role=option]:focus").wait_for()


def test_a_column_stands_above_the_thumb_of_the_slider(show: Any) -> None:
    ends = show().evaluate(
        """async () => { const { placed } = await import("/parts/columns.js");
        return [2, 40, 500].map((count) => { const { left, at, wide } = placed(count, 400);
          return [left(0), left(count - 1) + wide, at(1), at(399) - count]; }); }"""
    )
    assert all(end == pytest.approx([0, 400, 0, -1], abs=8) for end in ends)
    assert [end[2:] for end in ends] == [[0, -1]] * 3
