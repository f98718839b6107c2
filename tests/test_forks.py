"""Forks beyond the law: damage, races, traces on the disk, receipts, exports, transcripts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from ctxplug import AgentMemory
from ctxplug.errors import ConflictError, CorruptStoreError, InvalidNamespaceError, TranscriptError
from ctxplug.exchange import export_lines, import_export
from ctxplug.memories.erasure import verify_erased
from ctxplug.plugins import Plugins
from ctxplug.scope import PRIVATE, to_labels, to_namespace
from ctxplug.storage import (
    Append,
    ArchiveLog,
    Backend,
    Delete,
    Fork,
    Put,
    Stream,
    Touch,
    Unarchive,
    Where,
    conversations,
)
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.backend_data import NS, START, STREAM, at, memory, note, numbers, said
from ctxplug.transcripts import read_transcript

FORK, MORE = Stream(NS, "fork"), Stream(NS, "分支")
CANARY = "zqvkanarienvogelx"
PLUGINS = Plugins(load_entry_points=False)


@pytest.fixture(params=["memory", "sqlite"])
def backend(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Backend]:
    path = tmp_path / "agent.db"
    with InMemoryBackend() if request.param == "memory" else SqliteBackend(path) as backend:
        yield backend


def grow(backend: Backend) -> None:
    """Fill a session, a fork of it and a fork of that one; numbers tell who wrote what."""
    backend.write(*[said(f"trip {n}", f"trip w{n}") for n in range(1, 6)])
    backend.write(Fork(FORK, "trip", 3, at(50)), said("fork 4", "fork w4", FORK), note(5, FORK))
    backend.write(Fork(MORE, "fork", 4, at(60)), said("分支 5", "分支 w5", MORE))
    backend.write(Touch(NS, ("fork@4",), at(9)), Put(memory("m", "memory"), "memory"))


def texts(backend: Backend, stream: Stream) -> list[str]:
    return [
        entry.body["message"]["content"][0]["text"] if "message" in entry.body else "note"
        for entry in backend.read(stream)
    ]


# -- damage ----------------------------------------------------------------------------------

TAMPERINGS = {
    "an unknown parent": "UPDATE streams SET parent = 99 WHERE session = 'fork'",
    "itself": "UPDATE streams SET parent = id WHERE session = 'fork'",
    "a younger one": """UPDATE streams SET parent =
        (SELECT id FROM streams WHERE session = '分支') WHERE session = 'fork'""",
    "a short one": "UPDATE streams SET version = 2 WHERE session = 'trip'",
    "another namespace": """UPDATE streams SET parent =
        (SELECT id FROM streams WHERE session = 'long') WHERE session = '分支'""",
    "a parent without a version": "UPDATE streams SET forked = 0 WHERE session = 'fork'",
    "a version without a parent": "UPDATE streams SET parent = NULL WHERE session = 'fork'",
    "a later version": "UPDATE streams SET forked = forked + 1 WHERE session = 'fork'",
    "an earlier version": "UPDATE streams SET forked = forked - 1 WHERE session = '分支'",
    "a missing parent": "DELETE FROM streams WHERE session = 'trip'",
}


@pytest.mark.parametrize("parent", TAMPERINGS)
@pytest.mark.parametrize("shelved", [False, True], ids=["live", "archived"])
def test_check_sees_what_a_fork_cannot_be_of(tmp_path: Path, parent: str, shelved: bool) -> None:
    with SqliteBackend(tmp_path / "agent.db") as backend:
        backend.write(*[note(n, Stream(("other",), "long")) for n in range(9)])
        grow(backend)
        if shelved:
            backend.write(*[ArchiveLog(stream, 9, {}) for stream in (STREAM, FORK, MORE)])
        assert backend.check().problems == ()
        connection = apsw.Connection(str(tmp_path / "agent.db"))
        connection.execute(TAMPERINGS[parent])
        assert connection.changes() == 1
        connection.close()
        assert not backend.check().ok


def test_a_fork_without_its_past_is_refused_and_not_shortened(tmp_path: Path) -> None:
    with SqliteBackend(tmp_path / "agent.db") as backend:
        grow(backend)
        connection = apsw.Connection(str(tmp_path / "agent.db"))
        connection.execute("DELETE FROM streams WHERE session = 'trip'")
        connection.close()
        for options in ({}, {"newest_first": True}, {"after": 1, "limit": 1}):
            with pytest.raises(CorruptStoreError, match="Restore a backup"):
                backend.read(MORE, **options)  # type: ignore[arg-type]
        assert len(backend.read(FORK, after=3)) == 2


# -- races -----------------------------------------------------------------------------------


def test_a_fork_reads_whole_while_its_past_is_archived_and_brought_back(backend: Backend) -> None:
    backend.write(*[note(n) for n in range(1, 41)], Fork(FORK, "trip", 30))
    backend.write(*[note(n, FORK) for n in range(31, 41)], Fork(MORE, "fork", 35), note(36, MORE))
    wanted = {FORK: [*range(1, 41)], MORE: [*range(1, 37)], STREAM: [*range(1, 41)]}
    stop, wrong = threading.Event(), list[Any]()

    def look(stream: Stream) -> None:
        while not stop.is_set():
            if (found := numbers(backend.read(stream))) != wanted[stream]:
                wrong.append(found)
            newest = numbers(backend.read(stream, newest_first=True, limit=9, after=25))
            if newest != [n for n in wanted[stream] if n > 25][::-1][:9]:
                wrong.append(newest)

    readers = [threading.Thread(target=look, args=(stream,)) for stream in wanted]
    for reader in readers:
        reader.start()
    for step in range(60):
        backend.write(ArchiveLog(STREAM, 10 + step % 30, {}), ArchiveLog(FORK, 33 + step % 7, {}))
        backend.write(Unarchive(NS, "trip", most=step % 25), Unarchive(NS, "fork"))
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert backend.check().problems == ()


def test_a_fork_that_is_erased_with_its_past_reads_as_it_was_or_as_empty(backend: Backend) -> None:
    seen, stop = list[tuple[int, ...]](), threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append(tuple(numbers(backend.read(FORK))))

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(8):
        backend.write(note(1), note(2), Fork(FORK, "trip", 2), note(3, FORK))
        backend.erase_session(NS, "fork", "trip")
    stop.set()
    reader.join()
    assert set(seen) <= {(), (1, 2, 3)}


def test_of_many_who_fork_to_one_name_one_wins(backend: Backend) -> None:
    backend.write(*[note(n) for n in range(1, 9)])
    won, lost, start = list[int](), list[ConflictError](), threading.Barrier(8)

    def attempt(upto: int) -> None:
        start.wait()
        try:
            won.extend(backend.write(Fork(FORK, "trip", upto)))
        except ConflictError as exc:
            lost.append(exc)

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    assert numbers(backend.read(FORK)) == [*range(1, won[0] + 1)]
    assert all(exc.found == won[0] for exc in lost)


# -- what an erasure leaves --------------------------------------------------------------------


def in_files(path: Path) -> bool:
    files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
    raw = b"".join(file.read_bytes() for file in files if file.exists())
    return CANARY.encode() in raw


@pytest.mark.parametrize("forked", [False, True])
def test_nothing_of_an_erased_session_is_left_in_the_files(tmp_path: Path, forked: bool) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        grow(backend)
        if forked:
            backend.write(Fork(Stream(NS, CANARY), "trip", 2))
        secret = Stream(NS, CANARY)
        backend.write(*[said(f"{CANARY} {n}", f"{CANARY} x{n}", secret) for n in range(40)])
        backend.write(ArchiveLog(secret, 9, dict.fromkeys(range(1, 10), CANARY)))
        before = [texts(backend, stream) for stream in (STREAM, FORK, MORE)]
        assert in_files(path)
        receipt = backend.erase_session(NS, CANARY)
        assert (receipt.entries, receipt.remaining) == (40, 0)
        assert not in_files(path)
        assert [texts(backend, stream) for stream in (STREAM, FORK, MORE)] == before
        backend.backup(str(tmp_path / "copy.db"))
    assert not in_files(path)
    assert not in_files(tmp_path / "copy.db")


@pytest.mark.parametrize("again", [False, True])
def test_an_erasure_that_was_cut_short_is_finished_and_told_whole(
    tmp_path: Path, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, secret = tmp_path / "agent.db", Stream(NS, CANARY)
    with SqliteBackend(path) as backend:
        grow(backend)
        backend.write(said(CANARY, CANARY, secret), note(2, secret))

        def killed(*args: object, **options: object) -> None:
            raise SystemExit

        monkeypatch.setattr("ctxplug.storage.sqlite.integrity.scrub", killed)
        with pytest.raises(SystemExit):
            backend.erase_session(NS, CANARY)
        monkeypatch.undo()
        assert backend.read(secret) == []
    assert in_files(path)
    with SqliteBackend(path) as backend:
        if again:
            receipt = backend.erase_session(NS, CANARY)
            assert (receipt.entries, receipt.records, len(receipt.marks)) == (2, 1, 16)
            assert receipt.sessions == (CANARY,)
            assert backend.erase_session(NS, CANARY).marks == b""
        assert not in_files(path)
        assert backend.check().problems == ()


def test_a_receipt_of_a_session_finds_what_came_back(backend: Backend, tmp_path: Path) -> None:
    grow(backend)
    export = tmp_path / "all.jsonl"
    export.write_bytes(b"".join(export_lines(backend, [NS])))
    receipt = backend.erase_session(NS, "fork", "分支")
    report = verify_erased(backend, NS, receipt.to_dict())
    assert (report.ok, report.looked_at) == (True, 5 + 6)  # its entries, their records, and m
    everything = backend.erase(NS)
    assert (everything.entries, len(everything.marks)) == (5, 8 * 6)
    import_export(str(export), backend, PLUGINS)
    report = verify_erased(backend, NS, receipt)
    assert report.found == ("fork@4", "fork@5", "分支@5")
    assert verify_erased(backend, NS, everything).returned == 5 + 1


def test_messages_of_a_fork_are_counted_with_those_of_its_past(backend: Backend) -> None:
    grow(backend)

    def counted() -> list[int]:
        opened = [
            AgentMemory.open(backend, namespace=NS, session=s) for s in ("trip", "fork", "分支")
        ]
        return [memory.stats().messages for memory in opened]

    assert counted() == [5, 4, 5]
    backend.write(ArchiveLog(STREAM, 2, {}), ArchiveLog(FORK, 5, {}))
    assert counted() == [5, 4, 5]
    backend.write(Delete(NS, "trip@3"), Delete(NS, "trip@5"))
    assert counted() == [3, 3, 4]


# -- export and import -------------------------------------------------------------------------


def exported(backend: Backend) -> list[bytes]:
    return list(export_lines(backend, backend.namespaces()))


@pytest.mark.parametrize("shelved", [False, True], ids=["live", "archived"])
def test_forks_are_forks_again_after_an_import(
    backend: Backend, tmp_path: Path, shelved: bool
) -> None:
    grow(backend)
    file = tmp_path / "all.jsonl"
    lines = exported(backend)
    if shelved:
        backend.write(ArchiveLog(STREAM, 4, {}), ArchiveLog(FORK, 9, {4: "fork w4"}))
        assert exported(backend) == lines
    file.write_bytes(b"".join(lines))
    assert len(lines) == 2 + 8 + 2 + 1  # both ends, entries once, forks, and the memory
    assert json.loads(lines[0]) == {"ctxplug_export": 2}
    with InMemoryBackend() as two:
        receipt = import_export(str(file), two, PLUGINS)
        assert (receipt.sessions, receipt.entries, receipt.records) == (3, 8, 1)
        for stream in (STREAM, FORK, MORE):
            assert texts(two, stream) == texts(backend, stream)
            assert two.lineage(stream) == backend.lineage(stream)
        infos = conversations(two, NS)
        told = [(i.session, i.version, i.parent, i.forked, i.created_at) for i in infos]
        assert told[1:] == [("fork", 5, "trip", 3, at(50)), ("分支", 5, "fork", 4, at(60))]
        assert sum(info.version - info.forked for info in infos) == 8
        found = {r.id: r.access_count for r in two.find(Where(NS))}
        assert found == {
            **{f"trip@{n}": 0 for n in range(1, 6)},
            "fork@4": 1,
            "分支@5": 0,
            "m": 0,
        }
        again = import_export(str(file), two, PLUGINS)
        assert (again.sessions, again.entries, again.records, again.present) == (0, 0, 0, 4)
        assert exported(two) == lines


def test_an_export_without_forks_is_as_it_was(backend: Backend) -> None:
    backend.write(note(1))
    lines = [json.loads(line) for line in exported(backend)]
    assert lines[0] == {"ctxplug_export": 1}
    assert lines[-1] == {"type": "end", "entries": 1, "records": 0}


@pytest.mark.parametrize(
    "make",
    [
        lambda: [note(1, FORK), note(2, FORK), note(3, FORK), said("fork 4", "w", FORK)],
        lambda: [Fork(FORK, "trip", 2), said("fork 4", "w", FORK)],
        lambda: [Fork(FORK, "other", 3), said("fork 4", "w", FORK)],
        lambda: [Fork(FORK, "trip", 3), said("fork 4", "w", FORK)],
    ],
    ids=["no fork", "at another place", "of another", "that went on"],
)
def test_an_import_does_not_write_over_what_differs(
    tmp_path: Path, make: Callable[[], list[Any]]
) -> None:
    file = tmp_path / "all.jsonl"
    with InMemoryBackend() as one, InMemoryBackend() as two:
        grow(one)
        file.write_bytes(b"".join(exported(one)))
        only = Append(stream=STREAM, kind="note", body={}, created_at=START)
        two.write(*[only] * 3, *[note(n, Stream(NS, "other")) for n in range(1, 4)], *make())
        before = exported(two)
        with pytest.raises(ConflictError, match="nothing was imported"):
            import_export(str(file), two, PLUGINS)
        assert exported(two) == before


def _changed(lines: list[bytes], number: int, **changes: Any) -> list[bytes]:
    data = {**json.loads(lines[number]), **changes}
    return [*lines[:number], json.dumps(data).encode() + b"\n", *lines[number + 1 :]]


DAMAGES: dict[str, Callable[[list[bytes], int], list[bytes]]] = {
    "the fork's line is missing": lambda lines, n: [*lines[:n], *lines[n + 1 :]],
    "the parent is missing": lambda lines, n: [lines[0], *lines[n:]],
    "the parent comes later": lambda lines, n: [lines[0], *lines[n : n + 3], *lines[1:n]],
    "the parent is too short": lambda lines, n: [*lines[: n - 3], *lines[n:]],
    "another parent": lambda lines, n: _changed(lines, n, parent="none"),
    "too far": lambda lines, n: _changed(lines, n, upto=6),
    "another place": lambda lines, n: _changed(lines, n, upto=2),
    "nowhere": lambda lines, n: _changed(lines, n, upto=0),
    "no number": lambda lines, n: _changed(lines, n, upto=True),
    "text": lambda lines, n: _changed(lines, n, upto="3"),
    "no time": lambda lines, n: _changed(lines, n, created_at="soon"),
    "twice": lambda lines, n: [*lines[: n + 1], *lines[n:]],
    "no session": lambda lines, n: _changed(lines, n, session=""),
    "another session": lambda lines, n: _changed(lines, n, session="x"),
    "one less": lambda lines, n: _changed(lines, -1, forks=1)[: len(lines)],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_export_of_forks_is_refused_and_changes_nothing(
    tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "all.jsonl"
    with InMemoryBackend() as one, InMemoryBackend() as two:
        grow(one)
        lines = exported(one)
        assert json.loads(lines[6])["type"] == "fork"
        file.write_bytes(b"".join(DAMAGES[damage](lines, 6)))
        with pytest.raises(TranscriptError, match=r"all\.jsonl"):
            import_export(str(file), two, PLUGINS)
        assert two.namespaces() == []


def test_a_fork_in_a_transcript_is_the_whole_conversation(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    with InMemoryBackend() as backend:
        grow(backend)
        backend.write(Fork(Stream(NS, "same"), "trip", 2))
        file.write_bytes(b"".join(exported(backend)))
        for conversation in (found := list(read_transcript(file))):
            said_there = texts(backend, Stream(NS, conversation.name))
            told = [message.text for message in conversation.messages]
            assert told == [text for text in said_there if text != "note"]
    assert [conversation.name for conversation in found] == ["trip", "fork", "分支", "same"]


# -- names that are kept -----------------------------------------------------------------------


def test_namespaces_of_ctxplug_are_refused_to_users(tmp_path: Path) -> None:
    own = PRIVATE
    for name in (own, f"{own}/a", (own, "a")):
        with pytest.raises(InvalidNamespaceError, match="choose another name"):
            to_namespace(name)
        with pytest.raises(InvalidNamespaceError):
            AgentMemory.open("memory:", namespace=name)
    assert to_labels(f"{own}/a") == (own, "a")
    assert to_namespace(f"a/{own}") == ("a", own)
    assert to_namespace("ctxplug:store") == ("ctxplug:store",)  # an adapter's own
    file = tmp_path / "own.jsonl"
    with InMemoryBackend() as one, InMemoryBackend() as two:
        one.write(Put(memory("m", namespace=(own,))), note(1, Stream((own,), "s")))
        lines = list(export_lines(one, [(own,)]))
        for chosen in (lines[1:2], lines[2:3]):
            kind = json.loads(chosen[0])["type"]
            end = {"type": "end", "entries": kind == "entry", "records": kind == "record"}
            end = {
                key: int(value) if value in (True, False) else value for key, value in end.items()
            }
            file.write_bytes(b"".join([lines[0], *chosen, json.dumps(end).encode() + b"\n"]))
            with pytest.raises(TranscriptError, match="choose another name"):
                import_export(str(file), two, PLUGINS)
