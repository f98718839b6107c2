"""The audit log of several processes, of which some are killed, is whole and verifies."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from ctxplug import AgentMemory
from ctxplug.audit import AuditPolicy
from ctxplug.audit.verify import verify_store
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.children import start_python

NS = "acme/alice"

# A line is written only after the call returned.
CHILD = """
import json, os, random, sys
from ctxplug import AgentMemory
from ctxplug.audit import AuditPolicy
path, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
chance = random.Random(seed)
memory = AgentMemory.open(
    path, namespace="acme/alice", session=f"s{seed}", agent=f"a{seed}", counter="estimate",
    audit=AuditPolicy(seal_every=3),
)
for number in range(count):
    what = chance.choice(["remember", "remember", "forget", "note", "flush", "erase"])
    if what == "remember":
        id = memory.remember(f"Agent {seed} knows thing {number} 里斯本").id
    elif what == "forget":
        id = memory.remember(f"Agent {seed} forgets thing {number}").id
        memory.forget(id)
    elif what == "note":
        id = f"{seed}-{number}"
        memory.audit.note("note", ids=[id])
    elif what == "flush":
        memory.audit.flush()
        continue
    elif number % 7 == 0:
        other = memory.beside(namespace=f"scratch/{seed}")
        other.remember(f"thing {number}")
        other.erase()
        continue
    else:
        continue
    os.write(1, (json.dumps({"what": what, "id": id}) + chr(10)).encode())
memory.close()
"""


def acknowledged(path: Path, seed: str, *, kill: bool) -> list[dict[str, str]]:
    """Run a child, to its end or until it is killed, and return its lines."""
    count = 10**6 if kill else 40
    child = start_python(CHILD, str(path), seed, str(count), stdout=-1, stderr=-1)
    assert child.stdout
    assert child.stderr
    lines = [child.stdout.readline()]
    if kill:
        threading.Timer(random.Random(seed).uniform(0.01, 0.15), child.kill).start()
    lines += child.stdout
    complaints = child.stderr.read().decode(errors="replace")
    assert child.wait() == (-signal.SIGKILL if kill else 0), complaints
    child.stdout.close()
    child.stderr.close()
    return [json.loads(line) for line in lines]


def require_whole(path: Path, told: list[dict[str, str]]) -> None:
    """Fail unless every change is there with its entry, each entry once, and all verifies."""
    with SqliteBackend(path) as backend:
        assert backend.check().ok
        report = verify_store(backend)
        assert report.ok, report.problems
        with AgentMemory.open(backend, namespace=NS, counter="estimate") as memory:
            entries = memory.audit.entries()
            seen = {(entry.what, id) for entry in entries for id in entry.ids}
            missing = [line for line in told if (line["what"], line["id"]) not in seen]
            assert not missing
            there = {record.id for record in memory.memories(include_superseded=True)}
            remembered = {id for what, id in seen if what == "remember"}
            forgotten = {id for what, id in seen if what == "forget"}
            assert there == remembered - forgotten  # a change and its entry are one write
            memory.audit.flush()
            assert memory.audit.verify().unsealed == 0
        assert verify_store(backend).ok


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_what_was_acknowledged_before_a_kill_is_entered(tmp_path: Path, seed: str) -> None:
    require_whole(tmp_path / "agent.db", acknowledged(tmp_path / "agent.db", seed, kill=True))


@pytest.mark.slow
def test_hundred_kills_leave_a_log_that_verifies(tmp_path: Path) -> None:
    chance = random.Random(seed := os.urandom(4).hex())
    told = []
    for _ in range(100):
        told += acknowledged(tmp_path / "agent.db", f"{chance.random()}", kill=True)
    assert len(told) > 100, seed
    require_whole(tmp_path / "agent.db", told)


def test_two_processes_that_write_and_seal_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    told: list[dict[str, str]] = []
    threads = [
        threading.Thread(target=lambda n=n: told.extend(acknowledged(path, f"{n}", kill=False)))
        for n in range(2)
    ]
    with AgentMemory.open(
        path, namespace=NS, counter="estimate", audit=AuditPolicy(seal_every=2)
    ) as memory:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            memory.remember("Written meanwhile by this one")
            assert memory.audit.verify().ok
        for thread in threads:
            thread.join()
    assert len({line["id"] for line in told}) > 20
    require_whole(path, told)
    with SqliteBackend(path) as backend:
        report = verify_store(backend)
    assert report.chains - report.erased == 1
