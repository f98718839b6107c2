"""A report: one file that shows what the viewer shows, and neither needs nor runs more."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ctxplug_server.report import write_report
from ctxplug_server.report.bundling import bundle_script, bundle_styles
from ctxplug_server.report.packing import Packer, embedded
from hypothesis import given
from hypothesis import strategies as st
from snippets import run_snippets
from typer.testing import CliRunner

from ctxplug import AgentMemory, Message, ToolCallPart
from ctxplug.cli.app import app
from ctxplug.errors import CannotOpenError, NotFoundError
from ctxplug.messages import ThinkingPart, ToolResultPart
from ctxplug.storage import Backend
from ctxplug.tokens.usage import Usage

EVIL = (
    '</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">'
    '<!--<script><a href="javascript:window.pwned=1">x</a>\u202eRTL\u2028\u2029\'"&amp;{{}}${1}'
)
PAIR = "🙂\U00020000"


def fill(path: Path) -> None:
    """Write hostile text wherever the store takes text."""
    evil = (
        "<img src=x onerror=pwned=1>\u202e'\"&{}<!--<script>"  # labels are short, without slashes
    )
    with AgentMemory.open(
        path, namespace=f"acme {evil}", session=f"evil {evil}", agent=evil, budget=3_000
    ) as memory:
        old = memory.remember(f"{EVIL} 旧", tags=[EVIL], kind=EVIL, metadata={EVIL: EVIL, "$": 1})
        memory.remember(EVIL + PAIR, tags=["$"], supersedes=old.id)
        for n in range(4):
            memory.add(
                "user", f"{EVIL} {n} " + "订单 order " * 20, name=evil, metadata={"$x": EVIL}
            )
            with memory.trace.span(EVIL, evil=EVIL):
                window = memory.context(EVIL, system=EVIL)
            call = ToolCallPart(f"c{n}", "find", {"q": EVIL, "$": "dollar " * 20})
            memory.add(Message("assistant", [ThinkingPart(EVIL), call]))
            failed = ToolResultPart(call.id, EVIL, name=EVIL, is_error=True)
            memory.add(Message("tool", failed, name=evil))
            memory.trace.record(
                "tool", EVIL, started_at=0, duration=1.0, outcome="error", error=EVIL, run=EVIL
            )
            memory.record_usage(Usage(window.tokens, 5, model=EVIL))
            memory.add("assistant", EVIL)
        memory.session.snapshot(EVIL[:100], note=EVIL)
        memory.session.fail(EVIL)
    with AgentMemory.open(path, namespace="团队/小红", session="huge") as memory:
        memory.add("user", "巨大的消息 " + "x" * 100_000)
        memory.add("assistant", "短的回答")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "agent.db"
    fill(path)
    return path


@pytest.fixture(scope="module")
def report(store: Path) -> Path:
    """A report of it, made by the command."""
    path = store.with_name("report.html")
    done = CliRunner().invoke(app, ["report", str(store), "-o", str(path)])
    assert done.exit_code == 0, done.output
    return path


def reading(path: Path) -> Iterator[Backend]:
    with AgentMemory.open(path, namespace="acme/alice", session="unused") as memory:
        yield memory.backend


@pytest.fixture
def backend(store: Path) -> Iterator[Backend]:
    yield from reading(store)


# -- the file ----------------------------------------------------------------------------


def test_nothing_but_the_viewer_can_run_in_it(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    assert "http" not in policy
    scripts = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", text, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert rules["script-src"].split() == [hashed(one) for one in scripts]
    assert rules["style-src"].split() == [hashed(one) for one in styles]
    assert len(re.findall(r"<script", text.split('id="ctxplug-data">')[1].split("\n")[0])) == 0


def hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def test_it_loads_nothing_from_elsewhere(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    head = text.split('id="ctxplug-data">')[0]
    assert (
        re.findall(r"(?:src|href)=\"(?!data:)[^\"]*\"", re.sub(r"(?s)<script>.*", "", head)) == []
    )
    assert "@import" not in head
    assert report.stat().st_mode & 0o077 == 0  # it holds what was said


def test_its_size_is_bounded_and_it_says_what_is_missing(
    backend: Backend, report: Path, tmp_path: Path
) -> None:
    size = report.stat().st_size
    small = write_report(backend, tmp_path / "small.html", size=0.12)
    assert small.size < size
    none = write_report(backend, tmp_path / "none.html", size=0.000_001)
    assert small.size - none.size < 0.12 * 2**20 + 10_000
    assert none.sessions == 0
    assert [one["what"] for one in none.left_out].count("no_room") == 2
    assert {one["what"] for one in small.left_out} & {"calls", "no_room"}
    one = write_report(backend, tmp_path / "one.html", last=1)
    assert one.sessions == 1
    assert {"what": "sessions", "count": 1, "most": 1} in one.left_out


def test_it_is_written_whole_or_not_at_all(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(NotFoundError, match="no session 'nope'"):
        write_report(backend, path, sessions=["nope"])
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(CannotOpenError, match="cannot be written"):
        write_report(backend, tmp_path / "none" / "report.html")


def test_a_report_of_one_namespace_has_nothing_of_another(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(backend, path, namespaces=[("团队", "小红")])
    data = path.read_text(encoding="utf-8").split('id="ctxplug-data">')[1]
    assert "短的回答" in data
    assert "pwned" not in data
    write_report(backend, path, sessions=["huge"])
    assert "pwned" not in path.read_text(encoding="utf-8").split('id="ctxplug-data">')[1]


def test_the_command_says_what_it_did(store: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "r.html")
    command = ["report", str(store), "-o", output, "--last", "1"]
    told = CliRunner().invoke(app, command).output
    assert "1 session," in told
    assert "older sessions: 1" in told
    data = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert data["sessions"] == 1
    assert data["path"] == output
    wrong = CliRunner().invoke(app, ["report", str(store), "-o", output, "--lang", "fr"])
    assert wrong.exit_code != 0
    missing = CliRunner().invoke(app, ["report", str(tmp_path / "no.db"), "-o", output])
    assert missing.exit_code != 0


PAGE = Path(__file__).parents[3] / "docs" / "viewer.md"


def test_the_page_tells_every_option_and_its_snippet_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## A report")[2]
    told = set(re.findall(r"--[a-z]+", "".join(re.findall(r"^- `.*", section, re.MULTILINE))))
    shown = CliRunner().invoke(app, ["report", "--help"], env={"COLUMNS": "200"}).output
    assert told == set(re.findall(r"--[a-z]+", shown)) - {"--help"}
    monkeypatch.chdir(tmp_path)
    assert run_snippets(PAGE) == 1


# -- packing and bundling ------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.text(min_size=60),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["$", "$$", "$x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def unpacked(value: Any, shared: list[str]) -> Any:
    if isinstance(value, list):
        return [unpacked(one, shared) for one in value]
    if not isinstance(value, dict):
        return value
    if "$" in value:
        return shared[value["$"]]
    return {k[1:] if k.startswith("$") else k: unpacked(v, shared) for k, v in value.items()}


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_packed_is_the_same_unpacked_and_cannot_end_its_element(answers: Any) -> None:
    packer = Packer()
    for address, answer in answers.items():
        packer.put(address, answer)
    text = packer.text({"title": "<&>"})
    assert not set(text) & set("<>&\u2028\u2029")
    data = json.loads(text)
    found = {key: unpacked(one, data["shared"]) for key, one in data["answers"].items()}
    assert found == answers


def test_what_has_no_room_is_taken_back_whole() -> None:
    packer = Packer()
    packer.put("a", {"text": "x" * 60})
    before = packer.text({}), packer.size
    mark = packer.mark()
    packer.put("b", ["x" * 60, "y" * 60])
    packer.back_to(mark)
    assert (packer.text({}), packer.size) == before
    assert embedded("\ud800") == '"\\ud800"'


def test_modules_become_one_script(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    files = {
        "main.js": 'import whole, { a, b as c } from "./one.js";\n'
        'import * as all from "./deep/two.js";\nimport { again, a as passed } from "./three.js";\n'
        "export const told = [whole(), a, c(), all.x, all.y(), again(), passed];\n"
        'document.body.textContent = JSON.stringify(told) + "</script>";\n',
        "one.js": 'import { x } from "./deep/two.js";\nexport const a = 1;\n'
        "export function b() { return x + late(); }\nexport default function () { return 'd'; }\n"
        'import { late } from "./three.js";\n',
        "deep/two.js": "const hidden = 2, y = () => 'y';\nexport { hidden as x, y };\n",
        "three.js": 'import { a } from "./one.js";\nexport { a } from "./one.js";\n'
        "export const late = () => 10;\nexport function again() { return a + 100; }\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    script = bundle_script(tmp_path, "main.js")
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><body></body><script type=module>{script}</script>")
    told = open_page(page.as_uri()).inner_text("body")
    assert told == '["d",1,12,2,"y",101,1]</script>'


def test_styles_become_one_sheet(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "all.css").write_text('@import "deep/a.css";\n@import "b.css";\nc { top: 0 }\n')
    (tmp_path / "deep" / "a.css").write_text(
        '@import "../b.css";\na::after { content: "</style>" }'
    )
    (tmp_path / "b.css").write_text("b { left: 0 }\n")
    sheet = bundle_styles(tmp_path, "all.css")
    assert "@import" not in sheet
    assert "</style" not in sheet
    assert sheet.index("b {") < sheet.index("a::after") < sheet.index("c {")


# -- in a browser --------------------------------------------------------------------------


def links(page: Any) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        ".tabs a, [role=tablist] a", "all => all.map((one) => one.getAttribute('href'))"
    )
    return found


def test_it_opens_from_a_file_and_shows_hostile_text_as_text(
    report: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(report.as_uri())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: page.troubles.append(dialog.message))
    page.locator("a[href^='#/s/acme']").first.click()
    page.locator("main").get_by_text("onerror=").first.wait_for()
    tabs = links(page)
    assert len(tabs) >= 6
    for tab in [*tabs, "#/memories"]:
        page.evaluate("(to) => { location.hash = to }", tab)
        page.wait_for_timeout(200)
        shown = page.inner_text("main")
        assert "not in the report" not in shown, tab
        assert page.evaluate("window.pwned") is None, tab
        assert page.evaluate("document.querySelectorAll('main img, main script').length") == 0, tab
        unsafe = "[...document.links].filter((a) => !/^(file|data):/.test(a.protocol)).length"
        assert page.evaluate(unsafe) == 0, tab
    conversation = tabs[0].partition("?")[0]
    page.evaluate("(to) => { location.hash = to }", f"{conversation}?message=1")
    page.locator("aside.detail .detail-why li").first.wait_for()  # why it stands as it does
    for turn in range(3, 8):  # and at every other turn what it was then
        to = f"{conversation}?turn={turn}&message=5"
        page.evaluate("(to) => { location.hash = to }", to)
        page.get_by_text(f"Turn {turn} of 8").wait_for()
        page.wait_for_timeout(150)
        assert "not in the report" not in page.inner_text("main"), turn
        assert page.locator("aside.detail .detail-why").count() == 1, turn
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_it_opens_in_the_language_it_was_made_for(
    backend: Backend, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    path = tmp_path / "报告.html"
    write_report(backend, path, lang="zh", title="代理.db", last=1)
    page = open_page(path.as_uri())
    page.get_by_text("代理.db 的报告").wait_for()
    page.get_by_text("有 1 项未收录").click()
    page.get_by_text("1 个较早的会话").wait_for()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"


def test_its_lists_are_searched_without_a_server(
    report: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(report.as_uri())
    page.locator("input[type=search]").fill("短的回答")
    page.locator("a[href^='#/s/acme']").first.wait_for(state="detached")
    page.locator("a[href*='huge']").first.wait_for()
