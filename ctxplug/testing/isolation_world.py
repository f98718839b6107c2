"""Two worlds for the isolation suite: one namespace alone, and among others full of canaries."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ctxplug import AgentMemory, Message, hookimpl
from ctxplug.events import Event
from ctxplug.plugins import Plugins
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import (
    Append,
    ArchiveLog,
    ArchiveRecords,
    Backend,
    Embed,
    EraseReceipt,
    Op,
    Put,
    Stream,
    Where,
)
from ctxplug.tokens.ledger import Reservation
from ctxplug.tokens.usage import Usage

OWN: Namespace = ("acme", "alice")
# A parent, a child, siblings, and names that a careless eye or comparison takes for our own.
OTHERS: tuple[Namespace, ...] = (
    ("acme",),
    (*OWN, "child"),
    ("acme", "alice2"),
    ("acme", "alic"),
    ("acme", "Alice"),
    ("acme", "alic\u0435"),  # a Cyrillic letter
    ("acme", "alice\u200b"),  # a space of no width
    ("acme.alice",),
    ("acme", "%"),
)
ENGLISH, CHINESE = "zqvkanarienvogelx", "驤麤龘靐齉"
CANARIES = (ENGLISH, CHINESE, "theirsession", "theiragent", "theirkind", "theirtag")
THEIR_ID = "f0" * 16
THEIR_ARCHIVED = "f1" * 16
THEIR_SESSION = "theirsession"
LONG_AGO = datetime(2026, 1, 31, 12, tzinfo=UTC)
_HEX = re.compile(r"[0-9a-f]{16,}")
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.+]*|\d{4}-\d\d-\d\d")


PLAIN = Plugins(load_entry_points=False)


class ToyEmbedder:
    """Vectors from a hash: enough to be searched by."""

    name = "isolation-toy"
    dimension = 8

    def embed(self, texts: Sequence[str]) -> Any:
        """Return one unit vector for each text."""
        import numpy as np

        digests = [hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8] for text in texts]
        rows = np.array([list(digest) for digest in digests], np.float32) + 1.0
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Recorder:
    """A plugin that keeps every event it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @hookimpl
    def on_event(self, event: Event) -> None:
        """Keep `event`."""
        self.events.append(event)


def open_own(backend: Backend, recorder: Recorder) -> AgentMemory:
    """Open the namespace under test, observed by `recorder`."""
    plugins = Plugins(load_entry_points=False)
    plugins.register(recorder, "recorder")
    vectors = "vector" in backend.capabilities
    return AgentMemory.open(
        backend,
        namespace=OWN,
        session="own",
        agent="me",
        counter="estimate",
        embedder=ToyEmbedder() if vectors else None,
        plugins=plugins,
    )


def open_theirs(backend: Backend) -> AgentMemory:
    """Open another namespace, as its owner."""
    return _open(backend, OTHERS[1], THEIR_SESSION, None)


def fill_own(backend: Backend) -> None:
    """Write a small life to the namespace under test."""
    with open_own(backend, Recorder()) as memory:
        for turn in range(4):
            at = LONG_AGO + timedelta(minutes=turn)
            memory.add("user", f"Where is my violin {turn}? 小提琴", created_at=at)
            memory.add("assistant", f"In the attic {turn}.", created_at=at)
        memory.context("violin")
        memory.remember("Prefers window seats", kind="preference", importance=0.9)
        memory.remember("Lives in Lisbon", importance=0.6, tags=["home"])
        memory.usage.record({"input_tokens": 5, "output_tokens": 1})
        if "archive" in backend.capabilities:
            shelved = [Message("user", f"An old violin {n}", created_at=LONG_AGO) for n in range(2)]
            with _open(backend, OWN, "old", "me") as old:
                old.extend(shelved)
            memory.archive(sessions="old")
        if "vector" in backend.capabilities:
            memory.reindex()


def fill_others(backend: Backend) -> None:
    """Write canaries to every other namespace, under the same session names as our own too."""
    for namespace in OTHERS:
        _fill(backend, namespace)


def _fill(backend: Backend, namespace: Namespace) -> None:
    said = f"{ENGLISH} {CHINESE} violin window Lisbon"
    for session in ("own", THEIR_SESSION):
        memory = _open(backend, namespace, session, "theiragent")
        memory.extend([Message("user", f"{said} {n}", created_at=LONG_AGO) for n in range(3)])
    memory.usage.record({"input_tokens": 77_777, "output_tokens": 1, "model": ENGLISH})
    ops: list[Op] = [Put(_memory(id, said, namespace), said) for id in (THEIR_ID, THEIR_ARCHIVED)]
    backend.write(*ops, _closed(namespace))
    if "vector" in backend.capabilities:
        vector = ToyEmbedder().embed([said])[0]
        backend.write(Embed(namespace, THEIR_ID, ToyEmbedder.name, vector))
    if "archive" in backend.capabilities:
        record = _memory(THEIR_ARCHIVED, said, namespace)
        stream = Stream(namespace, THEIR_SESSION)
        terms = {version: said for version in range(1, 4)}
        backend.write(
            ArchiveLog(stream, 2, terms),
            ArchiveRecords(namespace, (record,), {record.id: said}),
        )


def _closed(namespace: Namespace) -> Append:
    """Return the rule that closes all of `namespace` to every agent: ours, to no other."""
    verbs = ["read", "write", "share"]
    body = {"id": THEIR_ID, "action": "deny", "verbs": verbs, "agent": "*", "session": "*"}
    stream = Stream(namespace, "ctxplug:access")
    return Append(stream=stream, kind="rule", body=body, created_at=LONG_AGO)


def _open(backend: Backend, namespace: Namespace, session: str, agent: str | None) -> AgentMemory:
    return AgentMemory.open(
        backend,
        namespace=namespace,
        session=session,
        agent=agent,
        counter="estimate",
        plugins=PLAIN,
        trace=False,
    )


def _memory(id: str, content: str, namespace: Namespace) -> MemoryRecord:
    return MemoryRecord(
        namespace=namespace,
        id=id,
        kind="theirkind",
        content=content,
        tags=("theirtag",),
        metadata={ENGLISH: CHINESE},
        created_at=LONG_AGO,
        session=THEIR_SESSION,
        agent="theiragent",
    )


def their_receipt() -> EraseReceipt:
    """Return a receipt of another namespace."""
    return EraseReceipt(OTHERS[2], 1, 1, 0, LONG_AGO, salt=b"s" * 16, marks=b"m" * 8)


def their_reservation() -> Reservation:
    """Return a reservation that another namespace might hold."""
    until = datetime.now(UTC) + timedelta(hours=1)
    return Reservation(THEIR_ID, 5, 0.0, "2026-01-31", until)


def their_usage() -> Usage:
    """Return what a call spent."""
    return Usage.of({"input_tokens": 3, "output_tokens": 2})


def contents(backend: Backend, namespace: Namespace) -> list[Any]:
    """Return all that `namespace` holds, to be compared."""
    where = Where(namespace)
    infos = backend.sessions(namespace)
    held: list[Any] = [infos, backend.find(where)]
    held += [backend.read(Stream(namespace, info.session)) for info in infos]
    if "archive" in backend.capabilities:
        held += [backend.archived(where), backend.archive_state(namespace)]
    if "vector" in backend.capabilities:
        vector = ToyEmbedder().embed([ENGLISH])[0]
        held.append(backend.vector_state(namespace))
        held.append(backend.search(where, vector=vector, embedder=ToyEmbedder.name, limit=99))
    return held


def spilled(value: Any) -> tuple[str, list[float]]:
    """Return all that `value` holds as text, and the fractions in it.

    Ids, times, durations, addresses and compressed sizes differ from run to run and are left out.
    """
    fractions: list[float] = []
    text = " ".join(_pieces(value, fractions, 0))
    for pattern in (_HEX, _TIME, _ADDRESS):
        text = pattern.sub("*", text)
    return text, fractions


def _pieces(value: Any, fractions: list[float], depth: int) -> Iterator[str]:
    if depth > 20:
        return
    if isinstance(value, float):
        fractions.append(value)
    elif isinstance(value, datetime | timedelta):
        return
    elif isinstance(value, bytes):
        yield f"{len(value)} bytes" + ENGLISH * (ENGLISH.encode() in value)
    elif isinstance(value, BaseException):
        yield f"{type(value).__name__}: {value}"
        rest = {k: v for k, v in vars(value).items() if not k.startswith("__")}
        yield from _pieces([rest, value.__cause__], fractions, depth + 1)
    elif isinstance(value, AgentMemory | Backend):
        yield repr(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__
        held = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        yield from _pieces(held, fractions, depth + 1)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if f"{key}".startswith(("bytes_", "duration")):
                continue
            yield f"{key!r}:"
            yield from _pieces(item, fractions, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _pieces(item, fractions, depth + 1)
    else:
        yield repr(value) if not isinstance(value, str) else value
