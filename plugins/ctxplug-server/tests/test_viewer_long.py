"""A long conversation in the viewer: what is looked at is loaded, and stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ctxplug import AgentMemory, Message

LINES = 1_500

pytestmark = pytest.mark.slow


def spoken(n: int) -> Message:
    """Return a message: the earlier ones are short, so that no guess of their height is right."""
    words = n * 7 % 90 if n > LINES * 0.45 else 0
    return Message("assistant" if n % 2 else "user", f"Line {n}. " + "words " * words)


@pytest.fixture(scope="module")
def long(one_server: Any) -> str:
    """A conversation of many pages."""
    options: dict[str, Any] = {"budget": 200_000, "counter": "estimate"}
    with AgentMemory.open(
        one_server.store, namespace="viewed/long", session="talk", **options
    ) as memory:
        memory.extend([spoken(n) for n in range(LINES)])
    return f"{one_server.url}/#/s/viewed%2Flong/talk"


def first_shown(page: Any) -> list[int]:
    """Return the index of the topmost row and how far it is from the upper edge."""
    found: list[int] = page.evaluate(
        """() => { const list = document.querySelector('.paged');
        const edge = list.getBoundingClientRect().top;
        for (const row of list.querySelectorAll('[data-index]')) {
          const box = row.getBoundingClientRect();
          if (box.bottom > edge + 1) return [Number(row.dataset.index), Math.round(box.top - edge)];
        } }"""
    )
    return found


def test_a_long_conversation_loads_what_is_looked_at(
    long: str, open_page: Callable[..., Any]
) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: "/lines" in request.url and asked.append(request.url))
    page.goto(long)
    page.get_by_text("Line 1499.").wait_for()
    page.locator(".fate-counts li").first.wait_for()
    below = "list => list.scrollHeight - list.clientHeight - list.scrollTop"
    assert page.locator(".paged").evaluate(below) < 2
    assert len(asked) <= 3
    assert page.get_by_role("option").count() <= 300
    page.get_by_role("option").last.focus()
    page.keyboard.press("Home")
    page.locator("[data-index='0']:focus").wait_for()
    assert len(asked) <= 6
    page.keyboard.press("End")
    page.locator("[data-index='1499']:focus").wait_for()


@pytest.mark.slow
def test_the_place_is_kept_while_earlier_pages_load(
    long: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(long)
    page.get_by_text("Line 1499.").wait_for()
    page.locator(".paged").evaluate("list => { list.scrollTop = list.scrollHeight / 2 }")
    page.locator(".page:not(.placeholder)").first.wait_for()
    page.wait_for_timeout(400)
    page.locator(".paged").hover()
    before = first_shown(page)[0]
    for _ in range(12):
        page.mouse.wheel(0, -500)
        page.wait_for_timeout(80)
        now = first_shown(page)[0]
        assert before - 40 <= now <= before, "the list jumped"
        before = now
    page.wait_for_timeout(300)
    assert first_shown(page)[0] == before or before - first_shown(page)[0] < 15


@pytest.mark.slow
def test_the_minimap_leads_to_a_place(long: str, open_page: Callable[..., Any]) -> None:
    page = open_page(long)
    page.get_by_text("Line 1499.").wait_for()
    strip = page.locator(".minimap").bounding_box()
    page.mouse.click(strip["x"] + 5, strip["y"] + strip["height"] / 3)
    page.locator("[data-index='499'], [data-index='500']").first.wait_for()
    page.wait_for_timeout(300)
    assert abs(first_shown(page)[0] - 500) < 40
