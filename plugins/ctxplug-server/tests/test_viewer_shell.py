"""The viewer's frame and its list of sessions: search, filters, keys, languages, themes, a key."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ctxplug_server import ServerSettings
from ctxplug_server.running import Running
from ctxplug_server.serving import Serving
from playwright.sync_api import expect

from ctxplug import AgentMemory

NARROW = {"width": 390, "height": 844}
SAID = {
    ("acme/alice", "garden"): "When do I plant the tomatoes?",
    ("acme/alice", "成都旅行"): "五月去成都，女儿对花生过敏。",
    ("acme/bob", "invoices"): "Where is invoice INV-4711?",
}


@pytest.fixture(scope="module")
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a store with three sessions, one of them completed."""
    path = tmp_path_factory.mktemp("viewed") / "agent.db"
    for (namespace, session), text in SAID.items():
        with AgentMemory.open(
            path, namespace=namespace, session=session, counter="estimate"
        ) as memory:
            memory.add("user", text)
            if session == "invoices":
                memory.session.complete()
    running = Running(Serving(path, ServerSettings(port=0)))
    running.thread = threading.Thread(target=running.run, daemon=True)
    running.thread.start()
    yield running.wait_until_ready()
    running.stop()


def listed(page: Any, count: int) -> list[str]:
    """Return what the list of sessions shows, once it shows that many."""
    rows = page.locator(".session-row")
    if count:
        rows.nth(count - 1).wait_for()
    rows.nth(count).wait_for(state="detached")
    return list(rows.all_inner_texts())


def test_sessions_of_all_namespaces_with_their_state_and_length(url: str, open_page: Any) -> None:
    page = open_page(url)
    rows = listed(page, 3)
    page.get_by_text("1 turn · ").first.wait_for()
    assert "invoices" in rows[0] and "completed" in rows[0] and "acme/bob" in rows[0]
    assert "五月去成都" in rows[1]


def test_sessions_are_searched_by_what_was_said(url: str, open_page: Any) -> None:
    page = open_page(url)
    field = page.get_by_role("searchbox", name="Search sessions")
    listed(page, 3)
    page.keyboard.press("/")
    page.keyboard.type("花生")
    assert "成都" in listed(page, 1)[0]
    assert "q=" in page.url
    field.fill("INV-4711")
    page.locator("mark", has_text="INV-4711").first.wait_for()
    field.fill("nothing of the kind")
    page.get_by_role("button", name="Show all sessions").click()
    listed(page, 3)
    assert field.input_value() == ""


@pytest.mark.slow
def test_sessions_of_a_state_and_of_a_namespace(url: str, open_page: Any) -> None:
    page = open_page(url)
    page.get_by_label("State").select_option("completed")
    assert "invoices" in listed(page, 1)[0]
    page.get_by_label("State").select_option("Any state")
    page.get_by_label("Namespace").select_option("acme/alice")
    assert all("invoices" not in row for row in listed(page, 2))
    page.reload()
    listed(page, 2)


def test_the_list_is_walked_by_keys_and_the_focus_follows_into_a_session(
    url: str, open_page: Any
) -> None:
    page = open_page(url)
    listed(page, 3)
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="成都旅行").wait_for()
    page.locator("h1:focus").wait_for()
    assert page.title() == "成都旅行 · Conversation · ctxplug"
    page.go_back()
    listed(page, 3)


@pytest.mark.slow
def test_the_skip_link_is_the_first_stop_and_leads_to_the_content(url: str, open_page: Any) -> None:
    page = open_page(url)
    listed(page, 3)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    expect(page.locator(".session-row")).to_have_count(3)


def test_language_and_theme_are_chosen_and_remembered(url: str, open_page: Any) -> None:
    page = open_page(url, locale="zh-CN", color_scheme="dark")
    page.get_by_label("搜索会话").wait_for()
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="颜色：随系统").click()
    page.get_by_role("button", name="颜色：浅色").wait_for()
    light = page.evaluate(ground)
    assert light != dark
    page.get_by_role("button", name="English").click()
    page.get_by_label("Search sessions").wait_for()
    assert page.evaluate("document.documentElement.lang") == "en"
    page.reload()
    page.get_by_label("Search sessions").wait_for()
    assert page.evaluate(ground) == light
    page.keyboard.press("t")
    page.get_by_role("button", name="Colours: dark").wait_for()
    assert page.evaluate(ground) == dark
    page.keyboard.press("l")
    page.get_by_label("搜索会话").wait_for()


def test_the_help_keeps_the_focus_and_gives_it_back(url: str, open_page: Any) -> None:
    page = open_page(url)
    listed(page, 3)
    opener = page.get_by_role("button", name="Help")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="How to use this page")
    dialog.wait_for()
    assert dialog.evaluate("node => node.contains(document.activeElement)")
    assert "in a digest" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert opener.evaluate("node => node === document.activeElement")


@pytest.mark.slow
def test_a_wrong_address_and_a_missing_session_say_so(url: str, open_page: Any) -> None:
    page = open_page(f"{url}/#/nowhere")
    page.get_by_role("heading", name="There is no such page").wait_for()
    page.goto(f"{url}/#/s/acme%2Falice/none")
    page.get_by_role("alert").get_by_text("none").wait_for()
    assert [trouble for trouble in page.troubles if "404" not in trouble] == []
    page.troubles.clear()


@pytest.mark.slow
def test_a_narrow_screen_has_its_navigation_below(url: str, open_page: Any) -> None:
    page = open_page(url, viewport=NARROW)
    listed(page, 3)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    bar = page.get_by_role("navigation", name="Main").bounding_box()
    assert bar["y"] + bar["height"] == NARROW["height"]


UNNAMED = """() => [...document.querySelectorAll('button, a[href], input, select, [role]')]
  .filter((node) => node.offsetParent !== null || node.getClientRects().length)
  .filter((node) => !/presentation|status|alert|option/.test(node.getAttribute('role')))
  .filter((node) => !(node.getAttribute('aria-label') || node.getAttribute('aria-labelledby')
    || node.labels?.length || node.textContent.trim()))
  .map((node) => node.outerHTML.slice(0, 120))"""
SMALL = """() => [...document.querySelectorAll('button, select, input:not([type=range])')]
  .map((node) => (node.closest('label') ?? node).getBoundingClientRect())
  .filter((box) => box.width && (box.height < 24 || box.width < 24)).length"""
DOUBLE = """() => { const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  return ids.filter((id, at) => ids.indexOf(id) !== at) }"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "place", ["sessions", "conversation", "window", "steps", "memories", "monitoring"]
)
def test_all_controls_have_names_and_room(
    url: str, open_page: Callable[..., Any], place: str
) -> None:
    tab = place in ("conversation", "window", "steps")
    page = open_page(f"{url}/#/s/acme%2Falice/garden/{place}" if tab else f"{url}/#/{place}")
    page.locator("main h1").wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(SMALL) == 0
    assert page.evaluate(DOUBLE) == []
    expect(page.locator("h1")).to_have_count(1)
    assert page.locator("html[lang=en] main").count() == 1


def test_a_key_is_asked_for_and_kept_in_the_tab(serve: Any, open_page: Any) -> None:
    server = serve()
    with AgentMemory.open(server.store, namespace="acme/alice", session="private") as memory:
        memory.add("user", "hello")
    _, secret = server.keys.make("viewer", namespace="acme/alice")
    page = open_page(server.url)
    page.wait_for_load_state("networkidle")  # nothing is held open while the key is typed
    field = page.get_by_label("API key")
    field.fill("ctxp_none_wrong")
    page.get_by_role("button", name="Use this key").click()
    page.get_by_text("The server does not take this key").wait_for()
    page.get_by_label("API key").fill(secret)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("hello|private")).wait_for()
    page.reload()
    page.get_by_role("link", name=re.compile("hello|private")).wait_for()
    assert all("401" in trouble for trouble in page.troubles)
    page.troubles.clear()
