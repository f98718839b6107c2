"""Every public method of an agent's memory, in a namespace with a session that is closed to it.

What each returns, raises and tells is the same whether or not anything was ever said in that
session, and what is in it stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctxplug import AgentMemory, Message
from ctxplug.records import MemoryRecord
from ctxplug.storage import (
    Append,
    ArchiveLog,
    ArchiveRecords,
    Backend,
    Embed,
    Put,
    Stream,
    Where,
)
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.isolation_calls import CALLS
from ctxplug.testing.isolation_suite import _given, _run, public_methods, twin_of
from ctxplug.testing.isolation_world import (
    CANARIES,
    CHINESE,
    ENGLISH,
    LONG_AGO,
    OWN,
    THEIR_ARCHIVED,
    THEIR_ID,
    THEIR_SESSION,
    ToyEmbedder,
    fill_own,
)

SAID = f"{ENGLISH} {CHINESE} violin window Lisbon"
RULE = {
    "id": "f9" * 16,
    "action": "allow",
    "verbs": ["read", "write", "share"],
    "agent": "theirs",
    "session": THEIR_SESSION,
}


@pytest.fixture(params=["memory", pytest.param("sqlite", marks=pytest.mark.slow)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    store: Backend
    if request.param == "memory":
        store = InMemoryBackend()
    else:
        store = SqliteBackend(tmp_path / "agent.db", synchronous="normal")
    with store:
        yield store


def close_theirs(backend: Backend) -> None:
    """Close THEIR_SESSION to everybody but "theirs"."""
    stream = Stream(OWN, "ctxplug:access")
    backend.write(Append(stream=stream, kind="rule", body=RULE, created_at=LONG_AGO))


def fill_theirs(backend: Backend) -> None:
    """Say and remember things in THEIR_SESSION, and archive some of it."""
    with AgentMemory.open(
        backend, namespace=OWN, session=THEIR_SESSION, agent="theirs", counter="estimate"
    ) as memory:
        memory.extend([Message("user", f"{SAID} {n}", created_at=LONG_AGO) for n in range(3)])
    for id in (THEIR_ID, THEIR_ARCHIVED):
        record = MemoryRecord(
            namespace=OWN,
            id=id,
            kind="theirkind",
            content=SAID,
            tags=("theirtag",),
            metadata={ENGLISH: CHINESE},
            created_at=LONG_AGO,
            session=THEIR_SESSION,
            agent="theiragent",
        )
        backend.write(Put(record, SAID))
    if "vector" in backend.capabilities:
        vector = ToyEmbedder().embed([SAID])[0]
        backend.write(Embed(OWN, THEIR_ID, ToyEmbedder.name, vector))
    terms = {version: SAID for version in range(1, 4)}
    backend.write(
        ArchiveLog(Stream(OWN, THEIR_SESSION), 2, terms),
        ArchiveRecords(OWN, (record,), {record.id: SAID}),
    )


def theirs(backend: Backend) -> list[Any]:
    """Return all that is in THEIR_SESSION."""
    where = Where(OWN, session=THEIR_SESSION)
    held = [backend.read(Stream(OWN, THEIR_SESSION)), backend.find(where)]
    held.append([one.record for one in backend.archived(where)])
    return held


@pytest.mark.parametrize("name", CALLS)
def test_no_method_shows_or_changes_a_closed_session(backend: Backend, name: str) -> None:
    names = [one for one in (name, twin_of(name)) if one in set(public_methods())]
    results = []
    for full in (False, True):
        for one in names:
            fill_own(backend)
            close_theirs(backend)
            if full:
                fill_theirs(backend)
                before = theirs(backend)
            results.append(_run(backend, one, CALLS[name]()))
            if full:
                assert theirs(backend) == before
            backend.erase(OWN)
    half = len(names)
    for alone, among in zip(results[:half], results[half:], strict=True):
        spilled = [canary for canary in CANARIES if canary in among[0]]
        assert not set(spilled) - _given(name), among[0]
        assert among[0] == alone[0]
        assert among[1] == pytest.approx(alone[1], rel=0.01, abs=0.01)
