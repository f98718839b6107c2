"""The way to a server: addresses, keys, what is tried again, and what is never done twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from ctxplug_server.client import RemoteMemory
from ctxplug_server.client.address import to_address
from ctxplug_server.client.retrying import Retrying
from ctxplug_server.keys import Keys
from ctxplug_server.problems import (
    IdempotencyError,
    KeyRequiredError,
    RightError,
    ServerBusyError,
    ServerFaultError,
    TooLargeError,
    to_problem,
)

from ctxplug import AgentMemory, Message
from ctxplug.errors import (
    BudgetError,
    CtxplugError,
    InvalidValueError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    UsageLimitError,
)

Answer = tuple[int, bytes, dict[str, str]]


class StandIn(ThreadingHTTPServer):
    """Answers each request with the next of `answers`; None: it breaks the connection."""

    def __init__(self) -> None:
        self.answers: Iterator[Answer | None] = iter(())
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def say(self, *answers: Answer | None, then: Answer | None) -> None:
        self.seen.clear()
        self.answers = chain(answers, repeat(then))


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        answer = next(self.server.answers)
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, content, headers = answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = do_any

    def log_message(self, *args: Any) -> None:
        pass


OK: Answer = (200, b'{"sessions": []}', {})
NOTHING: Answer = (204, b"", {})


def problem(error: CtxplugError, **headers: str) -> Answer:
    told = to_problem(error)
    return told.status, told.body, {**told.headers, **headers}


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    server = StandIn()
    server.say(then=OK)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was waited between attempts; nothing is."""
    waited: list[float] = []
    monkeypatch.setattr("ctxplug_server.client.transport.pause", waited.append)
    return waited


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is tried again be tried again soon."""
    monkeypatch.setattr("ctxplug_server.client.retrying.FIRST", 0.002)
    monkeypatch.setattr("ctxplug_server.client.retrying.LONGEST", 0.2)


def memory_at(url: str, **options: Any) -> RemoteMemory:
    return RemoteMemory.open(url, namespace="acme/alice", session="trip", **options)


# -- addresses and keys ------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "agent.db",
        "",
        "ftp://host",
        "http://",
        "http://u:p@host",
        "http://host?a=1",
        "http://h#f",
        5,
    ],
)
def test_what_is_no_address(url: Any) -> None:
    with pytest.raises(InvalidValueError, match="named by a URL") as caught:
        memory_at(url)
    assert caught.value.path == "url"
    assert "p@" not in str(caught.value)


@pytest.mark.parametrize("key", ["with space", "schlüssel", "line\nbreak", 5])
def test_what_is_no_key_is_not_shown(key: Any) -> None:
    with pytest.raises(InvalidValueError, match="`ctxplug keys make` shows") as caught:
        memory_at("http://127.0.0.1:1", key=key)
    assert str(key) not in str(caught.value)


def test_addresses_know_what_is_near_and_what_is_encrypted() -> None:
    near = ["http://127.0.0.1:8765/", "http://localhost", "http://[::1]:80", "https://127.9.9.9"]
    assert all(to_address(url).is_loopback for url in near)
    far = to_address("https://memory.example.org/team/", "secret")
    assert (far.url, far.is_loopback, far.is_secure) == (
        "https://memory.example.org/team",
        False,
        True,
    )
    assert "secret" not in repr(far)


def test_the_key_is_sent_and_shown_nowhere(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_at(stand_in.url, key="ctxp_one_secret") as memory:
        assert stand_in.seen[-1][2]["Authorization"] == "Bearer ctxp_one_secret"
        assert "secret" not in repr(memory) + repr(memory.opened_with) + repr(vars(memory))
    monkeypatch.setenv("CTXPLUG_SERVER_KEY", "ctxp_two_secret")
    with memory_at(stand_in.url):
        assert stand_in.seen[-1][2]["Authorization"] == "Bearer ctxp_two_secret"
    monkeypatch.delenv("CTXPLUG_SERVER_KEY")
    with memory_at(stand_in.url):
        assert "Authorization" not in stand_in.seen[-1][2]


@pytest.mark.parametrize(
    "options",
    [
        {"counter": "estimate"}, {"embedder": "wordllama"}, {"capture": "auto"}, {"trace": False},
        {"limits": object()}, {"plugins": object()}, {"audit": "all"}, {"maintain_every": 60},
    ],
)  # fmt: skip
def test_what_is_the_servers_to_say(options: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="opened without") as caught:
        memory_at("http://127.0.0.1:1", **options)
    assert caught.value.capability == next(iter(options))
    with pytest.raises(TypeError, match="budgets"):
        memory_at("http://127.0.0.1:1", budgets=5)


@pytest.mark.parametrize(
    "wrong", [{"timeout": 0}, {"timeout": "long"}, {"retries": -1}, {"retries": True}]
)
def test_what_no_patience_is(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(wrong))):
        memory_at("http://127.0.0.1:1", **wrong)


def test_what_cannot_be_done_from_here_says_so(stand_in: StandIn) -> None:
    from ctxplug.context.policy import ContextPolicy

    with memory_at(stand_in.url) as memory:
        for refused in (
            lambda: memory.tools.add(len),
            lambda: memory.trace.listen(print),
            lambda: memory.beside(policy=ContextPolicy(due=lambda tokens, messages: True)),
            lambda: memory.retire(5, progress=print),
            lambda: memory.reindex(object()),  # type: ignore[arg-type]
            lambda: memory.tools.call("recall", {}, approve=print),
            lambda: memory.backend.erase(),
            lambda: memory.beside(agent="a").beside(agent="b"),
        ):
            with pytest.raises(UnsupportedError) as caught:
                refused()
            assert str(caught.value).endswith(".")
            assert caught.value.capability


# -- what is tried again -----------------------------------------------------------------


def test_a_server_that_is_not_there(slept: list[float]) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StorageError, match="cannot be reached, tried 4 times") as caught:
            memory_at(url, retries=3)
    assert caught.value.target == url
    assert "ctxplug serve" in str(caught.value)
    assert len(slept) == 3


def test_pauses_grow_and_are_not_the_same_for_all() -> None:
    pauses = [[Retrying().pause(attempt) for attempt in range(1, 12)] for _ in range(50)]
    for attempt in range(11):
        longest = min(5.0, 0.1 * 2**attempt)
        found = [row[attempt] for row in pauses]
        assert longest / 2 <= min(found) < max(found) <= longest


def test_a_write_has_one_key_through_all_its_attempts(
    stand_in: StandIn, slept: list[float]
) -> None:
    with memory_at(stand_in.url) as memory:
        busy = problem(ServerBusyError("busy", retry_after=3.0))
        stand_in.say(None, busy, None, then=NOTHING)
        memory.forget("one")
        memory.forget("two")
    keys = [headers.get("Idempotency-Key") for _, _, headers, _ in stand_in.seen]
    assert len(keys) == 5
    assert len(set(keys[:4])) == 1
    assert keys[4] not in (None, keys[0])
    assert [seconds >= 3 for seconds in slept] == [False, True, False]


def test_reading_carries_no_key(stand_in: StandIn) -> None:
    with memory_at(stand_in.url) as memory:
        stand_in.say(then=(200, b'{"found": []}', {}))
        memory.recall("tea")
    assert "Idempotency-Key" not in stand_in.seen[0][2]


def test_the_same_bytes_are_sent_again(stand_in: StandIn, slept: list[float]) -> None:
    with memory_at(stand_in.url) as memory:
        stand_in.say(None, None, then=(201, b'{"messages": [], "head": 0}', {}))
        memory.extend([Message("user", "里斯本")])
    assert len({(path, body) for _, path, _, body in stand_in.seen}) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(NotFoundError("no")), NotFoundError),
        (problem(KeyRequiredError("no")), KeyRequiredError),
        (problem(RightError("no", right="write")), RightError),
        (problem(TooLargeError("no", limit=5)), TooLargeError),
        (problem(UsageLimitError("no", limit="a", used=1, needed=2, budget=3)), UsageLimitError),
        (problem(IdempotencyError("other", applied=False, status=422)), IdempotencyError),
        (problem(ServerFaultError("no", request_id="r1")), ServerFaultError),
        ((500, b"<html>", {}), ServerFaultError),
    ],
)  # fmt: skip
def test_what_does_not_pass_is_not_tried_again(
    stand_in: StandIn, slept: list[float], answer: Answer, error: type[CtxplugError]
) -> None:
    with memory_at(stand_in.url) as memory:
        stand_in.say(then=answer)
        with pytest.raises(error):
            memory.recall("tea")
        assert len(stand_in.seen) == 1
        stand_in.say(then=OK)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_cannot_reach_the_server_is_asked_again(
    stand_in: StandIn, slept: list[float], status: int
) -> None:
    with memory_at(stand_in.url, retries=3) as memory:
        bad = (status, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
        stand_in.say(bad, bad, bad, then=OK)
        assert memory.sessions() == []
        stand_in.say(then=bad)
        with pytest.raises(ServerBusyError):
            memory.sessions()
        assert len(stand_in.seen) == 4
        stand_in.say(then=OK)


def test_whoever_asks_for_long_is_not_waited_for(stand_in: StandIn, slept: list[float]) -> None:
    with memory_at(stand_in.url) as memory:
        stand_in.say(then=problem(ServerBusyError("come tomorrow", retry_after=86_400)))
        with pytest.raises(ServerBusyError, match="tomorrow") as caught:
            memory.sessions()
        assert (len(stand_in.seen), slept) == (1, [])
        assert caught.value.retry_after == 86_400
        stand_in.say(then=OK)


def test_a_call_that_is_still_being_done_is_waited_for(
    stand_in: StandIn, slept: list[float]
) -> None:
    with memory_at(stand_in.url) as memory:
        running = problem(IdempotencyError("still at it", applied=False))
        stand_in.say(None, running, running, then=NOTHING)
        memory.forget("one")
    assert len(slept) == 3


def test_a_call_whose_answer_is_lost_was_done(stand_in: StandIn, slept: list[float]) -> None:
    with memory_at(stand_in.url) as memory:
        lost = problem(IdempotencyError("applied, its answer is lost", applied=True))
        stand_in.say(None, then=lost)
        memory.forget("one")  # nothing of the answer is needed
        assert memory.session.fork("other").session.id == "other"
        with pytest.raises(IdempotencyError, match="lost"):
            memory.remember("tea")
        stand_in.say(then=OK)


def test_what_is_no_server_of_ours(stand_in: StandIn) -> None:
    stand_in.say(then=(200, b"<html>hello</html>", {"Content-Type": "text/html"}))
    with pytest.raises(StorageError, match="no ctxplug server"):
        memory_at(stand_in.url)


def test_a_write_of_which_nobody_knows_whether_it_was_done(
    stand_in: StandIn, slept: list[float]
) -> None:
    with memory_at(stand_in.url, retries=2) as memory:
        stand_in.say(then=None)
        with pytest.raises(StorageError, match="is not known: look before") as caught:
            memory.forget("one")
        assert "tried 3 times" in str(caught.value)
        with pytest.raises(StorageError) as caught:
            memory.sessions()
        assert "not known" not in str(caught.value)
        stand_in.say(then=OK)


def test_a_timeout_is_told(tmp_path: Path) -> None:
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StorageError, match="longer timeout="):
            memory_at(url, timeout=0.05, retries=0)


def test_errors_come_with_what_they_know(stand_in: StandIn) -> None:
    with memory_at(stand_in.url) as memory:
        stand_in.say(then=problem(BudgetError("太大", needed=900, budget=100)))
        with pytest.raises(BudgetError, match="太大") as caught:
            memory.context()
        assert (caught.value.needed, caught.value.budget) == (900, 100)
        stand_in.say(then=problem(InvalidValueError("no", path="body.metadata.a[1]")))
        with pytest.raises(InvalidValueError) as invalid:
            memory.recall("tea")
        assert invalid.value.path == "metadata.a[1]"
        stand_in.say(then=OK)


# -- the real server ---------------------------------------------------------------------


class CuttingProxy:
    """Passes bytes on to `target`, and cuts connections: some before, some amid the answer."""

    def __init__(self, target: tuple[str, int], seed: int) -> None:
        self._target = target
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.cut = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with suppress(OSError), near, socket.create_connection(self._target) as far:
            threading.Thread(target=self._up, args=(near, far), daemon=True).start()
            while data := far.recv(65_536):
                with self._lock:
                    fate = self._random.random()
                    self.cut += fate < 0.4
                if fate < 0.2:  # nothing of the answer
                    break
                if fate < 0.4:  # the beginning of it
                    near.sendall(data[: len(data) // 2])
                    break
                near.sendall(data)
            near.shutdown(socket.SHUT_RDWR)

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65_536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


@pytest.mark.usefixtures("soon")
def test_nothing_is_lost_or_doubled_where_connections_are_cut(server: Any) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with closing(CuttingProxy((host, int(port)), seed=7)) as proxy:
        memory = memory_at(proxy.url, retries=20)

        def add(name: int) -> None:
            for number in range(8):
                memory.add("user", f"{name}:{number}")
                memory.remember(f"fact {name}:{number}")

        async def aadd() -> None:
            for number in range(8):
                await memory.aadd("user", f"a:{number}")

        threads = [threading.Thread(target=add, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()
        asyncio.run(aadd())
        for thread in threads:
            thread.join()
        said = [message.text for message in memory.messages()]
        facts = [record.content for record in memory.memories()]
        memory.close()
    assert proxy.cut > 10
    expected = [f"{name}:{number}" for name in (0, 1, 2, "a") for number in range(8)]
    assert sorted(said) == sorted(expected)
    assert sorted(facts) == sorted(f"fact {name}:{n}" for name in range(3) for n in range(8))


@pytest.mark.usefixtures("soon")
def test_a_server_that_ends_and_is_started_again(serve: Any) -> None:
    first = serve()
    port = int(first.url.rpartition(":")[2])
    memory = memory_at(first.url, retries=100)
    memory.add("user", "one")
    first.stop()
    failed: list[BaseException] = []

    def add() -> None:
        try:
            memory.add("assistant", "two")
            asyncio.run(memory.aadd("user", "three"))
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=add)
    writer.start()
    time.sleep(0.05)
    serve(port=port)
    writer.join()
    assert not failed
    assert [message.text for message in memory.messages()] == ["one", "two", "three"]
    memory.close()


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
def test_a_server_that_is_killed_and_started_again(
    tmp_path: Path, serve_process: Callable[..., Any]
) -> None:
    first = serve_process()
    port = first.url.rpartition(":")[2]
    memory = memory_at(first.url, retries=200)
    added: list[str] = []
    stop = threading.Event()

    def add() -> None:
        while not stop.is_set():
            text = f"message {len(added)} 第{len(added)}条"
            memory.add("user", text)
            added.append(text)

    writer = threading.Thread(target=add)
    writer.start()
    while len(added) < 20:
        time.sleep(0.01)
    first.end(signal.SIGKILL)
    before = len(added)
    serve_process("--port", port)
    while len(added) < before + 20 and writer.is_alive():
        time.sleep(0.01)
    stop.set()
    writer.join()
    assert len(added) >= before + 20
    assert [message.text for message in memory.messages()] == added
    memory.close()


def test_what_is_never_closed_leaves_no_connection(server: Any) -> None:
    import gc

    memory = memory_at(server.url)
    memory.add("user", "hello")
    del memory
    gc.collect()  # a socket that is left open is a warning, and warnings are errors


def test_a_forked_process_makes_its_own_connections(server: Any) -> None:
    memory = memory_at(server.url)
    memory.add("user", "parent")
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            memory.add("user", "child")
            os._exit(0)
        except BaseException:
            os._exit(1)
    for _ in range(5):
        memory.messages()
    assert os.waitpid(child, 0)[1] == 0
    assert [m.text for m in memory.messages()] == ["parent", "child"]
    memory.close()


def test_keys_open_their_namespaces_alone(server: Any, keys: Keys) -> None:
    secret = keys.make("alice", "acme/alice", rights="write")[1]
    with pytest.raises(KeyRequiredError):
        memory_at(server.url)
    with pytest.raises(KeyRequiredError):
        memory_at(server.url, key="ctxp_no_key")
    with memory_at(server.url, key=secret) as memory:
        memory.add("user", "mine")
        with pytest.raises(RightError) as caught:
            memory.erase()
        assert caught.value.right == "admin"
        with pytest.raises(NotFoundError):
            memory.beside(namespace="acme/bob").messages()
    with pytest.raises(NotFoundError):
        RemoteMemory.open(server.url, namespace="acme/bob", key=secret)


def test_changes_are_followed_as_they_come(server: Any) -> None:
    with memory_at(server.url) as memory:
        changes = memory.live("trip")
        assert next(changes).type == "ready"
        memory.add("user", "hello 你好")
        change = next(one for one in changes if one.type == "messages")
        assert (change.namespace, change.session, change.head) == ("acme/alice", "trip", 1)
        changes.close()

        async def follow() -> str:
            following = memory.alive()
            assert (await anext(following)).type == "ready"
            await memory.aremember("Likes tea")
            types = set()
            async for one in following:
                types.add(one.type)
                if "memories" in types:
                    break
            await following.aclose()
            return "memories"

        assert asyncio.run(asyncio.wait_for(follow(), 20)) == "memories"


def test_what_others_write_to_the_store_is_followed_too(server: Any) -> None:
    with memory_at(server.url) as memory:
        changes = memory.live()
        assert next(changes).type == "ready"
        with AgentMemory.open(server.store, namespace="acme/alice", session="theirs") as local:
            local.add("user", "by the library")
        assert next(one for one in changes if one.type == "messages").session == "theirs"
        changes.close()


def test_json_of_the_wire_is_plain(stand_in: StandIn) -> None:
    with memory_at(stand_in.url) as memory:
        stand_in.say(then=(200, b'{"found": []}', {}))
        memory.recall("靠窗", tags=["旅行"], since="2026-01-01")
        body = json.loads(stand_in.seen[0][3])
        assert body["query"] == "靠窗"
        assert body["since"] == "2026-01-01T00:00:00+00:00"


def test_a_stream_that_stops_short_is_not_asked_for_without_end(
    stand_in: StandIn, soon: None
) -> None:
    ready = b'id: 1\ndata: {"type": "ready"}\n\n'
    with memory_at(stand_in.url, retries=2) as memory:
        stand_in.say((200, ready, {}), then=(200, b"", {}))
        changes = memory.live("trip")
        assert next(changes).type == "ready"
        with pytest.raises(StorageError, match="tried 3 times"):
            next(changes)
    assert [headers.get("Last-Event-ID") for _, _, headers, _ in stand_in.seen] == [None, "1", "1"]
