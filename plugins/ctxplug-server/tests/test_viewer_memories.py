"""The memory browser of the viewer: searched, filtered, changed and forgotten by clicks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ctxplug import AgentMemory

NAMESPACE = "acme/alice"


def filled(path: Path, namespace: str) -> AgentMemory:
    """Return a memory with what is held, was held, and was said."""
    options: dict[str, Any] = {"session": "trip", "agent": "planner", "counter": "estimate"}
    memory = AgentMemory.open(path, namespace=namespace, capture="auto", **options)
    memory.add("user", "I moved from Lisbon to Porto in spring.")
    for record in memory.memories():
        memory.forget(record.id)
    old = memory.remember("The user lives in Lisbon.", kind="fact", tags=["home"])
    memory.remember(
        "The user lives in Porto.", kind="fact", importance=0.8, tags=["home"], supersedes=[old.id]
    )
    memory.remember("Prefers window seats.", kind="preference", importance=0.9, tags=["travel"])
    memory.remember("用户的女儿对花生过敏。", kind="fact", importance=1.0, tags=["健康"])
    return memory


@pytest.fixture
def memory(one_server: Any, own_namespace: str) -> Iterator[AgentMemory]:
    """Memories of a namespace of its own."""
    with filled(one_server.store, own_namespace) as memory:
        yield memory


@pytest.fixture
def url(one_server: Any, own_namespace: str) -> str:
    """The address of the memory browser on them."""
    return f"{one_server.url}/#/memories?namespace={quote(own_namespace, safe='')}"


@pytest.fixture
def page(memory: AgentMemory, url: str, open_page: Callable[..., Any]) -> Any:
    """The memory browser."""
    return open_page(url)


def texts(page: Any) -> list[str]:
    """Return the texts of the listed memories."""
    return list(page.locator(".memory-text").all_inner_texts())


def test_what_is_held_and_was_held_is_listed_the_newest_first(page: Any) -> None:
    page.get_by_text("4 memories").wait_for()
    assert texts(page)[0] == "用户的女儿对花生过敏。"
    assert page.locator(".memory-item.past").inner_text().startswith("The user lives in Lisbon.")
    page.get_by_label("What is listed").select_option("What holds now")
    page.get_by_text("3 memories").wait_for()
    assert "The user lives in Lisbon." not in texts(page)


def test_filters_by_kind_tier_and_tag(page: Any) -> None:
    page.get_by_text("4 memories").wait_for()
    page.get_by_label("Kind").select_option("preference")
    page.get_by_text("1 memories").wait_for()
    assert texts(page) == ["Prefers window seats."]
    page.get_by_label("Kind").select_option("Any kind")
    page.get_by_text("4 memories").wait_for()
    page.get_by_label("Tags").select_option("健康")
    page.get_by_text("1 memories").wait_for()
    assert texts(page) == ["用户的女儿对花生过敏。"]
    page.get_by_label("Tier").select_option("short-term")
    page.get_by_text("No memory matches.").wait_for()
    page.get_by_role("button", name="Show all memories").click()
    page.get_by_text("4 memories").wait_for()


def test_a_search_says_why_with_numbers_that_add_up(page: Any) -> None:
    page.get_by_label("Search memories").fill("where does the user live?")
    page.get_by_text("found for").wait_for()
    page.get_by_role("button", name="The user lives in Porto.").click()
    bars = page.locator(".why-bars")
    bars.wait_for()
    values = [text.replace("−", "-") for text in bars.locator("tbody td.number").all_inner_texts()]
    assert values
    assert sum(map(float, values)) == pytest.approx(
        float(bars.locator("tfoot td.number").inner_text()), abs=0.05
    )


def test_one_memory_tells_what_it_took_the_place_of(page: Any) -> None:
    page.get_by_role("button", name="The user lives in Porto.").click()
    history = page.locator(".history")
    history.get_by_text("superseded by this one").wait_for()
    history.get_by_role("link", name="The user lives in Lisbon.").click()
    page.locator(".memory-content", has_text="The user lives in Lisbon.").wait_for()
    page.locator(".history").get_by_text("took the place of this one").wait_for()
    facts = page.locator("dl.facts").inner_text()
    assert "trip" in facts and "planner" in facts and "remember()" in facts and "user" in facts


def test_a_source_leads_to_the_message_it_was_made_from(page: Any, memory: AgentMemory) -> None:
    memory.add("user", "My name is Alice Moreira.")
    (made,) = [one for one in memory.memories() if one.sources]
    page.evaluate("id => { location.hash += `&id=${id}` }", made.id)
    page.locator(".sources").get_by_role("link").click()
    page.get_by_role("heading", name="trip").wait_for()
    page.get_by_text("My name is Alice Moreira.").first.wait_for()


def test_what_was_edited_is_shown_as_the_server_holds_it(page: Any, memory: AgentMemory) -> None:
    page.get_by_role("button", name="Prefers window seats.").click()
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Text").fill("Prefers aisle seats.")
    page.get_by_label("Tags", exact=False).last.fill("travel, 座位")
    page.get_by_label("Lives").select_option("a week from now")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved. This is what the server holds now.").wait_for()
    page.locator(".memory-content", has_text="Prefers aisle seats.").wait_for()
    page.locator(".memory-item", has_text="Prefers aisle seats.").wait_for()
    assert page.locator(":focus").inner_text() == "Edit"
    (changed,) = memory.memories(kinds=["preference"])
    assert (changed.content, changed.tags) == ("Prefers aisle seats.", ("travel", "座位"))
    assert changed.expires_at is not None and changed.importance == 0.9


def test_a_refused_change_says_so_and_keeps_what_was_typed(page: Any, memory: AgentMemory) -> None:
    page.get_by_role("button", name="Prefers window seats.").click()
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Text").fill("Something else.")
    (record,) = memory.memories(kinds=["preference"])
    memory.forget(record.id)
    page.get_by_role("button", name="Save").click()
    alert = page.get_by_role("alert")
    alert.get_by_text("Not saved:").wait_for()
    assert "no memory" in alert.inner_text()
    assert page.get_by_label("Text").input_value() == "Something else."
    page.troubles.clear()  # the browser tells of the 404


def test_a_memory_is_forgotten_after_a_question(page: Any, memory: AgentMemory) -> None:
    page.get_by_role("button", name="Prefers window seats.").click()
    page.get_by_role("button", name="Forget", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert len(memory.memories(kinds=["preference"])) == 1
    page.get_by_role("button", name="Forget", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Forget it").click()
    page.get_by_text("The memory is forgotten.").wait_for()
    page.get_by_text("3 memories").wait_for()
    assert page.locator(":focus").inner_text() == "Memories"
    assert memory.memories(kinds=["preference"]) == []


def test_a_key_that_may_only_read_is_told_why_it_cannot_change(
    tmp_path: Path, serve: Callable[..., Any], open_page: Callable[..., Any]
) -> None:
    filled(tmp_path / "agent.db", NAMESPACE).close()
    server = serve()
    _, secret = server.keys.make("reader", NAMESPACE, rights="read")
    page = open_page(f"{server.url}/#/memories")
    page.get_by_label("API key").fill(secret)
    page.get_by_role("button", name="Use this key").click()
    page.get_by_role("button", name="Prefers window seats.").click()
    page.get_by_text("This key may only read.").wait_for()
    assert page.get_by_role("button", name="Edit").is_disabled()
    assert page.get_by_role("button", name="Forget", exact=True).is_disabled()
    page.troubles.clear()  # the browser tells of the 401 before the key was typed


def test_in_chinese_with_the_keyboard_alone(
    memory: AgentMemory, url: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(url, locale="zh-CN")
    page.get_by_text("4 条记忆").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("花生")
    page.get_by_text("“花生”找到 1 条").wait_for()
    for _ in range(5):  # past the four filters, to what was found
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".memory-content", has_text="用户的女儿对花生过敏。").wait_for()
    page.get_by_text("为什么找到它").wait_for()


def test_on_a_narrow_screen_the_list_and_the_memory_take_turns(
    memory: AgentMemory, url: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(url, viewport={"width": 360, "height": 740})
    page.get_by_role("button", name="Prefers window seats.").click()
    page.locator(".memory-content").wait_for()
    assert not page.locator(".memories-list").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="All memories").click()
    page.locator(".memories-list").wait_for()
    page.locator(".memory-item:focus", has_text="Prefers window seats.").wait_for()
