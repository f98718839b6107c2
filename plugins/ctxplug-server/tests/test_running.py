"""From the start of a server to its end: who may start one, and that nothing is lost."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from ctxplug_server import ServerSettings, create_app, running
from ctxplug_server.keys import Keys
from ctxplug_server.running import Running
from ctxplug_server.serving import Serving

from ctxplug import AgentMemory
from ctxplug.errors import CtxplugError, InvalidValueError
from ctxplug.storage.in_memory import InMemoryBackend

NS = {"namespace": "acme/alice"}
ADD = "/v1/sessions/trip/messages"
Serve = Callable[..., Any]


def _hello(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize(
    "settings",
    [{"host": "0.0.0.0"}, {"host": "::"}, {"host": "192.0.2.1"}, {"hosts": ("memory.example",)}],
    ids=str,
)
def test_it_does_not_listen_for_others_without_a_live_key(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    serving = Serving(tmp_path / "agent.db", ServerSettings(port=0, **settings))
    serving.keys.make("old", "acme/alice")
    serving.keys.revoke("old")
    with pytest.raises(CtxplugError, match="ctxplug keys make"):
        Running(serving)
    serving.close()


def test_with_a_key_it_listens_for_others_and_never_opens_without(
    serve: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "agent.db"
    _, sent = Keys(f"{path}.keys.json").make("a", "acme/alice")
    server = serve(store=path, host="0.0.0.0")
    port = server.url.rpartition(":")[2]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/v1/memories", params=NS).status_code == 401
        client.headers["authorization"] = f"Bearer {sent}"
        assert client.get("/v1/memories", params=NS).status_code == 200
        assert client.get("/health", headers={"host": "10.1.2.3"}).status_code == 200
        assert client.get("/health", headers={"host": "evil.example"}).status_code == 421
        Path(server.keys.path).unlink()
        assert client.get("/v1/memories", params=NS).status_code == 401


def test_a_port_that_is_taken_is_told_in_a_sentence(server: Any, tmp_path: Path) -> None:
    port = int(server.url.rpartition(":")[2])
    other = Serving(tmp_path / "other.db", ServerSettings(port=port))
    with pytest.raises(CtxplugError, match="--port"):
        Running(other)
    other.close()


@pytest.mark.parametrize(
    "settings",
    [{"port": 70_000}, {"concurrent": 0}, {"queue_seconds": -1}, {"rate": "often"}],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        Serving("memory:", ServerSettings(**settings))


def test_a_stopped_server_has_written_all_and_closed_the_store(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    with server.client(params=NS) as client:
        client.post(ADD, json=_hello("I live in Lisbon."))
        client.post("/v1/sessions/trip/context", json={})  # a step that waits in memory
    server.stop()
    assert not Path(f"{server.store}-wal").exists()
    with AgentMemory.open(server.store, namespace="acme/alice", session="trip") as memory:
        assert [message.text for message in memory.messages()] == ["I live in Lisbon."]
        assert memory.check().ok
        assert "window" in [step.kind for step in memory.trace.steps()]


def test_what_is_at_work_when_it_ends_is_finished(serve: Serve) -> None:
    server = serve()
    entered, leave = threading.Event(), threading.Event()
    requests, write = server.serving.requests, server.serving.requests.write

    def slow(*ops: Any) -> Any:
        entered.set()
        leave.wait(20)
        return write(*ops)

    requests.write = slow
    with server.client(params=NS) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, ADD, json=_hello("At work."))
        assert entered.wait(20)
        ending = pool.submit(server.stop)
        assert server.serving.closing.wait(20)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/health")
        leave.set()
        assert first.result().status_code == 201
        ending.result()
    with AgentMemory.open(server.store, namespace="acme/alice", session="trip") as memory:
        assert [message.text for message in memory.messages()] == ["At work."]


def test_a_request_that_does_not_end_does_not_keep_it_for_ever(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(shutdown_seconds=0.5)
    entered, leave = threading.Event(), threading.Event()

    def endless(namespace: Any) -> Any:
        entered.set()
        leave.wait(30)
        return []

    server.serving.requests.sessions = endless
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.get, f"{server.url}/v1/sessions", params=NS, timeout=30)
        assert entered.wait(20)
        threading.Thread(target=lambda: leave.wait(5) or leave.set()).start()
        server.running.should_exit = True
        server.running.thread.join(20)
        assert not server.running.thread.is_alive()
        leave.set()
        assert asked.result().status_code == 500
    assert "cut off" in caplog.text and "Traceback" not in caplog.text


def test_a_body_that_does_not_come_does_not_hold_up_the_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "ARRIVING_SECONDS", 0.1)
    server = serve(shutdown_seconds=30.0)
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as slow:
        slow.sendall(b"POST /v1/recall HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        while not any(c.is_arriving for c in server.running.server_state.connections):
            time.sleep(0.01)
        server.stop()
    assert "Traceback" not in caplog.text
    assert not [one for one in caplog.records if one.levelname == "ERROR"]  # none was cancelled


def test_live_connections_are_told_that_it_ends(serve: Serve) -> None:
    server = serve()
    with server.client(params=NS) as client, client.stream("GET", "/v1/live") as stream:
        lines = stream.iter_lines()
        next(lines)
        with ThreadPoolExecutor(1) as pool:
            ending = pool.submit(server.stop)
            told = "\n".join(lines)
            ending.result()
    assert '"end"' in told or "event: end" in told


def test_ready_says_no_when_the_store_does_not_answer(client: httpx.Client, server: Any) -> None:
    assert client.get("/ready").json() == {"status": "ready"}
    server.serving.store.close()
    assert client.get("/ready").status_code == 503
    assert client.get("/health").json() == {"status": "alive"}


async def test_an_application_serves_a_backend_of_its_own() -> None:
    backend = InMemoryBackend()
    app = create_app(backend)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.post(ADD, params=NS, json=_hello("Hi."))).status_code == 201
    app.state.ctxplug.close()
    assert backend.namespaces() == [("acme", "alice")]  # not closed: it is not the server's
    backend.close()


# -- a process of its own --------------------------------------------------------------


@pytest.mark.parametrize(
    "sign", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_in_the_middle_of_writes_loses_none_that_was_answered(
    serve_process: Any, tmp_path: Path, sign: int
) -> None:
    process = serve_process("--rate", "none")
    assert "without a key, from this machine alone" in process.line
    acknowledged: list[str] = []

    def send(name: str) -> None:
        try:
            answer = client.post(ADD, json=_hello(name))
        except httpx.TransportError:
            return
        if answer.status_code == 201:
            acknowledged.append(name)
            if len(acknowledged) == 20:
                process.popen.send_signal(sign)

    client = httpx.Client(base_url=process.url, params=NS, timeout=20)
    with client, ThreadPoolExecutor(4) as pool:
        list(pool.map(send, [f"n{i}" for i in range(200)]))
    assert process.popen.wait(60) == 0
    assert len(acknowledged) >= 20
    with AgentMemory.open(tmp_path / "agent.db", namespace="acme/alice", session="trip") as memory:
        said = [message.text for message in memory.messages()]
    assert set(acknowledged) <= set(said)
    assert len(said) == len(set(said))
    assert not (tmp_path / "agent.db-wal").exists()


def test_it_listens_on_loopback_alone(server: Any) -> None:
    port = int(server.url.rpartition(":")[2])
    heard = [c.laddr for c in psutil.Process().net_connections() if c.status == "LISTEN"]
    assert {address.ip for address in heard if address.port == port} == {"127.0.0.1"}
