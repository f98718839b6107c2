"""Erasing leaves nothing, in no form, and its receipt can be verified later."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ctxplug import AgentMemory, Message, ToolCallPart, ToolResultPart
from ctxplug.cli.app import app
from ctxplug.errors import InvalidValueError
from ctxplug.exchange import export_lines, import_export
from ctxplug.plugins import Plugins
from ctxplug.storage import Append, Backend, Embed, EraseReceipt, Put, Stream, Where, conversations
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend

PLUGINS = Plugins(load_entry_points=False)
NS, OTHER = ("acme", "alice"), ("acme", "bob")
LONG_AGO = datetime.now(UTC) - timedelta(days=90)
ENGLISH, CHINESE = "zqvkanarienvogelx", "驤麤龘靐齉"
STEMS = ("zqvkanarienvogelx", "驤麤", "麤龘", "龘靐", "靐齉")
VECTOR = [0.6, 0.8]


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


def memory_on(backend: Backend, namespace: Any = NS, session: str = "s") -> AgentMemory:
    return AgentMemory.open(
        backend, namespace=namespace, session=session, plugins=PLUGINS, counter="estimate"
    )


def live_a_life(backend: Backend, canary: str) -> AgentMemory:
    """Leave `canary` in every place that a memory has: live, archived, replaced, forgotten."""
    for session, at in (("old", LONG_AGO), (f"s{canary[:4]}", datetime.now(UTC))):
        memory = memory_on(backend, session=session)
        memory.add("system", f"Remember {canary}.", created_at=at)
        for turn in range(30):
            memory.add("user", f"{turn} {canary} where?", metadata={canary: [canary]}, name=canary)
            call = ToolCallPart(f"c{turn}", "find", {canary: canary})
            memory.add(Message("assistant", [call], created_at=at))
            long = f"{canary} row {turn}\n" * 200
            memory.add(Message("tool", [ToolResultPart(f"c{turn}", long)], created_at=at))
            memory.add("assistant", f"In {canary}.", created_at=at)
    memory.context(canary, budget=3_000)
    memory.record_usage({"input_tokens": 9, "output_tokens": 1, "model": canary})
    kept = memory.remember(f"Likes {canary}", tags=[canary], importance=0.5)
    gone = memory.remember(f"Hates {canary}")
    backend.write(Put(kept.evolve(id=f"{kept.id}b", created_at=LONG_AGO, valid_from=None), canary))
    if "vector" in backend.capabilities:
        backend.write(Embed(NS, kept.id, canary, VECTOR))
    memory.forget(gone.id)
    memory.archive(timedelta(0), sessions="old")
    memory.archive()
    return memory


def forms(canary: str) -> list[bytes]:
    """Return how `canary` may stand in a file.

    Sorted words are stored without the bytes that they share with the word before.
    """
    escaped = json.dumps(canary).strip('"').encode()
    utf16 = [canary.encode(f"utf-16-{order}") for order in ("le", "be")]
    return [canary.encode()[2:], escaped, *utf16]


def found_in(path: Path) -> set[str]:
    """Return which canaries are in the files of a store, also inside of what is compressed."""
    files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
    raw = b"".join(file.read_bytes() for file in files if file.exists())
    texts = [raw, *inflated(raw)]
    return {stem for stem in STEMS for form in forms(stem) if any(form in text for text in texts)}


def inflated(raw: bytes) -> Iterator[bytes]:
    """Yield what any run of bytes that may be compressed holds, as far as it goes."""
    start = raw.find(b"\x78\x9c")
    while start >= 0:
        stream = zlib.decompressobj()
        with suppress(zlib.error):
            yield stream.decompress(raw[start : start + 2**16])
        start = raw.find(b"\x78\x9c", start + 1)


@pytest.mark.parametrize("canary", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_nothing_is_left_in_the_files_or_in_a_backup(tmp_path: Path, canary: str) -> None:
    path = tmp_path / "agent.db"
    stems = {stem for stem in STEMS if stem in canary}
    with SqliteBackend(path) as backend:
        other = memory_on(backend, OTHER)
        other.add("user", "plain words 普通")
        memory = live_a_life(backend, canary)
        assert found_in(path) == stems
        backend.backup(str(tmp_path / "before.db"))
        assert found_in(tmp_path / "before.db") == stems
        receipt = memory.erase()
        assert found_in(path) == set()
        backend.backup(str(tmp_path / "after.db"))
        assert found_in(tmp_path / "after.db") == set()
        assert receipt.remaining == 0
        assert memory.verify_erased(receipt).ok
        assert [one.record.content for one in other.recall("普通")] == ["plain words 普通"]
        assert backend.check().problems == ()
        assert backend.namespaces() == [OTHER]
    assert found_in(path) == set()


def test_the_byte_scan_sees_what_is_only_in_the_archive(tmp_path: Path) -> None:
    """The control: once everything is archived, only inflating finds the text."""
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        memory = memory_on(backend)
        memory.extend([Message("user", f"{i} {ENGLISH}", created_at=LONG_AGO) for i in range(50)])
        memory.archive()
        backend.backup(str(tmp_path / "copy.db"))
    raw = (tmp_path / "copy.db").read_bytes()
    assert not any(form in raw for form in forms(ENGLISH))
    assert found_in(tmp_path / "copy.db") == {ENGLISH}


def test_the_receipt_counts_all_kinds_and_tells_nothing(backend: Backend) -> None:
    memory = live_a_life(backend, CHINESE)
    state = backend.archive_state(NS)
    entries = sum(info.version for info in conversations(backend, NS))
    views = len(backend.find(Where(NS))) + len(backend.archived(Where(NS)))
    assert state.entries > 100
    assert state.records == 1
    before = datetime.now(UTC)
    receipt = memory.erase()
    assert (receipt.entries, receipt.records) == (entries, views)
    assert receipt.vectors == ("vector" in backend.capabilities)
    archived_views = 121  # of the old session, and the aged memory
    assert receipt.archived == state.entries + archived_views + 1
    assert before <= receipt.erased_at <= datetime.now(UTC)
    text = json.dumps(receipt.to_dict(), ensure_ascii=False)
    assert "old" not in text.replace("remaining", "")
    assert not any(stem in f"{text}{receipt!r}" for stem in STEMS)
    assert len(text) < 16 * (entries + views) + 400
    again = EraseReceipt.from_dict(json.loads(text))
    assert again == receipt
    assert memory.erase().entries == 0


def test_two_receipts_of_the_same_things_cannot_be_compared(tmp_path: Path) -> None:
    """Marks are salted: they do not show that two stores held the same."""
    message = Message("user", "same")
    receipts = []
    for _ in range(2):
        with InMemoryBackend() as backend:
            memory_on(backend).add(message)
            receipts.append(backend.erase(NS))
    assert receipts[0].marks != receipts[1].marks
    assert len(receipts[0].marks) == len(receipts[1].marks) == 8


def test_new_things_are_not_taken_for_what_was_erased(backend: Backend) -> None:
    memory = live_a_life(backend, ENGLISH)
    receipt = memory.erase()
    empty = memory.verify_erased(receipt)
    assert (empty.ok, empty.returned, empty.found, empty.looked_at) == (True, 0, (), 0)
    live_a_life(backend, ENGLISH)
    report = memory.verify_erased(receipt.to_dict())
    assert report.ok
    assert report.looked_at > 200


@pytest.mark.parametrize("shelved", [False, True], ids=["live", "archived"])
def test_what_comes_back_by_an_import_is_named(
    backend: Backend, tmp_path: Path, shelved: bool
) -> None:
    memory = memory_on(backend, session="trip")
    messages = [Message("user", f"secret {i}", created_at=LONG_AGO) for i in range(3)]
    memory.extend(messages)
    at = messages[0].created_at
    backend.write(
        Append(stream=Stream(NS, "ctxplug:usage"), kind="step", body={"n": 1}, created_at=at)
    )
    memory.remember("a secret", importance=0.5)
    [fact] = backend.find(Where(NS, kinds=["fact"]))
    export = tmp_path / "all.jsonl"
    export.write_bytes(b"".join(export_lines(backend, [NS])))
    receipt = memory.erase()
    import_export(str(export), backend, PLUGINS)
    if shelved:
        memory.archive(timedelta(0))
        assert backend.archive_state(NS).entries == 3
    report = memory.verify_erased(receipt)
    assert not report.ok
    assert report.returned == 5
    names = {"trip@1", "trip@2", "trip@3", "ctxplug:usage@1", fact.id}
    assert set(report.found) == names
    second = memory.erase()
    assert memory.verify_erased(receipt).ok
    assert memory.verify_erased(second).ok
    memory_on(backend, session="elsewhere").add(messages[1])
    assert memory.verify_erased(receipt).found == ("elsewhere@1",)


def test_a_restored_backup_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        memory = live_a_life(backend, ENGLISH)
        backend.backup(str(tmp_path / "copy.db"))
        receipt = memory.erase()
        returned = len(receipt.marks) // 8
    (tmp_path / "copy.db").replace(path)
    with SqliteBackend(path) as backend:
        report = memory_on(backend).verify_erased(receipt)
        assert not report.ok
        assert report.returned == returned
        assert len(report.found) == 100
        assert ENGLISH not in f"{report}"


def test_a_receipt_of_another_namespace_or_none_at_all_is_refused(backend: Backend) -> None:
    memory, other = memory_on(backend), memory_on(backend, OTHER)
    other.add("user", "bob")
    receipt = other.erase()
    with pytest.raises(InvalidValueError, match="not of 'acme/alice'"):
        memory.verify_erased(receipt)
    good = receipt.to_dict()
    for wrong in (
        {},
        {**good, "entries": -1},
        {**good, "records": True},
        {**good, "marks": "!"},
        {**good, "marks": good["marks"][:4]},
        {**good, "salt": "AAAA"},
        {**good, "namespace": []},
        {**good, "erased_at": "then"},
    ):
        with pytest.raises(InvalidValueError):
            other.verify_erased(wrong)


async def test_the_twin(backend: Backend) -> None:
    memory = memory_on(backend)
    memory.add("user", "x")
    receipt = await memory.aerase()
    assert (await memory.averify_erased(receipt)).ok


def test_what_waited_to_be_counted_is_not_written_after_an_erasure(backend: Backend) -> None:
    memory = memory_on(backend)
    memory.remember("window seat")
    memory.recall("window")
    memory.erase()
    memory.add("user", "new")
    assert [record.access_count for record in backend.find(Where(NS))] == [0]


# -- the command ---------------------------------------------------------------------------------


def run(*arguments: str, **options: Any) -> Any:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False, **options)


def test_the_command_asks_erases_and_verifies(tmp_path: Path) -> None:
    path, receipt = tmp_path / "agent.db", tmp_path / "receipt.json"
    with SqliteBackend(path) as backend:
        live_a_life(backend, ENGLISH)
        memory_on(backend, OTHER).add("user", "bob")
        export = tmp_path / "all.jsonl"
        export.write_bytes(b"".join(export_lines(backend, [NS])))
    target = str(path)
    assert "namespace" in run("erase", target, "--yes").stderr
    refused = run("erase", target, "-n", "acme/alice", input="n\n")
    assert refused.exit_code == 1
    assert "Nothing was erased" in refused.stderr
    assert found_in(path) == {ENGLISH}
    done = run("erase", target, "-n", "acme/alice", "-r", str(receipt), input="y\n")
    assert (done.exit_code, "Erased acme/alice" in done.stdout) == (0, True)
    assert found_in(path) == set()
    assert ENGLISH not in receipt.read_text(encoding="utf-8")
    checked = run("erase", target, "--verify", str(receipt))
    assert (checked.exit_code, "come back" in checked.stdout) == (0, True)
    assert json.loads(run("erase", target, "--verify", str(receipt), "--json").stdout)["ok"]
    assert run("import", target, str(export)).exit_code == 0
    checked = run("erase", target, "--verify", str(receipt))
    assert checked.exit_code == 1
    assert "old@1" in checked.stdout
    again = run("erase", target, "-n", "acme/alice", "-r", str(receipt), "--yes")
    assert (again.exit_code, "exists already" in again.stderr) == (1, True)
    printed = json.loads(run("erase", target, "-n", "acme/alice", "--yes", "--json").stdout)
    assert printed["remaining"] == 0
    assert EraseReceipt.from_dict(printed).entries == printed["entries"] > 200
    with SqliteBackend(path) as backend:
        assert backend.namespaces() == [OTHER]
