"""A request with an Idempotency-Key is done once: at once, after a crash, and by several."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from ctxplug_server.idempotency import Once, RequestBackend, current, marks_of_namespace

from ctxplug import AgentMemory
from ctxplug.storage import Append, Stream, Where
from ctxplug.storage.in_memory import InMemoryBackend

NS = {"namespace": "acme/alice"}
ALICE = ("acme", "alice")
ADD = "/v1/sessions/trip/messages"
HELLO = {"messages": [{"role": "user", "content": "我搬到里斯本了。 I moved to Lisbon."}]}
Serve = Callable[..., Any]


def _once(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


def _said(client: httpx.Client) -> list[str]:
    found = client.get(ADD).json()["messages"]
    return [message["content"][0]["text"] for message in found]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", ADD, HELLO),
        ("POST", "/v1/memories", {"content": "Likes window seats."}),
        ("POST", "/v1/sessions/trip/snapshots", {"name": "v1"}),
        ("POST", "/v1/sessions/trip/suspend", None),
    ],
)
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_the_same_request_is_answered_the_same_and_done_once(
    serve: Serve, method: str, path: str, body: Any, restarted: bool
) -> None:
    server = serve()
    with server.client(params=NS) as client:
        client.post(ADD, json=HELLO)
        first = client.request(method, path, json=body, headers=_once("k"))
        before = server.serving.store.head, client.get(ADD).json()
        if restarted:
            server.stop()
            server = serve()
    with server.client(params=NS) as client:
        again = client.request(method, path, json=body, headers=_once("k"))
        assert client.get(ADD).json() == before[1]
    assert first.status_code < 300, first.text
    assert again.status_code == first.status_code
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.json() == first.json()


def test_without_a_key_a_request_is_done_each_time(client: httpx.Client) -> None:
    for _ in range(2):
        assert client.post(ADD, json=HELLO).status_code == 201
    assert len(_said(client)) == 2


def test_a_key_stands_for_one_request(client: httpx.Client) -> None:
    client.post(ADD, json=HELLO, headers=_once("k"))
    other = {"messages": [{"role": "user", "content": "Another."}]}
    for path, body in ((ADD, other), ("/v1/sessions/else/messages", HELLO), ("/v1/memories", {})):
        refused = client.post(path, json=body, headers=_once("k"))
        assert refused.status_code == 422, path
        assert refused.json()["error"]["details"] == {"applied": False}
    assert len(_said(client)) == 1


def test_a_request_that_was_refused_may_be_mended(client: httpx.Client) -> None:
    refused = client.post(ADD, json={"messages": [{"role": "king"}]}, headers=_once("k"))
    assert refused.status_code == 422
    assert client.post(ADD, json=HELLO, headers=_once("k")).status_code == 201
    assert len(_said(client)) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schlüssel"])
def test_a_key_that_is_none_is_refused(client: httpx.Client, key: str) -> None:
    headers = {"idempotency-key": key.encode()}
    assert client.post(ADD, json=HELLO, headers=headers).status_code == 422
    assert _said(client) == []


def test_keys_of_callers_and_namespaces_are_apart(server: Any) -> None:
    with server.client() as owner:
        for namespace in ("acme/alice", "acme/bob"):
            params = {"namespace": namespace}
            first = owner.post(ADD, params=params, json=HELLO, headers=_once("k"))
            assert "idempotency-replayed" not in first.headers
    _, sent = server.keys.make("a", "acme/alice")
    with server.client(sent) as other:
        assert "idempotency-replayed" not in other.post(ADD, json=HELLO, headers=_once("k")).headers
        assert len(_said(other)) == 2


def test_sent_many_times_at_once_it_is_done_once(client: httpx.Client) -> None:
    def send(_: int) -> httpx.Response:
        return client.post(ADD, json=HELLO, headers=_once("k"))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(_said(client)) == 1


def test_one_that_is_still_being_done_says_so(serve: Serve) -> None:
    server = serve(queue_seconds=0.1)
    entered, leave = threading.Event(), threading.Event()
    requests, write = server.serving.requests, server.serving.requests.write

    def slow(*ops: Any) -> Any:
        entered.set()
        leave.wait(20)
        return write(*ops)

    requests.write = slow
    with server.client(params=NS) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, ADD, json=HELLO, headers=_once("k"))
        assert entered.wait(20)
        again = client.post(ADD, json=HELLO, headers=_once("k"))
        leave.set()
        assert first.result().status_code == 201
    assert again.status_code == 409
    assert again.json()["error"]["type"] == "IdempotencyError"


def test_two_servers_on_one_file_do_it_once(serve: Serve) -> None:
    one, other = serve(), serve()
    with one.client(params=NS) as first, other.client(params=NS) as second:
        clients = [first, second] * 8
        with ThreadPoolExecutor(16) as pool:
            sent = pool.map(lambda c: c.post(ADD, json=HELLO, headers=_once("k")), clients)
            answers = list(sent)
        assert len(_said(first)) == 1
    assert {answer.status_code for answer in answers} == {201}, [a.text for a in answers]
    assert len({answer.json()["messages"][0]["id"] for answer in answers}) == 1


def test_erasing_leaves_nothing_of_what_was_asked(client: httpx.Client, server: Any) -> None:
    client.post(ADD, json=HELLO, headers=_once("k"))
    client.post("/v1/sessions/trip/snapshots", json={"name": "里斯本"}, headers=_once("s"))
    marks = marks_of_namespace(ALICE)
    assert server.serving.store.count(Where(marks)) == 2
    assert client.post("/v1/erase", json={"confirm": "acme/alice"}).status_code == 200
    assert server.serving.store.count(Where(marks)) == 0
    assert client.get("/v1/namespaces").json() == {"namespaces": []}
    server.stop()
    with AgentMemory.open(server.store, namespace="acme/alice") as memory:
        assert memory.backend.namespaces() == []
    assert "里斯本" not in server.store.read_bytes().decode("utf-8", "ignore")


def test_erasing_a_session_leaves_no_answer_that_tells_of_it(
    client: httpx.Client, server: Any
) -> None:
    client.post(ADD, json=HELLO)
    client.post("/v1/sessions/trip/snapshots", json={"name": "里斯本"}, headers=_once("s"))
    assert client.delete("/v1/sessions/trip").status_code in (200, 204)
    marks = server.serving.store.find(Where(marks_of_namespace(ALICE)))
    assert [mark.id for mark in marks] and not [m for m in marks if "answer" in m.metadata]
    again = client.post("/v1/sessions/trip/snapshots", json={"name": "里斯本"}, headers=_once("s"))
    assert again.status_code in (404, 409)


def test_forgetting_a_memory_leaves_no_answer_that_tells_of_it(
    client: httpx.Client, server: Any
) -> None:
    made = client.post("/v1/memories", json={"content": "x"}).json()["id"]
    other = client.post("/v1/memories", json={"content": "y"}).json()["id"]
    for key, id in (("a", made), ("b", other)):
        body = {"content": f"里斯本 {key}"}
        assert client.patch(f"/v1/memories/{id}", json=body, headers=_once(key)).is_success
    assert client.delete(f"/v1/memories/{made}").status_code == 204
    marks = server.serving.store.find(Where(marks_of_namespace(ALICE)))
    told = [mark.metadata["answer"]["body"] for mark in marks if "answer" in mark.metadata]
    assert len(marks) == 2 and len(told) == 1 and "里斯本 b" in told[0]


def test_marks_go_when_their_time_is_over(client: httpx.Client, server: Any) -> None:
    client.post(ADD, json=HELLO, headers=_once("k"))
    later = datetime.now(UTC) + timedelta(hours=25)
    assert server.serving.requests.forget_old() == 0
    assert server.serving.requests.forget_old(now=later) == 1
    assert server.serving.store.count(Where(marks_of_namespace(ALICE))) == 0


def test_a_key_whose_time_is_over_may_be_used_again(serve: Serve) -> None:
    server = serve(idempotency_hours=0.0)
    with server.client(params=NS) as client:
        for _ in range(2):
            assert client.post(ADD, json=HELLO, headers=_once("k")).status_code == 201
        assert len(_said(client)) == 2


def test_what_is_written_before_it_does_not_stand_for_it() -> None:
    backend = RequestBackend(InMemoryBackend(), lambda namespace: None, 24.0)
    once = Once(ALICE, "a" * 48, "f", "POST", ADD)
    token = current.set(once)
    try:
        backend.write(_entry("ctxplug:trace:trip", {"steps": []}))
        assert backend.told(once) is None  # a crash here must not make it look done
        backend.write(_entry("trip", {"message": {"id": "m1", "role": "user", "content": []}}))
    finally:
        current.reset(token)
    mark = backend.told(once)
    assert mark is not None
    assert mark.metadata["wrote"]["messages"] == [["trip", "m1"]]


def _entry(session: str, body: dict[str, Any]) -> Append:
    stream, now = Stream(ALICE, session), datetime.now(UTC)
    return Append(stream=stream, kind="message", body=body, created_at=now)


def test_what_was_deleted_is_told_again_after_a_crash(serve: Serve) -> None:
    server = serve()
    server.serving.requests.answered = lambda once, answer: None  # as after a crash before it
    with server.client(params=NS) as client:
        id = client.post("/v1/memories", json={"content": "x"}).json()["id"]
        assert client.delete(f"/v1/memories/{id}", headers=_once("d")).status_code == 204
    server.stop()
    server = serve()
    with server.client(params=NS) as client:
        again = client.delete(f"/v1/memories/{id}", headers=_once("d"))
    assert (again.status_code, again.headers["idempotency-replayed"]) == (204, "true")


def test_marks_are_seen_by_nobody(client: httpx.Client, server: Any) -> None:
    client.post(ADD, json=HELLO, headers=_once("k"))
    assert client.get("/v1/namespaces").json()["namespaces"] == [{"namespace": "acme/alice"}]
    assert client.get("/v1/memories").json()["memories"] == []
    assert len(client.get("/v1/sessions").json()["sessions"]) == 1


@pytest.mark.slow
def test_kill_9_at_any_moment_and_what_is_sent_again_is_done_once(
    serve_process: Any, tmp_path: Path
) -> None:
    """Processes are killed while requests run; what had no answer is sent again to the next."""
    store, names = tmp_path / "agent.db", [f"n{i}" for i in range(60)]
    acknowledged: dict[str, str] = {}

    def send_all(process: Any, wanted: list[str], kill_after: int) -> None:
        def send(name: str) -> None:
            body = {"messages": [{"role": "user", "content": name}]}
            try:
                answer = client.post(ADD, json=body, headers=_once(name))
            except httpx.TransportError:
                return  # nobody knows whether it was done
            assert answer.status_code == 201, answer.text
            told = answer.json()["messages"][0]
            assert told["content"][0]["text"] == name
            assert acknowledged.setdefault(name, told["id"]) == told["id"]
            if len(acknowledged) == kill_after:
                process.popen.kill()

        with httpx.Client(base_url=process.url, params=NS, timeout=20) as client:
            client.get("/health")
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(send, wanted))

    send_all(serve_process(store=store), names * 2, kill_after=25)
    assert len(acknowledged) < len(names)
    process = serve_process(store=store)
    send_all(process, names, kill_after=0)
    assert process.end() == 0
    with AgentMemory.open(store, namespace="acme/alice", session="trip") as memory:
        said = {message.text: message.id for message in memory.messages()}
        assert len(memory.messages()) == len(names)
    assert said == acknowledged
    assert set(said) == set(names)
