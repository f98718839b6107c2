"""What is archived reads as before, is searched on demand, and comes back as it was."""

from __future__ import annotations

import json
import random
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ctxplug import AgentMemory, Message, ToolCallPart, ToolResultPart
from ctxplug.cli.app import app
from ctxplug.errors import InvalidValueError, NotFoundError, UnsupportedError
from ctxplug.exchange import export_lines, import_export
from ctxplug.memories.archive import archive, is_cold
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.plugins import Plugins
from ctxplug.storage import ArchiveLog, Backend, Embed, Put, Stream, Touch, Unarchive, Where
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend, log
from ctxplug.storage.sqlite import archive as sqlite_archive
from ctxplug.testing.children import start_python

PLUGINS = Plugins(load_entry_points=False)
NS = ("acme", "alice")
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=90)
AT_ONCE = timedelta(0)
Open = Callable[..., AgentMemory]


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    opened = (
        InMemoryBackend()
        if request.param == "memory"
        else SqliteBackend(tmp_path / "agent.db", synchronous="normal")
    )
    with opened:
        yield opened
        assert opened.check().problems == ()


def memory_on(backend: Backend, session: str = "now", **options: Any) -> AgentMemory:
    return AgentMemory.open(
        backend, namespace=NS, session=session, plugins=PLUGINS, counter="estimate", **options
    )


def talk(backend: Backend, session: str, turns: int = 40, at: datetime = LONG_AGO) -> AgentMemory:
    memory = memory_on(backend, session)
    messages: list[Message] = [Message("system", "Be brief.", created_at=at)]
    for turn in range(turns):
        when = at + timedelta(minutes=turn)
        messages += [
            Message("user", f"Turn {turn}: where is the violin? 小提琴在哪里？", created_at=when),
            Message("assistant", [ToolCallPart(f"c{turn}", "find", {"n": turn})], created_at=when),
            Message("tool", [ToolResultPart(f"c{turn}", f"row {turn} " * 30)], created_at=when),
            Message("assistant", f"In the attic{turn}. 在阁楼。", created_at=when),
        ]
    memory.extend(messages)
    return memory


def whole(backend: Backend) -> Any:
    """Return all that can be seen of the namespace but for scores and the audit log."""
    infos = [info for info in backend.sessions(NS) if info.session != "ctxplug:audit"]
    logs = {info.session: backend.read(Stream(NS, info.session)) for info in infos}
    records = backend.find(Where(NS))
    words = {
        word: {hit.record.id for hit in backend.search(Where(NS), terms=[word], limit=10**6)}
        for word in ("violin", "attic7", "阁楼", "window", "seat")
    }
    return logs, records, words


# -- messages ------------------------------------------------------------------------------


def test_cold_sessions_are_archived_and_everything_reads_as_before(backend: Backend) -> None:
    old = talk(backend, "old")
    talk(backend, "new", 3, NOW)
    window, given = old.context(budget=2_000), old.messages()
    before = whole(backend)
    report = memory_on(backend).archive(AT_ONCE, sessions="old")  # its window was just used
    assert report.sessions == ("old",)
    assert report.entries == backend.head(Stream(NS, "old"))
    assert 0 < report.bytes_after < report.bytes_before / 3
    assert old.stats().messages == len(given)
    assert old.stats().archived == report.entries
    assert whole(backend)[0] == before[0]
    again = memory_on(backend, "old")
    assert again.messages() == given == old.messages()
    assert again.context(budget=2_000).messages == window.messages
    assert again.original("@3-6") == old.original("@3-6") == tuple(given[2:6])
    assert memory_on(backend).original("old@4") == (given[3],)
    assert again.expand("@4") == old.expand("@4") != ""
    assert {one.record.metadata["session"] for one in old.recall("violin")} == {"new"}
    assert old.archive().entries == 0


def test_an_archived_session_goes_on(backend: Backend) -> None:
    old = talk(backend, "old")
    given = old.messages()
    old.archive(AT_ONCE, sessions="old")
    reopened = memory_on(backend, "old")
    added = [reopened.add("user", "And the bow?"), reopened.add("assistant", "In the case.")]
    assert reopened.messages() == [*given, *added] == old.messages()
    assert reopened.context(budget=900).tokens <= 900
    assert "And the bow?" in {one.record.content for one in reopened.recall("bow")}
    assert old.archive(timedelta(days=30)).entries == 0
    assert old.archive(AT_ONCE, sessions=["old"]).entries >= 2
    assert old.messages() == [*given, *added]


def test_the_archive_is_searched_on_demand_and_says_so(backend: Backend) -> None:
    old = talk(backend, "old")
    kept = old.remember("The violin case is red.", importance=0.9)
    old.remember("Prefers window seats 靠窗", importance=0.4)
    backend.write(*_aged(backend))
    old.archive()
    live = [one for one in old.recall("violin") if not one.archived]
    assert [one.record.id for one in live] == [kept.id]
    found = old.search_archive("attic7")
    assert [(one.record.id, one.archived) for one in found] == [("old@33", True)]
    assert found[0].record.metadata["session"] == "old"
    assert found[0].why["words"] > 0
    assert [one.record.kind for one in old.search_archive("window seats")] == ["fact"]
    assert old.search_archive("靠窗")[0].record.content.startswith("Prefers")
    assert len(old.search_archive("小提琴", k=5)) == 5
    assert old.search_archive("violin", kinds="fact") == []
    assert old.search_archive("violin", since=NOW) == []
    assert old.search_archive("violin", session="other") == []
    assert old.search_archive("nothing of the kind") == []
    assert old.search_archive("") == []
    with pytest.raises(InvalidValueError):
        old.search_archive(7)  # type: ignore[arg-type]


def test_what_comes_back_is_recalled_again(backend: Backend) -> None:
    old = talk(backend, "old")
    talk(backend, "older")
    talk(backend, "new", 2, NOW)
    before = whole(backend)
    found = memory_on(backend).recall("where is the violin?", k=50)
    recalled = [(one.record, one.score) for one in found]
    assert old.archive().sessions == ("old", "older")
    assert whole(backend)[1] != before[1]
    report = old.unarchive("old")
    assert (report.entries, report.records) == (backend.head(Stream(NS, "old")), 0)
    assert old.unarchive().entries == backend.head(Stream(NS, "older"))
    assert whole(backend) == before
    again = old.recall("where is the violin?", k=50)
    assert [one.record for one in again] == [record for record, _ in recalled]
    assert [one.score for one in again] == pytest.approx([s for _, s in recalled], rel=1e-3)
    assert not any(one.archived for one in again)
    with pytest.raises(NotFoundError, match="'nobody'"):
        old.unarchive("nobody")
    with pytest.raises(NotFoundError, match="'nobody'"):
        old.archive(sessions=["nobody"])


# -- memories --------------------------------------------------------------------------------


def _aged(backend: Backend, days: float = 90) -> list[Put]:
    """Return the writes that make all memories as old as that, and let none expire."""
    from ctxplug.recall.indexing import index_form

    at = NOW - timedelta(days=days)
    records = backend.find(Where(NS, not_kinds=["message"]))
    return [
        Put(r.evolve(created_at=at, expires_at=None, valid_from=None), *index_form(r.content))
        for r in records
    ]


def test_which_memories_are_cold() -> None:
    cutoff, policy = NOW - timedelta(days=30), MemoryPolicy()
    memory = AgentMemory.open("memory:", namespace=NS, plugins=PLUGINS, counter="estimate")
    fact = memory.remember("x", importance=0.5).evolve(created_at=LONG_AGO, valid_from=None)
    memory.close()
    cases = {
        "old": (fact, True),
        "new": (fact.evolve(created_at=NOW), False),
        "used": (fact.evolve(last_accessed=NOW), False),
        "used long ago": (fact.evolve(last_accessed=LONG_AGO), True),
        "important": (fact.evolve(importance=0.8), False),
        "preference": (fact.evolve(kind="preference"), False),
        "pinned": (fact.evolve(metadata={"pinned": True}), False),
        "superseded": (fact.evolve(importance=1.0, valid_to=LONG_AGO), True),
        "just superseded": (fact.evolve(importance=1.0, valid_to=NOW), False),
    }
    for name, (record, cold) in cases.items():
        assert is_cold(record, cutoff, policy) is cold, name


def test_cold_memories_are_archived_come_back_one_by_one_or_are_forgotten(
    backend: Backend,
) -> None:
    memory = memory_on(backend)
    ids = [memory.remember(f"Window seat number {i}", importance=0.5).id for i in range(5)]
    backend.write(*_aged(backend))
    before = backend.find(Where(NS))
    report = memory.archive()
    assert (set(report.ids), report.records, report.entries) == (set(ids), 5, 0)
    assert memory.recall("window seat") == []
    assert memory.unarchive(ids=ids[1]).records == 1
    assert [one.record.id for one in memory.recall("window seat")] == [ids[1]]
    memory.forget(ids[2])
    with pytest.raises(NotFoundError):
        memory.forget(ids[2])
    assert {one.record.id for one in memory.search_archive("window seat")} == {
        ids[0],
        *ids[3:],
    }
    assert memory.unarchive().records == 3
    assert {r.id: r for r in backend.find(Where(NS))} == {
        r.id: r for r in before if r.id != ids[2]
    } | {r.id: r for r in backend.find(Where(NS, ids=[ids[1]]))}
    assert memory.archive(sessions=()).records == 0


def test_what_expires_in_the_archive_goes(backend: Backend) -> None:
    memory = memory_on(backend)
    record = memory.remember("Window seat", importance=0.5)
    aged = record.evolve(created_at=LONG_AGO, valid_from=None, expires_at=NOW + timedelta(days=1))
    backend.write(Put(aged, "window seat"))
    assert memory.archive().records == 1
    [held] = backend.archived(Where(NS))
    later = archive(backend, NS, backend.write, now=NOW + timedelta(days=2))
    assert (later.expired, later.records) == (1, 0)
    assert backend.archived(Where(NS)) == []
    assert held.record == aged


def test_what_was_renewed_meanwhile_does_not_go(backend: Backend) -> None:
    """It had expired when the archive was looked through, and lives when it should be dropped."""
    memory, ends = memory_on(backend), NOW + timedelta(days=1)
    for text in ("window", "aisle"):
        record = memory.remember(text, importance=0.5)
        aged = record.evolve(created_at=LONG_AGO, valid_from=None, expires_at=ends)
        backend.write(Put(aged, text))
    memory.archive()
    ids = [one.record.id for one in backend.archived(Where(NS))]

    def overtaken(*ops: Any) -> list[int]:
        backend.write(Unarchive(NS, ids=(ids[0],)))
        backend.write(Touch(NS, (ids[0],), NOW, NOW + timedelta(days=9)))
        return backend.write(*ops)

    later = {"now": NOW + timedelta(days=2), "before": LONG_AGO}
    assert archive(backend, NS, overtaken, **later).expired == 0
    assert archive(backend, NS, backend.write, **later).expired == 1
    assert [record.id for record in backend.find(Where(NS))] == [ids[0]]
    assert backend.archived(Where(NS)) == []


def test_vectors_are_made_again(backend: Backend) -> None:
    if "vector" not in backend.capabilities:
        pytest.skip("no vectors here")
    old = talk(backend, "old", 2)
    ids = [record.id for record in backend.find(Where(NS))]
    backend.write(*[Embed(NS, id, "model", [1.0, 0.0]) for id in ids])
    old.archive()
    assert backend.vector_state(NS).pending == 0
    assert backend.search(Where(NS), vector=[1.0, 0.0], embedder="model") == []
    old.unarchive()
    assert backend.vector_state(NS).pending == len(ids)


def test_a_backend_without_an_archive_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    less = InMemoryBackend.capabilities - {"archive"}
    monkeypatch.setattr(InMemoryBackend, "capabilities", less)
    with InMemoryBackend() as backend:
        memory = talk(backend, "old", 2)
        for call in (memory.archive, memory.unarchive, lambda: memory.search_archive("x")):
            with pytest.raises(UnsupportedError):
                call()
        assert len(list(export_lines(backend, [NS]))) > 2


@pytest.mark.parametrize("before", [timedelta(days=-1), "yesterday"])
def test_a_cutoff_that_makes_no_sense_is_refused(before: Any) -> None:
    with InMemoryBackend() as backend, pytest.raises(InvalidValueError):
        memory_on(backend).archive(before)


# -- any history -----------------------------------------------------------------------------

TEXTS = st.text(max_size=30) | st.sampled_from(
    ["the violin is in the attic7", "在阁楼。", "window seat", "\ud800 odd \0", ""]
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "system"]),
    TEXTS,
    created_at=st.sampled_from([LONG_AGO, NOW - timedelta(days=40), NOW]),
    pinned=st.booleans(),
    name=st.none() | st.just("Ann"),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("extend"), st.sampled_from("ab"), st.lists(MESSAGES, min_size=1)),
        st.tuples(st.just("remember"), st.sampled_from("ab"), TEXTS.filter(str.strip)),
        st.tuples(st.just("context"), st.sampled_from("ab"), st.none()),
        st.tuples(st.just("forget"), st.sampled_from("ab"), st.integers(0, 5)),
        st.tuples(st.just("recall"), st.sampled_from("ab"), TEXTS),
        st.tuples(st.just("archive"), st.sampled_from("ab"), st.booleans()),
        st.tuples(st.just("unarchive"), st.sampled_from("ab"), st.booleans()),
    ),
    max_size=12,
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_after_any_history_archiving_and_restoring_change_nothing(
    backend: Backend, tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    backend.erase(NS)
    for what, session, value in steps:
        _do(memory_on(backend, session), what, session, value)
    memory_on(backend).unarchive()
    before, lines = whole(backend), list(export_lines(backend, [NS]))
    memory = memory_on(backend)
    memory.archive(AT_ONCE)
    memory.archive(NOW + timedelta(days=1))
    assert whole(backend)[0] == before[0]
    assert list(export_lines(backend, [NS])) == lines
    assert backend.check().problems == ()
    memory.unarchive()
    assert whole(backend) == before
    file = tmp_path_factory.getbasetemp() / "export.jsonl"
    file.write_bytes(b"".join(lines))
    with InMemoryBackend() as copy:
        import_export(str(file), copy, PLUGINS)
        assert list(export_lines(copy, [NS])) == lines


def _do(memory: AgentMemory, what: str, session: str, value: Any) -> None:
    if what == "extend":
        memory.extend(value)
    elif what == "remember":
        memory.remember(value, importance=0.5)
    elif what == "recall":
        memory.recall(value)
    elif what == "archive":
        memory.archive(AT_ONCE if value else None)
    elif what == "unarchive":
        memory.unarchive(ids=()) if value else memory.unarchive()
    else:
        try:
            memory.context() if what == "context" else memory.forget(f"{session}@{value}")
        except Exception as exc:
            assert type(exc).__name__ in ("EmptyContextError", "NotFoundError", "BudgetError")


def test_an_export_of_what_is_archived_is_that_of_what_was(
    backend: Backend, tmp_path: Path
) -> None:
    memory = talk(backend, "old", 100)
    ids = [memory.remember(f"Window seat {i}", importance=0.5).id for i in range(3)]
    memory.forget("old@2")
    memory.recall("attic7")
    backend.write(*_aged(backend))
    before = list(export_lines(backend, [NS]))
    assert memory.archive().records == len(ids)
    assert list(export_lines(backend, [NS])) == before
    (tmp_path / "all.jsonl").write_bytes(b"".join(before))
    again = import_export(str(tmp_path / "all.jsonl"), backend, PLUGINS)
    assert (again.sessions, again.entries) == (0, 0)


# -- other processes and sudden ends ------------------------------------------------------------

CHILD = """
import os, sys
from datetime import timedelta
from ctxplug import AgentMemory
path, seed = sys.argv[1:]
memory = AgentMemory.open(path, namespace="acme/alice", session="s", counter="estimate")
for number in range(10**6):
    memory.add("user", f"unit{seed}x{number} 里斯本")
    os.write(1, f"{number}\\n".encode())
    if number % 7 == 3:
        memory.archive(timedelta(0), sessions="s")
    if number % 23 == 20:
        memory.unarchive("s")
"""


@pytest.mark.parametrize("seed", range(6))
def test_a_kill_while_archiving_loses_nothing(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "agent.db"
    child = start_python(CHILD, str(path), f"{seed}", stdout=-1, stderr=-1)
    assert child.stdout and child.stderr
    first = child.stdout.readline()
    killer = threading.Timer(random.Random(seed).uniform(0.1, 0.6), child.kill)
    killer.start()
    acknowledged = len([first, *child.stdout])
    killer.join()
    assert child.wait() == -signal.SIGKILL, child.stderr.read()
    child.stdout.close()
    child.stderr.close()
    with AgentMemory.open(path, namespace=NS, session="s", counter="estimate") as memory:
        assert memory.check().problems == ()
        texts = [message.text for message in memory.messages()]
        assert texts == [f"unit{seed}x{n} 里斯本" for n in range(len(texts))]
        assert acknowledged <= len(texts) <= acknowledged + 1
        memory.unarchive()
        for number in (0, len(texts) // 2, len(texts) - 1):
            found = memory.recall(f"unit{seed}x{number}", k=1)
            assert found[0].record.content == texts[number]


APPENDING = """
import sys
from ctxplug import AgentMemory
path, process, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
memory = AgentMemory.open(path, namespace="acme/alice", session="s", counter="estimate")
for number in range(count):
    memory.add("user", f"p{process}x{number}")
memory.close()
"""


def test_others_append_and_read_while_a_session_is_archived(tmp_path: Path) -> None:
    path, each = tmp_path / "agent.db", 60
    with AgentMemory.open(path, namespace=NS, session="s", counter="estimate") as memory:
        memory.add("user", "first")
        children = [start_python(APPENDING, str(path), f"{p}", f"{each}") for p in range(2)]
        seen, rounds = 0, 0
        while any(child.poll() is None for child in children):
            memory.archive(AT_ONCE, sessions="s")
            texts = [message.text for message in memory.messages()]
            assert len(texts) >= seen
            seen, rounds = len(texts), rounds + 1
            if rounds % 3 == 0:
                memory.unarchive("s")
        assert [child.wait() for child in children] == [0, 0]
        texts = [message.text for message in memory.messages()]
        assert sorted(texts) == sorted(
            ["first", *(f"p{p}x{n}" for p in range(2) for n in range(each))]
        )
        memory.unarchive()
        assert memory.check().problems == ()
        assert memory.backend.count(Where(NS, kinds=["message"])) == 1 + 2 * each


def test_readers_never_see_half_a_move(tmp_path: Path) -> None:
    """A read that an archiving or a return overtakes begins anew."""
    path = tmp_path / "agent.db"
    with SqliteBackend(path, synchronous="normal") as one, SqliteBackend(path) as two:
        given = talk(one, "old", 60).messages()
        done = threading.Event()

        def move() -> None:
            memory = memory_on(two)
            for _ in range(15):
                memory.archive(AT_ONCE)
                memory.unarchive()
            done.set()

        mover = threading.Thread(target=move)
        mover.start()
        reader = memory_on(one, "old")
        while not done.is_set():
            assert reader.messages() == given
            assert [m.id for m in reader.original("@20-25")] == [m.id for m in given[19:25]]
        mover.join()


@pytest.mark.parametrize("way", ["into the archive", "out of it", "there and back"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_read_that_a_move_overtakes_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, newest_first: bool
) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path, synchronous="normal") as one, SqliteBackend(path) as two:
        elsewhere = memory_on(two)
        talk(one, "old", 5)
        stream = Stream(NS, "old")
        before = one.read(stream, newest_first=newest_first)
        if way == "out of it":
            elsewhere.archive()

        def overtaken(*args: Any) -> Any:
            monkeypatch.undo()
            found = log.look_up(*args)
            if way != "out of it":
                elsewhere.archive()
            if way != "into the archive":
                elsewhere.unarchive()
            return found

        monkeypatch.setattr(log, "look_up", overtaken)
        assert one.read(stream, newest_first=newest_first) == before


def test_what_comes_back_and_goes_again_while_it_is_read_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stream = tmp_path / "agent.db", Stream(NS, "old")
    with SqliteBackend(path, synchronous="normal") as one, SqliteBackend(path) as two:
        talk(one, "old", 5).archive()
        opened = sqlite_archive.data_of

        def overtaken(*args: Any) -> Any:
            monkeypatch.undo()
            memory_on(two).unarchive()
            memory_on(two).archive()
            return opened(*args)

        for look in (
            lambda: one.read(stream),
            lambda: one.read(stream, newest_first=True),
            lambda: one.archived(Where(NS)),
        ):
            before = look()
            monkeypatch.setattr(sqlite_archive, "data_of", overtaken)
            assert look() == before != []


def test_a_log_that_came_back_meanwhile_is_not_archived_without_its_words(
    backend: Backend,
) -> None:
    """What archives the second half must not take the first along, whose terms it lacks."""
    memory = talk(backend, "old", 5)
    stream = Stream(NS, "old")
    backend.write(ArchiveLog(stream, 5, {}, after=0))
    memory.unarchive("old")
    assert backend.write(ArchiveLog(stream, 9, {}, after=5)) == [0]
    assert backend.archive_state(NS).entries == 0


def test_check_names_a_damaged_segment(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        talk(backend, "old").archive()
    changes = {
        "is damaged": "UPDATE segments SET data = zeroblob(40)",
        "has gaps": "DELETE FROM segments",
        "other items": "UPDATE segments SET records = records + 1",
        "holds other": "UPDATE segments SET kinds = json_array('note')",
        "items than": "UPDATE segments SET pinned = pinned + 1",
        "another namespace": "UPDATE segments SET namespace = 99",
        "segment 1 of the archive: A segment": "UPDATE segments SET words = zeroblob(9)",
    }
    sound = path.read_bytes()
    for what, change in changes.items():
        path.write_bytes(sound)
        connection = apsw.Connection(str(path))
        connection.execute(change)
        connection.close()
        with SqliteBackend(path) as backend:
            assert what in " ".join(backend.check().problems), what


# -- twins and the command -----------------------------------------------------------------------


async def test_the_twins_of_the_archive(backend: Backend) -> None:
    memory = talk(backend, "old")
    report = await memory.aarchive(AT_ONCE, sessions="old")
    assert report.entries == backend.head(Stream(NS, "old"))
    found = await memory.asearch_archive("attic7")
    expected = [one.record for one in memory.search_archive("attic7")]
    assert [one.record for one in found] == expected != []
    assert (await memory.aunarchive("old")).entries == report.entries


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_the_command_archives_searches_and_restores(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        talk(backend, "old")
        before = whole(backend)
    target = str(path)
    done = run("archive", target, "--json")
    report = json.loads(done.stdout)
    assert report["sessions"] == ["old"]
    assert report["archive"]["entries"] == report["entries"] > 100
    found = json.loads(run("archive", target, "--search", "attic7", "--json").stdout)
    assert [one["record"]["id"] for one in found] == ["old@33"]
    assert "attic7" in run("archive", target, "--search", "attic7").stdout
    assert "0 log entries" in run("archive", target, "--older-than", "2w").stdout
    shown = run("archive", target, "-n", "acme/alice", "--restore", "--session", "old")
    assert f"{report['entries']:,} log entries" in shown.stdout
    with SqliteBackend(path) as backend:
        assert whole(backend) == before
    wrong = run("archive", target, "--older-than", "a while")
    assert wrong.exit_code == 1
    assert "30d" in wrong.stderr
    assert json.loads(run("archive", target, "--restore", "--json").stdout) == {
        "entries": 0,
        "records": 0,
    }


def test_a_bare_number_is_no_age() -> None:
    memory = AgentMemory.open("memory:", namespace="u")
    with pytest.raises(InvalidValueError, match="timedelta"):
        memory.archive(before=30)  # type: ignore[arg-type]
