"""The Anthropic memory tool on ctxplug storage, run by the SDK's own tool runner."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic.lib.tools import ToolError as SdkToolError
from anthropic.tools import BetaLocalFilesystemMemoryTool
from ctxplug_anthropic import AsyncMemoryTool, MemoryFiles, MemoryTool
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, hookimpl
from ctxplug.errors import ToolError
from ctxplug.plugins import Plugins
from ctxplug.scope import Scope
from ctxplug.testing import ModelServer, Reply

NOTE = "/memories/旅行/notes.md"


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[AgentMemory]:
    with AgentMemory.open(tmp_path / "agent.db", namespace="acme/alice", agent="guide") as memory:
        yield memory


def run(tool: MemoryTool, command: str, **arguments: Any) -> str:
    return tool.call({"command": command, **arguments})


# -- as the model uses it ----------------------------------------------------------

COMMANDS: list[dict[str, Any]] = [
    {"command": "view", "path": "/memories"},
    {"command": "create", "path": NOTE, "file_text": "Oslo\n奥斯陆\n"},
    {"command": "str_replace", "path": NOTE, "old_str": "Oslo", "new_str": "Bergen"},
    {"command": "insert", "path": NOTE, "insert_line": 1, "insert_text": "At 08:40.\n"},
    {"command": "view", "path": NOTE},
    {"command": "create", "path": NOTE, "file_text": "again"},
    {"command": "view", "path": "/memories/../secrets"},
    {"command": "rename", "old_path": "/memories/旅行", "new_path": "/memories/done"},
    {"command": "view", "path": "/memories"},
    {"command": "delete", "path": "/memories/done/notes.md"},
]


def script() -> list[Reply]:
    return [*(Reply.tool_use(("memory", command)) for command in COMMANDS), Reply.text("Noted.")]


def results(server: ModelServer) -> list[tuple[str, bool]]:
    messages = server.sent[-1].messages
    blocks = [b for m in messages if m["role"] == "user" and m["content"] for b in m["content"]]
    found = [b for b in blocks if isinstance(b, dict) and b["type"] == "tool_result"]
    return [(_text(b["content"]), bool(b.get("is_error"))) for b in found]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


def check(server: ModelServer, files: MemoryFiles) -> None:
    told = results(server)
    assert [failed for _, failed in told] == [i in (5, 6) for i in range(len(COMMANDS))]
    assert told[4][0].endswith("1\tBergen\n     2\tAt 08:40.\n     3\t奥斯陆\n     4\t")
    assert "/memories/done/notes.md" in told[8][0] and "旅行" not in told[8][0]
    assert files.paths() == []
    texts = [one.text for one in files.versions("/memories/done/notes.md")]
    assert texts == ["Oslo\n奥斯陆\n", "Bergen\n奥斯陆\n", "Bergen\nAt 08:40.\n奥斯陆\n"]
    tools = [request.body["tools"] for request in server.sent]
    assert tools[0] == [{"type": "memory_20250818", "name": "memory"}]


REQUEST: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": "Remember my trip."}],
}


def test_the_sdks_runner_uses_it(memory: AgentMemory) -> None:
    tool = MemoryTool(memory)
    with ModelServer(script()) as server:
        with anthropic.Anthropic(base_url=server.url, api_key="test") as client:
            last = client.beta.messages.tool_runner(tools=[tool], **REQUEST).until_done()
        assert last.stop_reason == "end_turn"
        check(server, tool.files)


async def test_the_sdks_async_runner_uses_it(memory: AgentMemory) -> None:
    tool = AsyncMemoryTool(memory)
    with ModelServer(script()) as server:
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="test") as client:
            await client.beta.messages.tool_runner(tools=[tool], **REQUEST).until_done()
        check(server, tool.files)
    await tool.call({"command": "create", "path": NOTE, "file_text": "x"})
    assert await tool.clear_all_memory() == "All memory cleared"
    assert tool.files.paths() == []


def test_it_is_a_tool_of_the_registry_too(memory: AgentMemory) -> None:
    memory.tools.add(MemoryTool(memory).as_tool())
    made = memory.tools.call("memory", COMMANDS[1])
    refused = memory.tools.call("memory", {"command": "view", "path": "/memories/../x"})
    assert (made.outcome, refused.outcome) == ("ok", "error")
    assert "'..'" in str(refused)
    assert MemoryFiles(memory).read(NOTE) == "Oslo\n奥斯陆\n"


# -- paths -------------------------------------------------------------------------

OUTSIDE = [
    "",
    "/",
    "/etc/passwd",
    "memories/a",
    "/memoriesX/a",
    "/memories/..",
    "/memories/../etc",
    "/memories/a/../../b",
    "/memories/./a",
    "/memories//a",
    "/memories/a\\..\\b",
    "/memories/%2e%2e/a",
    "/memories/%2E%2e%2fa",
    "/memories/a\x00b",
    "/memories/a\nb",
    "/memories/\ud800",
    "/memories/" + "深" * 400,
    "/memories" + "/a" * 20,
    7,
    None,
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_could_lead_outside_is_refused(memory: AgentMemory, path: Any) -> None:
    tool = MemoryTool(memory)
    before = memory.backend.sessions(memory.scope.namespace)
    for command, rest in (
        ("view", {}),
        ("create", {"file_text": "x"}),
        ("str_replace", {"old_str": "x", "new_str": "y"}),
        ("insert", {"insert_line": 0, "insert_text": "x"}),
        ("delete", {}),
    ):
        with pytest.raises(SdkToolError):
            run(tool, command, path=path, **rest)
    with pytest.raises(SdkToolError):
        run(tool, "rename", old_path="/memories/a", new_path=path)
    assert memory.backend.sessions(memory.scope.namespace) == before


def test_one_name_in_two_unicode_forms_is_one_file(memory: AgentMemory) -> None:
    files = MemoryFiles(memory)
    files.create("/memories/cafe\u0301", "one")
    assert files.read("/memories/caf\u00e9") == "one"
    with pytest.raises(ToolError, match="exists"):
        files.create("/memories/caf\u00e9/", "two")


# -- faults that the model is told -------------------------------------------------


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ({"command": "view", "path": "/memories/none"}, "does not exist"),
        ({"command": "view", "path": "/memories/a", "view_range": [9, 10]}, "view_range"),
        ({"command": "view", "path": "/memories/a", "view_range": [1]}, "view_range"),
        ({"command": "create", "path": "/memories/a/b", "file_text": ""}, "is a file"),
        ({"command": "create", "path": "/memories/d", "file_text": ""}, "exists"),
        ({"command": "create", "path": "/memories", "file_text": ""}, "exists"),
        ({"command": "create", "path": "/memories/big", "file_text": "大" * 400_000}, "larger"),
        (
            {"command": "str_replace", "path": "/memories/a", "old_str": "x", "new_str": ""},
            "x` did",
        ),
        (
            {"command": "str_replace", "path": "/memories/a", "old_str": "", "new_str": "y"},
            "did not",
        ),
        (
            {"command": "str_replace", "path": "/memories/a", "old_str": "aa", "new_str": ""},
            "1, 1, 2",
        ),
        (
            {"command": "str_replace", "path": "/memories/d", "old_str": "x", "new_str": ""},
            "not a f",
        ),
        ({"command": "insert", "path": "/memories/a", "insert_line": 9, "insert_text": ""}, "0, 2"),
        (
            {"command": "insert", "path": "/memories/a", "insert_line": "0", "insert_text": ""},
            "valid",
        ),
        ({"command": "delete", "path": "/memories"}, "itself"),
        ({"command": "delete", "path": "/memories/none"}, "does not exist"),
        ({"command": "rename", "old_path": "/memories", "new_path": "/memories/x"}, "itself"),
        (
            {"command": "rename", "old_path": "/memories/d", "new_path": "/memories/d/e"},
            "into itself",
        ),
        ({"command": "rename", "old_path": "/memories/a", "new_path": "/memories/d/f"}, "exists"),
        (
            {"command": "rename", "old_path": "/memories/none", "new_path": "/memories/x"},
            "not exist",
        ),
        ({"command": "format", "path": "/memories"}, "not valid"),
        ({"command": "view"}, "path"),
        ({}, "not valid"),
        ("view", "not valid"),
        (None, "not valid"),
    ],
)
def test_what_goes_wrong_is_said_and_changes_nothing(
    memory: AgentMemory, command: Any, text: str
) -> None:
    tool = MemoryTool(memory)
    tool.files.create("/memories/a", "aaa\naa")
    tool.files.create("/memories/d/f", "f")
    with pytest.raises(SdkToolError, match=text):
        tool.call(command)
    assert tool.files.texts() == {"/memories/a": "aaa\naa", "/memories/d/f": "f"}


def test_a_store_that_fails_is_no_secret_and_no_detail(memory: AgentMemory) -> None:
    tool = MemoryTool(memory)
    memory.close()
    with pytest.raises(SdkToolError, match=r"^The memory could not be used just now \(\w+\)\.$"):
        run(tool, "create", path=NOTE, file_text="x")


# -- versions ----------------------------------------------------------------------


def test_every_version_stays_and_can_be_restored(memory: AgentMemory) -> None:
    files = MemoryFiles(memory)
    files.create(NOTE, "one")
    files.edit(NOTE, lambda text: text + ", two")
    files.move("/memories/旅行", "/memories/trip")
    files.create(NOTE, "another file")
    new = "/memories/trip/notes.md"
    files.remove("/memories/trip")
    old = files.versions(new)
    assert [one.text for one in old] == ["one", "one, two"]
    assert {one.agent for one in old} == {"guide"}
    files.restore(new, old[0].version)
    assert files.read(new) == "one" and files.read(new, old[1].version) == "one, two"
    assert [one.text for one in files.versions(NOTE)] == ["another file"]
    with pytest.raises(ToolError, match="no version 99"):
        files.read(new, 99)


def test_files_are_the_namespaces_and_last(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="acme/alice", session="s1") as alice:
        MemoryFiles(alice).create(NOTE, "Alice's")
        bob = MemoryFiles(alice.beside(namespace="acme/bob"))
        assert bob.paths() == [] and MemoryFiles(alice.beside(namespace="acme")).paths() == []
        bob.create(NOTE, "Bob's")
    with AgentMemory.open(path, namespace="acme/alice", session="s2") as alice:
        assert MemoryFiles(alice).texts() == {NOTE: "Alice's"}
        assert alice.messages() == [] and alice.recall("Alice") == []


def test_erasing_the_namespace_erases_its_files(tmp_path: Path) -> None:
    with AgentMemory.open(tmp_path / "agent.db", namespace="n") as memory:
        files = MemoryFiles(memory)
        files.create(NOTE, "one")
        files.edit(NOTE, lambda text: "two")
        assert files.read(NOTE) == "two"
        memory.erase()
        assert files.paths() == [] and files.versions(NOTE) == []
        files.create(NOTE, "three")
        assert files.read(NOTE) == "three" and len(files.versions(NOTE)) == 1


class _Redacting:
    @hookimpl
    def redact(self, text: str, scope: Scope) -> str:
        return text.replace("4111-1111", "[card]")


def test_what_plugins_redact_is_not_stored(tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.register(_Redacting(), name="cards")
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="n", plugins=plugins) as memory:
        files = MemoryFiles(memory)
        files.create(NOTE, "Card 4111-1111")
        files.edit(NOTE, lambda text: text + " and 4111-1111")
        assert files.read(NOTE) == "Card [card] and [card]"
    assert b"4111-1111" not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def _added(line: str, text: str) -> str:
    return text + line


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="n") as memory:
        MemoryFiles(memory).create(NOTE, "")
        writers = [MemoryFiles(memory.beside()) for _ in range(4)]

        def write(n: int) -> None:
            for line in [f"{n}-{i}\n" for i in range(10)]:
                writers[n].edit(NOTE, partial(_added, line))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = MemoryFiles(memory).read(NOTE).split()
        assert sorted(lines) == sorted(f"{n}-{i}" for n in range(4) for i in range(10))
        assert len(MemoryFiles(memory).versions(NOTE)) == 41


# -- the SDK's own implementation is the oracle ------------------------------------

NAMES = st.sampled_from(["/memories/a", "/memories/b", "/memories/d/x", "/memories/d/y"])
TEXT = st.text(st.sampled_from("ab\n你"), max_size=8)
STEPS = st.one_of(
    st.builds(lambda p, t: {"command": "create", "path": p, "file_text": t}, NAMES, TEXT),
    st.builds(
        lambda p, o, n: {"command": "str_replace", "path": p, "old_str": o, "new_str": n},
        NAMES,
        st.sampled_from(["a", "b", "ab", "你"]),
        TEXT,
    ),
    st.builds(
        lambda p, n, t: {
            "command": "insert",
            "path": p,
            "insert_line": n,
            "insert_text": t.rstrip("\n") + "\n",
        },
        NAMES,
        st.integers(0, 3),
        TEXT,
    ),
    st.builds(lambda p: {"command": "delete", "path": p}, NAMES),
    st.builds(lambda a, b: {"command": "rename", "old_path": a, "new_path": b}, NAMES, NAMES),
    st.builds(lambda p: {"command": "view", "path": p}, NAMES),
)


def _answer(tool: Any, step: dict[str, Any]) -> str | None:
    try:
        return str(tool.call(step))
    except SdkToolError:
        return None


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=20))
def test_it_answers_as_the_sdks_own_files_do(
    tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, Any]]
) -> None:
    oracle = BetaLocalFilesystemMemoryTool(str(tmp_path_factory.mktemp("files")))
    with AgentMemory.open("memory:", namespace="n") as memory:
        tool = MemoryTool(memory)
        for step in steps:
            assert _answer(tool, step) == _answer(oracle, step), step
