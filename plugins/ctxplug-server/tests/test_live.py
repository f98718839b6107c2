"""Live events over SSE: told at once, resumable, bounded, and of nobody else's namespace."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from queue import Empty, Queue
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import urlencode

import pytest
from ctxplug_server.live import Hub, LiveEvent, Subscriber, WatchedBackend
from ctxplug_server.live.event import EventIds
from ctxplug_server.live.stream import EventStream
from ctxplug_server.live.watch import KEPT
from hypothesis import given
from hypothesis import strategies as st

from ctxplug import AgentMemory
from ctxplug.storage import Append, Stream
from ctxplug.storage.in_memory import InMemoryBackend

NS = "acme/alice"
PATIENCE = 15.0
live_routes = import_module("ctxplug_server.routes.live")  # the package has the router so named


class Listener:
    """A reader of one stream in a thread: its events in order, as (id, data)."""

    def __init__(self, url: str, params: dict[str, str], headers: dict[str, str]) -> None:
        self.events: Queue[tuple[str, dict[str, Any]]] = Queue()
        self.ended = threading.Event()
        host, port = url.removeprefix("http://").split(":")
        self._connection = HTTPConnection(host, int(port), timeout=PATIENCE)
        self._connection.request("GET", f"/v1/live?{urlencode(params)}", headers=headers)
        self._socket = self._connection.sock
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        id = ""
        with suppress(OSError, HTTPException, ValueError):
            for raw in self._response:
                line = raw.decode().rstrip()
                if line.startswith("id: "):
                    id = line[4:]
                if line.startswith("data: "):
                    self.events.put((id, json.loads(line[6:])))
        self.ended.set()

    def close(self) -> None:
        """Go away, as a browser does whose page is closed."""
        with suppress(OSError):
            self._socket.shutdown(SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._connection.close()

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[tuple[str, dict[str, Any]]]:
        """Return the events up to the first that is wanted."""
        found = []
        while True:
            found.append(self.events.get(timeout=PATIENCE))
            if wanted(found[-1][1]):
                return found

    def rest(self) -> list[dict[str, Any]]:
        """Return what waits."""
        found = []
        while True:
            try:
                found.append(self.events.get_nowait()[1])
            except Empty:
                return found


def of(type: str, **fields: Any) -> Callable[[dict[str, Any]], bool]:
    return lambda event: (
        event["type"] == type and all(event.get(name) == value for name, value in fields.items())
    )


@contextmanager
def listening(
    server: Any, key: str | None = None, last: str | None = None, **params: str
) -> Iterator[Listener]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    headers |= {} if last is None else {"last-event-id": last}
    listener = Listener(server.url, params, headers)
    try:
        yield listener
    finally:
        listener.close()


def add(server: Any, text: str, session: str = "trip", namespace: str = NS, **more: Any) -> None:
    with server.client(more.get("key")) as client:
        answer = client.post(
            f"/v1/sessions/{session}/messages",
            params={"namespace": namespace},
            json={"messages": [{"role": "user", "content": text}]},
        )
    assert answer.status_code == 201, answer.text


# -- what is told ----------------------------------------------------------------------


def test_what_is_written_here_is_told_with_its_head(server: Any) -> None:
    add(server, "first")
    with listening(server, namespace=NS) as listener:
        listener.until(of("ready"))
        add(server, "second")
        told = listener.until(of("messages"))
        assert told[-1][1] == {"type": "messages", "namespace": NS, "session": "trip", "head": 2}
        add(server, "other", session="shop")
        listener.until(of("sessions", session="shop", change="began"))


def test_memories_states_and_steps_are_told(server: Any) -> None:
    add(server, "first")
    with listening(server, namespace=NS) as listener, server.client() as client:
        listener.until(of("ready"))
        params = {"namespace": NS}
        made = client.post("/v1/memories", params=params, json={"content": "Likes tea. 爱喝茶。"})
        listener.until(of("memories"))
        client.post("/v1/sessions/trip/suspend", params=params, json={"reason": "pause"})
        listener.until(of("session", session="trip"))
        client.delete(f"/v1/memories/{made.json()['id']}", params=params)
        listener.until(of("memories"))
        client.post("/v1/sessions/trip/resume", params=params, json={})
        client.post("/v1/sessions/trip/context", params=params, json={})
        client.get("/v1/sessions/trip/steps", params=params)  # which stores what waited
        listener.until(of("steps", session="trip"))


def test_what_another_process_writes_is_told(server: Any) -> None:
    add(server, "first")
    code = (
        "import sys; from ctxplug import AgentMemory\n"
        f"m = AgentMemory.open(sys.argv[1], namespace={NS!r}, session='trip')\n"
        "m.add('user', 'from elsewhere'); m.remember('a fact'); m.remember('newer'); m.close()\n"
        f"m = AgentMemory.open(sys.argv[1], namespace={NS!r}, session='trip')\n"
        "input(); m.update(m.memories()[-1].id, content='another fact'); m.close()\n"
    )
    with listening(server, namespace=NS) as listener:
        listener.until(of("ready"))
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(server.store)], stdin=subprocess.PIPE, text=True
        )
        seen = [event for _, event in listener.until(of("memories"))]
        if not any(event["type"] == "messages" for event in seen):
            listener.until(of("messages", session="trip", head=2))
        time.sleep(1)
        listener.rest()
        other.communicate("\n", timeout=PATIENCE)
        listener.until(of("memories"))  # an edit makes nothing longer
    assert other.returncode == 0


def test_one_session_alone_is_followed(server: Any) -> None:
    add(server, "first")
    with listening(server, namespace=NS, session="trip") as listener:
        listener.until(of("ready"))
        add(server, "elsewhere", session="shop")
        add(server, "here")
        seen = [event for _, event in listener.until(of("messages"))]
    assert {event.get("session") for event in seen} <= {None, "trip"}


def test_erased_sessions_are_told(server: Any) -> None:
    add(server, "first")
    with listening(server, namespace=NS) as listener, server.client() as client:
        listener.until(of("ready"))
        answer = client.delete("/v1/sessions/trip", params={"namespace": NS})
        assert answer.is_success, answer.text
        listener.until(of("sessions", session="trip", change="gone"))


def test_a_reader_of_everything_hears_of_new_namespaces(server: Any) -> None:
    add(server, "first")
    with listening(server) as listener:
        listener.until(of("ready"))
        add(server, "hello", namespace="acme/bob")
        listener.until(of("sessions", namespace="acme/bob"))


# -- resuming --------------------------------------------------------------------------


def test_a_stream_goes_on_after_the_last_event_that_was_seen(server: Any) -> None:
    add(server, "first")
    with listening(server, namespace=NS) as listener:
        listener.until(of("ready"))
        add(server, "second")
        last = listener.until(of("messages"))[-1][0]
        add(server, "third")
        listener.until(of("messages", head=3))
    with listening(server, namespace=NS, last=last) as listener:
        first = listener.events.get(timeout=PATIENCE)[1]
    assert first == {"type": "messages", "namespace": NS, "session": "trip", "head": 3}


@pytest.mark.parametrize("last", ["", "garbage", "00" * 24])
def test_who_comes_back_from_nowhere_is_told_to_read_again(server: Any, last: str) -> None:
    add(server, "first")
    with listening(server, namespace=NS, last=last) as listener:
        assert listener.events.get(timeout=PATIENCE)[1] == {"type": "behind"}


@given(st.integers(0, 2**63), st.integers(0, 191))
def test_ids_tell_their_place_and_cannot_be_made_up(number: int, bit: int) -> None:
    ids = EventIds()
    id = ids.of(number)
    assert ids.number(id) == number
    assert ids.of(number) != id
    assert EventIds().number(id) is None
    raw = bytearray.fromhex(id)
    raw[bit // 8] ^= 1 << bit % 8
    assert ids.number(raw.hex()) is None


# -- who may see -----------------------------------------------------------------------


def test_a_key_is_told_nothing_of_other_namespaces(server: Any) -> None:
    alice = server.keys.make("alice", NS)[1]
    bob = server.keys.make("bob", "acme/bob")[1]
    add(server, "mine", key=alice)
    with listening(server, alice) as listener:
        listener.until(of("ready"))
        add(server, "secret", session="canary", namespace="acme/bob", key=bob)
        add(server, "mine again", key=alice)
        seen = listener.until(of("messages", head=2))
    assert "canary" not in str(seen) and "bob" not in str(seen)
    with server.client(alice) as client:
        for wanted in ("acme/bob", "acme/nobody", "acme"):
            answer = client.get("/v1/live", params={"namespace": wanted})
            assert answer.status_code == 404
            assert wanted not in answer.text or f"{wanted!r}" in answer.text
    with server.client() as client:
        assert client.get("/v1/live", params={"namespace": NS}).status_code == 401


def test_an_agent_is_told_nothing_of_sessions_it_may_not_read(server: Any) -> None:
    add(server, "first", session="hr-1")
    owner = AgentMemory.open(server.store, namespace=NS)
    owner.access.grant("hr-bot", ["read", "write"], session="hr-*")
    owner.close()
    planner = server.keys.make("planner", NS, agent="planner")[1]
    hr = server.keys.make("hr", NS, agent="hr-bot")[1]
    with listening(server, planner, namespace=NS) as listener:
        listener.until(of("ready"))
        add(server, "salary", session="hr-1", key=hr)
        add(server, "plan", session="plan", key=planner)
        seen = listener.until(of("messages", session="plan"))
        time.sleep(0.8)
        seen += [("", event) for event in listener.rest()]
    assert "hr-1" not in str(seen)


def test_a_revoked_key_ends_its_streams(server: Any) -> None:
    key, sent = server.keys.make("alice", NS)
    with listening(server, sent) as listener:
        listener.until(of("ready"))
        server.keys.revoke(key.id)
        assert listener.until(of("end"))[-1][1] == {"type": "end", "change": "revoked"}
        assert listener.ended.wait(PATIENCE)


def test_the_first_key_ends_the_streams_of_who_had_none(server: Any) -> None:
    with listening(server, namespace=NS) as listener:
        listener.until(of("ready"))
        server.keys.make("alice", NS)
        listener.until(of("end", change="revoked"))


def test_streams_end_with_an_event_when_the_server_ends(server: Any) -> None:
    with listening(server, namespace=NS) as listener:
        listener.until(of("ready"))
        server.stop()
        listener.until(of("end", change="shutdown"))
        assert listener.ended.wait(PATIENCE)


def test_one_key_has_so_many_streams_and_no_more(serve: Any) -> None:
    server = serve(streams_per_key=2)
    alice, bob = (server.keys.make(name, f"acme/{name}")[1] for name in ("alice", "bob"))
    with listening(server, alice) as one, listening(server, alice) as two:
        with listening(server, alice) as three, listening(server, bob) as another:
            assert (three.status, another.status) == (503, 200)
        assert one.status == two.status == 200


# -- slow readers ----------------------------------------------------------------------


async def test_of_one_thing_only_the_newest_change_waits() -> None:
    subscriber = Subscriber()
    for number in range(1, 500):
        subscriber.offer(LiveEvent("messages", ("a",), "s", number, number=number))
    subscriber.offer(LiveEvent("memories", ("a",), number=500))
    assert [event.head for event in await subscriber.next(1)] == [499, None]
    assert await subscriber.next(0.01) == []


async def test_a_queue_that_is_full_gives_way_to_one_event() -> None:
    subscriber = Subscriber(most=10)
    for number in range(1, 100):
        subscriber.offer(LiveEvent("messages", ("a",), f"s{number}", 1, number=number))
    told = await subscriber.next(1)
    assert [(event.type, event.number) for event in told] == [("behind", 99)]
    subscriber.offer(LiveEvent("messages", ("a",), "s", 2, number=100))
    assert [event.type for event in await subscriber.next(1)] == ["messages"]


async def test_a_reader_that_takes_nothing_is_dropped() -> None:
    left: list[bool] = []
    stream = EventStream(Subscriber(), EventIds(), lambda: left.append(True), stalled=0.05)

    async def never(*_: Any) -> Any:
        await asyncio.sleep(60)

    async with asyncio.timeout(PATIENCE):
        await stream({"type": "http"}, never, never)
    assert left == [True]


def test_a_connection_that_takes_nothing_does_not_hold_up_the_end(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_routes, "EventStream", partial(EventStream, stalled=0.3))
    server = serve(shutdown_seconds=600)
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stalled.connect((host, int(port)))
        stalled.sendall(b"GET /v1/live?namespace=a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        last = time.monotonic() + 3 * PATIENCE
        number, begun = 0, False
        while (readers := server.serving.hub.readers) or not begun:
            begun = begun or bool(readers)
            for reader in readers:
                for _ in range(200):
                    number += 1
                    reader.offer(LiveEvent("messages", ("a",), f"{number:0100}", 1, number=number))
            assert time.monotonic() < last, "the reader was not dropped"
            time.sleep(0.005)
        ending = threading.Thread(target=server.stop, daemon=True)
        ending.start()
        ending.join(2 * PATIENCE)
        assert not ending.is_alive()


async def test_silence_is_filled_with_heartbeats() -> None:
    sent: list[bytes] = []
    subscriber = Subscriber()
    stream = EventStream(subscriber, EventIds(), lambda: None, heartbeat=0.01)

    async def never() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if sent.count(b":\n\n") == 3:
            subscriber.end("enough")

    async with asyncio.timeout(PATIENCE):
        await stream({"type": "http"}, never, send)
    assert sent.count(b":\n\n") >= 3
    assert b'"end"' in b"".join(sent)


async def test_who_missed_more_than_is_kept_is_told_to_read_again() -> None:
    inner = InMemoryBackend()
    hub = Hub(inner)
    store = WatchedBackend(inner, hub)
    first, later = Subscriber(most=5_000), Subscriber(most=5_000)
    hub.subscribe(first, [("a",)])
    (ready,) = await first.next(1)
    for number in range(KEPT + 100):
        stream = Stream(("a",), f"s{number}")
        store.write(Append(stream=stream, kind="message", body={}, created_at=datetime.now(UTC)))
    seen: list[LiveEvent] = []
    while len(seen) < 2 * (KEPT + 100):
        seen += await first.next(PATIENCE)
    hub.subscribe(later, [("a",)], after=hub.ids.of(ready.number))
    assert [event.type for event in await later.next(1)] == ["behind"]
    last = Subscriber()
    hub.subscribe(last, [("a",)], after=hub.ids.of(seen[-3].number))
    assert await last.next(1) == seen[-2:]
    hub.end()


async def test_the_hub_stops_when_nobody_listens_and_ends_once() -> None:
    hub = Hub(InMemoryBackend())
    subscriber = Subscriber()
    hub.subscribe(subscriber, [("a",)])
    assert hub.readers == [subscriber]
    hub.unsubscribe(subscriber)
    assert hub.readers == []
    hub.end()
    late = Subscriber()
    hub.subscribe(late, [("a",)])
    assert [event.type for event in await late.next(1)] == ["end"]
