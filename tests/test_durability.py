"""What was acknowledged survives kill -9 and power loss, and many processes at once."""

from __future__ import annotations

import json
import random
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctxplug import AgentMemory
from ctxplug.errors import StorageError
from ctxplug.storage import ArchiveLog, ArchiveRecords, Fork, Op, Put, Stream, Unarchive, Where
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.storage.sqlite.backend import Synchronous
from ctxplug.testing.backend_data import NS, STREAM, memory, note, numbers, said
from ctxplug.testing.children import run_python, start_python
from ctxplug.testing.disks import RecordingDisk, write_files

IDS = tuple(f"m{number}" for number in range(100))

# -- kill -9 -----------------------------------------------------------------------------------

# Every unit has a word of its own, which all of its messages hold. A line is written only
# after the call returned; lines are shorter than a pipe's atomic write.
CHILD = """
import json, os, random, sys, threading
from ctxplug import AgentMemory, Message
from ctxplug.storage import Fork, Stream
from ctxplug.testing.backend_data import said
path, seed, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])

def acknowledge(**unit):
    os.write(1, (json.dumps(unit) + chr(10)).encode())

def run(thread):
    chance = random.Random(f"{seed} {thread}")
    memory = AgentMemory.open(
        path, namespace="acme/alice", session=f"s{thread}", counter="estimate"
    )
    remembered, space = [], memory.scope.namespace
    for number in range(10**6):
        word = f"unit{seed}x{thread}x{number}"
        often, seldom = ["add", "extend"], ["remember", "forget", "erase", "fork"]
        what = chance.choice([*often, *often, *seldom])
        unit = {"thread": thread, "number": number, "word": word}
        if what == "add":
            memory.add("user", f"{word} 1/1 " + "x" * chance.randrange(3000))
        elif what == "extend":
            size = chance.randrange(2, 6)
            texts = [f"{word} {i}/{size} 里斯本" for i in range(1, size + 1)]
            memory.extend([Message("user", text) for text in texts])
            unit["size"] = size
        elif what == "remember":
            remembered.append((memory.remember(f"{word} 1/1 喜欢靠窗").id, word))
        elif what == "forget" and remembered:
            id, unit["word"] = remembered.pop(chance.randrange(len(remembered)))
            memory.forget(id)
        elif what == "fork" and (head := memory.backend.head(Stream(space, f"s{thread}"))):
            fork, at = Stream(space, word), chance.randrange(1, head + 1)
            own = said(f"{word} 1/1 分支", f"{word} 分支", fork, expected=at)
            memory.backend.write(Fork(fork, f"s{thread}", at), own)
            if number % 3 == 0:
                memory.backend.erase_session(space, word)
                continue
        elif what == "erase" and number % 5 == 0:
            other = AgentMemory.open(path, namespace=f"scratch/{thread}", counter="estimate")
            with other:
                other.add("user", f"{word} 1/1")
                other.erase()
        else:
            continue
        acknowledge(what=what, **unit)

for thread in range(threads):
    threading.Thread(target=run, args=(thread,)).start()
"""


def acknowledged_until_killed(path: Path, seed: str, threads: int) -> list[dict[str, Any]]:
    """Run the child, kill it 20 to 400 ms after its first line, and return all its lines."""
    child = start_python(CHILD, str(path), seed, str(threads), stdout=-1, stderr=-1)
    assert child.stdout
    assert child.stderr
    first = child.stdout.readline()
    killer = threading.Timer(random.Random(seed).uniform(0.02, 0.4), child.kill)
    killer.start()
    lines = [first, *child.stdout]
    complaints = child.stderr.read().decode(errors="replace")
    killer.join()
    assert child.wait() == -signal.SIGKILL, complaints
    child.stdout.close()
    child.stderr.close()
    return [json.loads(line) for line in lines]


def require_all(path: Path, units: list[dict[str, Any]]) -> None:
    """Fail if an acknowledged unit is missing, or one that was not is there in part."""
    with AgentMemory.open(path, namespace="acme/alice", counter="estimate") as memory:
        report = memory.check()
        assert report.ok, report.problems
        parts = parts_by_word(memory)
        forgotten = {unit["word"] for unit in units if unit["what"] == "forget"}
        expected = {
            unit["word"]: unit.get("size", 1)
            for unit in units
            if unit["what"] in ("add", "extend", "remember", "fork")
            and unit["word"] not in forgotten
        }
        threads = {unit["thread"] for unit in units}
        missing = [word for word, size in expected.items() if parts.pop(word, None) != {size: size}]
        # A thread's last call may have been at work unacknowledged: forgotten, or wholly there.
        assert all([*sizes] == [*sizes.values()] and len(sizes) == 1 for sizes in parts.values())
        assert len(missing) + len(parts) <= len(threads), (missing, parts)
        remembered = {unit["word"] for unit in units if unit["what"] == "remember"}
        assert set(missing) <= remembered
        for word in set(expected) - set(missing):
            found = memory.recall(word, k=20)
            texts = [one.record.content for one in found]
            assert sum(word in text.split() for text in texts) == expected[word]


def parts_by_word(memory: AgentMemory) -> dict[str, dict[int, int]]:
    """Return, for each unit's word, how many parts there are of a unit of so many."""
    backend, namespace = memory.backend, memory.scope.namespace
    texts = [record.content for record in backend.find(Where(namespace, kinds=["fact"]))]
    for info in backend.sessions(namespace):
        entries = backend.read(Stream(namespace, info.session))
        assert [entry.version for entry in entries] == list(range(1, info.version + 1))
        own = entries[info.forked :]
        texts += [
            entry.body["message"]["content"][0]["text"] for entry in own if "message" in entry.body
        ]
    found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for text in texts:
        word, part = text.split()[:2]
        found[word][int(part.split("/")[1])] += 1
    return {word: dict(sizes) for word, sizes in found.items()}


@pytest.mark.parametrize("seed", range(10))
def test_nothing_acknowledged_is_lost_to_kill_9(tmp_path: Path, seed: int) -> None:
    threads = 1 if seed % 2 else 4
    units = acknowledged_until_killed(tmp_path / "agent.db", f"{seed}", threads)
    require_all(tmp_path / "agent.db", units)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 30))
def test_nothing_acknowledged_is_lost_to_one_kill_after_another(tmp_path: Path, seed: int) -> None:
    """Five kills on one file: what one leaves behind, the next begins with."""
    units: list[dict[str, Any]] = []
    for kill in range(5):
        fresh = acknowledged_until_killed(tmp_path / "agent.db", f"{seed}k{kill}", 1 + seed % 4)
        for unit in fresh:
            unit["thread"] = f"{kill} {unit['thread']}"
        units += fresh
        require_all(tmp_path / "agent.db", units)


# -- power loss --------------------------------------------------------------------------------


class PowerLoss:
    """A recorded run of work on a disk, from which the power can be cut at any moment."""

    def __init__(self, folder: Path, synchronous: Synchronous) -> None:
        path = folder / "agent.db"
        SqliteBackend(path).close()
        self.start = {str(path): path.read_bytes()}
        self.acknowledged: list[int] = []  # the moment of each unit
        with RecordingDisk() as self.disk:
            for _ in range(2):
                with SqliteBackend(path, synchronous=synchronous) as backend:
                    for _ in range(120):
                        self._write_a_unit(backend)
                        if len(self.acknowledged) == 150:
                            backend.erase(("scratch",))

    def _write_a_unit(self, backend: SqliteBackend) -> None:
        number = len(self.acknowledged)
        text = random.Random(number).randbytes(3000).hex()
        backend.write(
            note(number),
            said(text, f"word{number} 消息"),
            Put(memory(f"m{number}", text), f"word{number}"),
            note(number, Stream(("scratch",), "s")),
        )
        self.acknowledged.append(self.disk.moment)

    def lost(self, folder: Path, seed: int, *, lying: bool = False) -> int:
        """Cut the power; return how many acknowledged units are gone from a sound store.

        Raises StorageError or AssertionError if the store is not sound.
        """
        moment = random.Random(seed).randrange(self.acknowledged[0], self.disk.moment + 1)
        files = self.disk.after_power_loss(moment, self.start, seed, lying=lying)
        place = folder / f"{seed}"
        place.mkdir()
        write_files(files, place)
        with SqliteBackend(place / "agent.db") as backend:
            assert backend.check().problems == ()
            there = numbers(backend.read(STREAM, kinds=["note"]))
            assert there == list(range(len(there)))
            assert backend.head(STREAM) == 2 * len(there)
            assert backend.count(Where(NS, kinds=["fact"])) == len(there)
            for number in range(0, len(there) + 1):
                hits = backend.search(Where(NS), terms=[f"word{number}"])
                assert len(hits) == (2 if number < len(there) else 0)
            backend.write(note(len(there)))
        return max(0, sum(ack <= moment for ack in self.acknowledged) - len(there))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerLoss]:
    yield PowerLoss(tmp_path_factory.mktemp("full"), "full")


@pytest.fixture(scope="module")
def normal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerLoss]:
    yield PowerLoss(tmp_path_factory.mktemp("normal"), "normal")


def test_nothing_acknowledged_is_lost_when_the_power_fails(full: PowerLoss, tmp_path: Path) -> None:
    assert [full.lost(tmp_path, seed) for seed in range(20)] == [0] * 20


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_200_power_failures(
    full: PowerLoss, tmp_path: Path
) -> None:
    assert [full.lost(tmp_path, seed) for seed in range(20, 220)] == [0] * 200


def test_synchronous_normal_may_lose_the_newest_and_damages_nothing(
    normal: PowerLoss, tmp_path: Path
) -> None:
    losses = [normal.lost(tmp_path, seed) for seed in range(12)]
    assert any(losses), "the simulation loses too little"


def test_the_simulation_shows_the_loss_on_a_disk_that_does_not_sync(
    full: PowerLoss, tmp_path: Path
) -> None:
    """The negative control: the same run, as if nothing had ever been synced."""
    bad = 0
    for seed in range(12):
        try:
            bad += full.lost(tmp_path, seed, lying=True) > 0
        except (StorageError, AssertionError):
            bad += 1
    assert bad >= 8


class PowerLossWhileForking:
    """A recorded run that forks sessions, archives parts of them, and erases some."""

    def __init__(self, folder: Path) -> None:
        path = folder / "agent.db"
        SqliteBackend(path).close()
        self.start = {str(path): path.read_bytes()}
        self.logs: dict[str, list[int]] = {"s0": []}  # as they are in the end, erased ones too
        self.moments: list[tuple[int, str, int]] = []  # when what was so long, or -1: erased
        with RecordingDisk() as self.disk, SqliteBackend(path) as backend:
            for number in range(1, 100):
                self._write_a_unit(backend, number, random.Random(number))

    def _write_a_unit(self, backend: SqliteBackend, number: int, chance: random.Random) -> None:
        alive = [name for name in self.logs if (name, -1) not in {m[1:] for m in self.moments}]
        name = chance.choice(alive)
        ops: list[Op] = []
        if number % 4 == 0 and self.logs[name]:
            parent, name = name, f"s{number}"
            upto = chance.randrange(1, len(self.logs[parent]) + 1)
            ops.append(Fork(Stream(NS, name), parent, upto))
            self.logs[name] = self.logs[parent][:upto]
        stream = Stream(NS, name)
        backend.write(*ops, said(f"{number} {'x' * 500}", f"w{number}", stream))
        self.logs[name].append(number)
        self.moments.append((self.disk.moment, name, len(self.logs[name])))
        if number % 7 == 0:
            terms = {version: f"w{n}" for version, n in enumerate(self.logs[name], 1)}
            backend.write(ArchiveLog(stream, chance.randrange(len(terms) + 1), terms))
        if number % 5 == 1:
            backend.write(Unarchive(NS, chance.choice(alive), most=chance.randrange(9)))
        if number % 9 == 0 and number % 4 == 0:  # it is new, so nothing is a fork of it
            backend.erase_session(NS, name)
            self.moments.append((self.disk.moment, name, -1))

    def require_all(self, folder: Path, seed: int) -> None:
        moment = random.Random(seed).randrange(self.moments[0][0], self.disk.moment + 1)
        folder.mkdir()
        write_files(self.disk.after_power_loss(moment, self.start, seed), folder)
        least: dict[str, int] = {}
        for when, name, length in self.moments:
            if when <= moment:
                least[name] = length
        erased = {name for name, length in least.items() if length < 0}
        with SqliteBackend(folder / "agent.db") as backend:
            assert backend.check().problems == ()
            there = {info.session: info.version for info in backend.sessions(NS)}
            assert not erased & there.keys()
            missing = least.keys() - erased - there.keys()
            going = {n for n in missing if n in {m[1] for m in self.moments if m[2] < 0}}
            assert missing == going  # its erasure was not acknowledged yet
            grown = sum(there.get(name, 0) - least.get(name, 0) for name in there)
            for name, version in there.items():
                entries = backend.read(Stream(NS, name))
                said_there = [e.body["message"]["content"][0]["text"] for e in entries]
                told = [int(text.split()[0]) for text in said_there]
                assert told == self.logs[name][:version]
                assert version >= least.get(name, 0)
            assert len(there.keys() - least.keys()) <= 1
            assert len(missing) <= 1, grown


def test_no_fork_is_lost_or_mixed_up_when_the_power_fails(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    run = PowerLossWhileForking(tmp_path / "made")
    for seed in range(20):
        run.require_all(tmp_path / f"{seed}", seed)


@pytest.mark.slow
def test_no_fork_is_lost_or_mixed_up_in_200_power_failures(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    run = PowerLossWhileForking(tmp_path / "made")
    for seed in range(20, 220):
        run.require_all(tmp_path / f"{seed}", seed)


class PowerLossWhileArchiving:
    """A recorded run that moves a log and records into the archive and out of it."""

    def __init__(self, folder: Path) -> None:
        path = folder / "agent.db"
        SqliteBackend(path).close()
        self.start = {str(path): path.read_bytes()}
        self.acknowledged: list[int] = []
        with RecordingDisk() as self.disk, SqliteBackend(path) as backend:
            for number in range(90):
                text = f"word{number} {random.Random(number).randbytes(300).hex()}"
                backend.write(said(text, f"word{number}"), Put(memory(f"m{number}"), "m"))
                self.acknowledged.append(self.disk.moment)
                if number % 6 == 5:
                    terms = {n + 1: f"word{n}" for n in range(number + 1)}
                    records = tuple(backend.find(Where(NS, kinds=["fact"])))
                    backend.write(ArchiveLog(STREAM, number - 2, terms))
                    backend.write(ArchiveRecords(NS, records, dict.fromkeys(IDS, "m")))
                if number % 24 == 20:
                    backend.write(Unarchive(NS, "trip", most=10), Unarchive(NS, ids=IDS[:9]))
                if number % 30 == 29:
                    backend.write(Put(memory("x", namespace=("scratch",))))
                    backend.erase(("scratch",))

    def require_all(self, folder: Path, seed: int) -> None:
        moment = random.Random(seed).randrange(self.acknowledged[0], self.disk.moment + 1)
        folder.mkdir()
        write_files(self.disk.after_power_loss(moment, self.start, seed), folder)
        acknowledged = sum(ack <= moment for ack in self.acknowledged)
        with SqliteBackend(folder / "agent.db") as backend:
            assert backend.check().problems == ()
            texts = [e.body["message"]["content"][0]["text"] for e in backend.read(STREAM)]
            assert [text.split()[0] for text in texts] == [f"word{n}" for n in range(len(texts))]
            assert acknowledged <= len(texts) <= acknowledged + 1
            everything = [
                *backend.find(Where(NS)),
                *(a.record for a in backend.archived(Where(NS))),
            ]
            ids = {f"m{n}" for n in range(len(texts))} | {
                f"trip@{n + 1}" for n in range(len(texts))
            }
            assert sorted(record.id for record in everything) == sorted(ids)
            backend.write(Unarchive(NS, "trip"), Unarchive(NS))
            for number in range(len(texts)):
                assert len(backend.search(Where(NS), terms=[f"word{number}"])) == 1
            assert len(backend.search(Where(NS), terms=["m"], limit=999)) == len(texts)
            assert backend.check().problems == ()


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_the_power_fails_while_archiving(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    run = PowerLossWhileArchiving(tmp_path / "made")
    for seed in range(100):
        run.require_all(tmp_path / f"{seed}", seed)


# -- many processes ------------------------------------------------------------------------------

MANY = """
import json, os, sys, threading
from ctxplug.storage import Stream
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.backend_data import NS, STREAM, note
path, processes, threads, each = sys.argv[1], *map(int, sys.argv[2:])
SqliteBackend(path).close()
go = os.pipe()

def work(process):
    backend = SqliteBackend(path, synchronous="normal", busy_seconds=120)
    got, errors = [], []

    def run(thread):
        own = Stream(NS, f"{process} {thread}")
        try:
            for i in range(each):
                number = (process * threads + thread) * each + i
                got.append([number, *backend.write(note(number), note(i, own))])
        except BaseException as exc:
            errors.append(repr(exc))

    workers = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    os.read(go[0], 1)
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    backend.close()
    with open(f"{path}.{process}.json", "w") as file:
        json.dump([got, errors], file)

for process in range(processes):
    if not os.fork():
        work(process)
        os._exit(0)
os.write(go[1], b"x" * processes)
print(json.dumps([os.wait()[1] for process in range(processes)]))
"""


def append_from_many_processes(path: Path, processes: int, threads: int, each: int) -> None:
    printed = run_python(MANY, str(path), str(processes), str(threads), str(each), seconds=280)
    assert json.loads(printed) == [0] * processes
    versions: dict[int, int] = {}
    for process in range(processes):
        got, errors = json.loads(Path(f"{path}.{process}.json").read_text())
        assert errors == []
        versions.update((version, number) for number, version, _ in got)
    total = processes * threads * each
    assert sorted(versions) == list(range(1, total + 1))
    with SqliteBackend(path) as backend:
        log = backend.read(STREAM)
        assert {entry.version: entry.body["number"] for entry in log} == versions
        assert sorted(versions.values()) == list(range(total))
        for process in range(processes):
            for thread in range(threads):
                own = backend.read(Stream(NS, f"{process} {thread}"))
                assert [(entry.version, entry.body["number"]) for entry in own] == [
                    (i + 1, i) for i in range(each)
                ]
        assert backend.check().problems == ()


def test_eight_processes_append_to_one_file(tmp_path: Path) -> None:
    append_from_many_processes(tmp_path / "agent.db", 8, 2, 6)


@pytest.mark.slow
def test_eight_processes_of_sixteen_threads_append_to_one_file(tmp_path: Path) -> None:
    append_from_many_processes(tmp_path / "agent.db", 8, 16, 40)


OPENING = """
import os, sys
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.backend_data import note
for process in range(8):
    if not os.fork():
        for i in range(int(sys.argv[2])):
            with SqliteBackend(sys.argv[1], synchronous="normal") as backend:
                backend.write(note(process * 1000 + i))
        os._exit(0)
print([os.wait()[1] for process in range(8)])
"""


def test_eight_processes_open_write_and_close_one_new_file(tmp_path: Path) -> None:
    """The last to close merges and removes the -wal file while others open theirs."""
    path = tmp_path / "agent.db"
    assert run_python(OPENING, str(path), "5").strip() == str([0] * 8)
    with SqliteBackend(path) as backend:
        expected = [process * 1000 + i for process in range(8) for i in range(5)]
        assert sorted(numbers(backend.read(STREAM))) == expected
        assert backend.check().problems == ()
    assert [file.name for file in tmp_path.iterdir()] == ["agent.db"]
