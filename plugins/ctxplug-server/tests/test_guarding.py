"""Who gets in: hosts, origins, keys, sizes, rates and places; and what every answer carries."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from ctxplug_server.guarding import CONTENT_SECURITY_POLICY, connections

from ctxplug.errors import StorageError

NS = {"namespace": "acme/alice"}
Serve = Callable[..., Any]


def _port(server: Any) -> int:
    return int(server.url.rpartition(":")[2])


def _raw(server: Any, request: str, body: bytes = b"") -> bytes:
    with socket.create_connection(("127.0.0.1", _port(server)), timeout=20) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode() + body)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        return answer


def _begun(key: str | None) -> bytes:
    """Return a request whose body does not come whole."""
    sent = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST /v1/recall HTTP/1.1\r\nHost: localhost\r\n{sent}Content-Length: 900\r\n\r\n"
    return head.encode() + b"{" * 100


# -- hosts and origins -----------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.2",
        "[::2]",
        "",
        "127.0.0.1@evil.example",
        "0.0.0.0",
        "10.0.0.1:{port}",
    ],
)
@pytest.mark.parametrize("path", ["/v1/sessions?namespace=acme/alice", "/", "/health"])
def test_a_strange_host_is_refused_as_after_dns_rebinding(
    one_server: Any, host: str, path: str
) -> None:
    host = host.format(port=_port(one_server))
    answer = httpx.get(f"{one_server.url}{path}", headers={"host": host})
    assert answer.status_code == 421
    assert "Host" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST:{port}", "[::1]:{port}", "localhost."]
)
def test_its_own_names_are_answered(one_server: Any, host: str) -> None:
    answer = httpx.get(
        f"{one_server.url}/health", headers={"host": host.format(port=_port(one_server))}
    )
    assert answer.status_code == 200


def test_two_hosts_or_none_are_refused(one_server: Any) -> None:
    two = _raw(
        one_server,
        "GET /health HTTP/1.1\nHost: localhost\nHost: evil.example\nConnection: close\n\n",
    )
    none = _raw(one_server, "GET /health HTTP/1.0\n\n")
    assert two.split()[1] in (b"400", b"421")
    assert none.split()[1] in (b"400", b"421")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1",
        "http://localhost:1",
        "null",
        "",
        "file://",
        "http://127.0.0.1:{port}.evil.example",
        "chrome-extension://abc",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/memories"), ("GET", "/v1/memories"), ("GET", "/")]
)
def test_a_page_of_another_origin_is_refused(
    one_server: Any, origin: str, method: str, path: str
) -> None:
    origin = origin.format(port=_port(one_server))
    answer = httpx.request(
        method, one_server.url + path, params=NS, headers={"origin": origin}, json={"content": "x"}
    )
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_its_own_page_and_allowed_sites_are_answered(serve: Serve) -> None:
    server = serve(origins=("https://app.example",))
    own = httpx.get(f"{server.url}/v1/memories", params=NS, headers={"origin": server.url})
    assert own.status_code == 200
    headers = {"origin": "https://app.example"}
    asked = httpx.options(
        f"{server.url}/v1/memories",
        params=NS,
        headers={**headers, "access-control-request-method": "POST"},
    )
    assert asked.status_code == 204
    assert "authorization" in asked.headers["access-control-allow-headers"]
    answer = httpx.get(f"{server.url}/v1/memories", params=NS, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_sends_for_another_site_is_refused(one_server: Any, site: str) -> None:
    for mode in ("no-cors", "navigate"):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": mode}
        answer = httpx.get(f"{one_server.url}/v1/memories", params=NS, headers=headers)
        assert answer.status_code == 403, mode
    followed = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    assert httpx.get(f"{one_server.url}/", headers=followed).status_code == 200
    typed = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}
    assert httpx.get(f"{one_server.url}/v1/memories", params=NS, headers=typed).status_code == 200


def test_a_socket_from_another_page_is_not_opened(one_server: Any) -> None:
    for line in ("Origin: http://evil.example", "Host: evil.example"):
        host = "" if line.startswith("Host") else f"Host: 127.0.0.1:{_port(one_server)}\n"
        answer = _raw(
            one_server,
            f"GET /v1/live/ws?namespace=acme/alice HTTP/1.1\n{host}{line}\nConnection: Upgrade\n"
            "Upgrade: websocket\nSec-WebSocket-Version: 13\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
        )
        assert answer.split()[1] in (b"403", b"421"), answer


# -- keys ------------------------------------------------------------------------------


def _answers(client: httpx.Client) -> tuple[int, bytes, dict[str, str]]:
    answer = client.get("/v1/memories", params=NS)
    kept = ("www-authenticate", "content-type", "content-length")
    return answer.status_code, answer.content, {n: answer.headers.get(n, "") for n in kept}


def test_all_that_is_no_key_is_answered_alike(server: Any) -> None:
    with server.client() as client:
        assert client.get("/v1/memories", params=NS).status_code == 200  # the owner, without keys
        key, sent = server.keys.make("a", "acme/alice")
        revoked = server.keys.make("b", "acme/alice")[1]
        server.keys.revoke("b")
        wrongs = [
            "",
            "Bearer",
            f"Basic {sent}",
            f"Bearer {sent}x",
            f"Bearer {revoked}",
            f"Bearer ctxp_{key.id}_{'A' * 43}",
            f"Bearer {'x' * 5_000}",
            "Bearer schlüssel",
        ]
        found = [_answers(client)]
        for wrong in wrongs:
            client.headers["authorization"] = wrong
            found.append(_answers(client))
        client.headers["authorization"] = f"Bearer {sent}"
        assert client.get("/v1/memories", params=NS).status_code == 200
    assert {status for status, *_ in found} == {401}
    assert all(one == found[0] for one in found)
    assert found[0][2]["www-authenticate"].startswith("Bearer")


def test_a_key_that_another_process_revokes_is_refused_at_the_next_request(server: Any) -> None:
    code = "import sys; from ctxplug_server.keys import Keys; Keys(sys.argv[1]).revoke('a')"
    with server.client(params=NS) as client:
        assert client.get("/v1/memories").status_code == 200
        _, sent = server.keys.make("a", "acme/alice")
        assert client.get("/v1/memories").status_code == 401
        client.headers["authorization"] = f"Bearer {sent}"
        assert client.get("/v1/memories").status_code == 200
        subprocess.run([sys.executable, "-c", code, server.keys.path], check=True)
        assert client.get("/v1/memories").status_code == 401


def test_foreign_namespaces_are_as_if_they_were_not(server: Any) -> None:
    with server.client() as owner:
        owner.post("/v1/memories", params={"namespace": "acme/bob"}, json={"content": "secret"})
    _, sent = server.keys.make("a", "acme/alice")
    with server.client(sent) as client:
        there = client.get("/v1/memories", params={"namespace": "acme/bob"})
        not_there = client.get("/v1/memories", params={"namespace": "acme/eve"})
    assert there.status_code == not_there.status_code == 404
    assert there.text.replace("bob", "X") == not_there.text.replace("eve", "X")


def test_rights_hold(server: Any) -> None:
    _, reader = server.keys.make("r", "acme/alice", rights="read")
    with server.client(reader) as client:
        assert client.get("/v1/memories").status_code == 200
        refused = client.post("/v1/memories", json={"content": "x"})
    assert refused.status_code == 403
    assert refused.json()["error"]["details"] == {"right": "write"}


def test_a_key_acts_as_its_agent_alone(server: Any) -> None:
    _, sent = server.keys.make("p", "acme/alice", agent="planner")
    with server.client(sent) as client:
        assert client.get("/v1/memories", params={"agent": "planner"}).status_code == 200
        assert client.get("/v1/memories", params={"agent": "boss"}).status_code == 403


def test_a_damaged_file_of_keys_lets_nobody_in_and_tells_no_path(server: Any) -> None:
    _, sent = server.keys.make("a", "acme/alice")
    with open(server.keys.path, "w") as file:
        file.write("{")
    with server.client(sent) as client:
        answer = client.get("/v1/memories")
    assert answer.status_code == 500
    assert server.keys.path not in answer.text


# -- sizes -----------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused_said_or_not(serve: Serve) -> None:
    server = serve(max_body=2_000)
    large = b'{"content": "' + b"x" * 4_000 + b'"}'
    headers = {"content-type": "application/json"}
    with server.client(headers=headers) as client:
        said = client.post("/v1/memories", params=NS, content=large)
        parts = iter([large[:1_500], large[1_500:]])
        unsaid = client.post("/v1/memories", params=NS, content=parts)
        kept = client.get("/v1/memories", params=NS).json()
    for answer in (said, unsaid):
        assert answer.status_code == 413
        assert answer.json()["error"]["details"] == {"limit": 2_000}
    assert kept == {"memories": []}


def test_a_length_that_lies_is_not_believed(serve: Serve) -> None:
    server = serve(max_body=2_000)
    host = f"Host: 127.0.0.1:{_port(server)}"
    head = f"POST /v1/memories?namespace=a HTTP/1.1\n{host}\nConnection: close\n"
    for length in ("-1", "1e3", "99999999999999999999"):
        assert _raw(server, f"{head}Content-Length: {length}\n\n").split()[1] in (b"400", b"413")


def test_a_head_that_does_not_end_is_cut_off(one_server: Any) -> None:
    with socket.create_connection(("127.0.0.1", _port(one_server)), timeout=20) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        with pytest.raises(OSError):
            for _ in range(1_000):
                connection.sendall(b"x" * 65_536)
    assert httpx.get(f"{one_server.url}/health").status_code == 200


def test_a_head_that_does_not_come_is_not_waited_for(
    one_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", _port(one_server)), timeout=20) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        assert connection.recv(100) == b""


def test_a_body_that_does_not_come_is_not_waited_for(
    one_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", _port(one_server)), timeout=20) as connection:
        connection.sendall(_begun(None))
        assert connection.recv(100) == b""


def test_a_socket_that_cannot_begin_is_not_kept(one_server: Any) -> None:
    head = "GET /v1/live/ws HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket\n"
    assert _raw(one_server, f"{head}Content-Length: 3\n\n", b"abc") == b""


def test_a_path_that_is_too_long_is_refused(serve: Serve) -> None:
    server = serve(max_target=500)
    answer = httpx.get(f"{server.url}/v1/memories", params={"namespace": "a" * 600})
    assert answer.status_code == 414


# -- rates and places ------------------------------------------------------------------


def test_a_key_that_calls_too_often_is_told_when_to_come_again(serve: Serve) -> None:
    server = serve(rate="3/minute")
    busy, calm = (server.keys.make(name, "acme/alice")[1] for name in "ab")
    with server.client(busy) as client, server.client(calm) as other:
        found = [client.get("/v1/memories").status_code for _ in range(4)]
        refused = client.get("/v1/memories")
        assert other.get("/v1/memories").status_code == 200
    assert found == [200, 200, 200, 429]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["details"]["retry_after"] > 0


def test_who_comes_with_wrong_keys_is_slowed_down_and_nobody_else(serve: Serve) -> None:
    server = serve(failures="5/minute")
    _, sent = server.keys.make("a", "acme/alice")
    with server.client("ctxp_0123456789ab_" + "A" * 43) as client:
        found = [client.get("/v1/memories").status_code for _ in range(7)]
        client.headers["authorization"] = f"Bearer {sent}"
        assert client.get("/v1/memories").status_code == 200
    assert found == [401] * 5 + [429] * 2


def _slow(server: Any, entered: threading.Event, leave: threading.Event) -> None:
    """Let every look for sessions wait, as a store under load does."""
    store = server.serving.requests
    sessions = store.sessions

    def waiting(namespace: Any) -> Any:
        entered.set()
        leave.wait(20)
        return sessions(namespace)

    store.sessions = waiting


def test_one_that_waits_too_long_for_a_place_is_told_so(serve: Serve) -> None:
    server = serve(concurrent=1, queue_seconds=0.2)
    entered, leave = threading.Event(), threading.Event()
    _slow(server, entered, leave)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(httpx.get, f"{server.url}/v1/sessions", params=NS, timeout=20)
        assert entered.wait(20)
        second = httpx.get(f"{server.url}/v1/sessions", params=NS)
        alive = httpx.get(f"{server.url}/health")
        leave.set()
        assert first.result().status_code == 200
    assert second.status_code == 503
    assert second.headers["retry-after"] == "1"
    assert second.json()["error"]["type"] == "ServerBusyError"
    assert alive.status_code == 200
    assert httpx.get(f"{server.url}/v1/sessions", params=NS).status_code == 200


def test_one_key_does_not_take_the_places_of_others(serve: Serve) -> None:
    server = serve(concurrent=8, concurrent_per_key=1, queue_seconds=0.2)
    busy, calm = (server.keys.make(name, "acme/alice")[1] for name in "ab")
    entered, leave = threading.Event(), threading.Event()
    _slow(server, entered, leave)
    with server.client(busy) as client, server.client(calm) as other, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.get, "/v1/sessions")
        assert entered.wait(20)
        with server.client(busy) as again:
            assert again.get("/v1/memories").status_code == 503
        assert other.get("/v1/memories").status_code == 200
        leave.set()
        assert first.result().status_code == 200


def test_slow_senders_take_no_places(serve: Serve) -> None:
    server = serve(concurrent=2, concurrent_per_key=1, max_body=1_000, queue_seconds=0.2)
    slow, calm = (server.keys.make(name, "acme/alice")[1] for name in "ab")
    begun = [socket.create_connection(("127.0.0.1", _port(server)), timeout=20) for _ in range(3)]
    for connection in begun:
        connection.sendall(_begun(slow))
    with server.client(calm) as client, server.client(slow) as too:
        assert client.post("/v1/recall", json={"query": "x"}).status_code == 200
        assert too.get("/v1/memories").status_code == 200
        assert too.post("/v1/recall", json={"query": "x" * 900}).status_code == 503  # its share
        for connection in begun:
            connection.close()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # what they held is given back
            if too.post("/v1/recall", json={"query": "x" * 900}).status_code == 200:
                break
        else:
            pytest.fail("it was not given back")


def test_one_key_does_not_fill_the_queue(serve: Serve) -> None:
    server = serve(concurrent=1, queued=2, queue_seconds=20)
    busy, calm = (server.keys.make(name, "acme/alice")[1] for name in "ab")
    entered, leave = threading.Event(), threading.Event()
    _slow(server, entered, leave)
    with server.client(busy) as client, server.client(calm) as other, ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(client.get, "/v1/sessions") for _ in range(2)]
        assert entered.wait(20)
        deadline = time.monotonic() + 20
        while server.serving.meters.waiting() < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.get("/v1/sessions").status_code == 503
        asked.append(pool.submit(other.get, "/v1/sessions"))
        while server.serving.meters.waiting() < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        leave.set()
        assert [one.result().status_code for one in asked] == [200] * 3


def test_those_who_wait_are_served_when_places_come_free(serve: Serve) -> None:
    server = serve(concurrent=1, queue_seconds=20)
    entered, leave = threading.Event(), threading.Event()
    _slow(server, entered, leave)
    with ThreadPoolExecutor(6) as pool:
        asked = [
            pool.submit(httpx.get, f"{server.url}/v1/sessions", params=NS, timeout=20)
            for _ in range(6)
        ]
        assert entered.wait(20)
        deadline = time.monotonic() + 20
        while server.serving.meters.waiting() < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.serving.meters.waiting() == 5
        leave.set()
        assert [one.result().status_code for one in asked] == [200] * 6
    assert server.serving.meters.waiting() == 0


# -- what every answer carries ---------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/health", "/v1/sessions", "/v1/nothing", "/nothing", "/v1/sessions/x"]
)
def test_every_answer_has_safe_headers_and_an_id(one_server: Any, path: str) -> None:
    answer = httpx.get(one_server.url + path, params=NS)
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert len(answer.headers["x-request-id"]) == 16
    assert "server" not in answer.headers
    if path.startswith("/v1"):
        assert answer.headers["cache-control"] == "no-store"


def test_the_policy_lets_no_script_run_but_its_own() -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_an_id_that_is_given_is_kept_if_it_is_plain(one_server: Any) -> None:
    assert (
        httpx.get(f"{one_server.url}/health", headers={"x-request-id": "abc-1"}).headers[
            "x-request-id"
        ]
        == "abc-1"
    )
    for strange in ("a b", "x" * 65, "<script>"):
        answer = httpx.get(f"{one_server.url}/health", headers={"x-request-id": strange})
        assert answer.headers["x-request-id"] != strange


def test_a_failure_tells_nothing_of_its_inside(
    server: Any, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(namespace: Any) -> Any:
        raise RuntimeError("the secret of acme/alice")

    server.serving.requests.sessions = broken
    answer = client.get("/v1/sessions")
    assert answer.status_code == 500
    id = answer.headers["x-request-id"]
    assert answer.json()["error"]["details"] == {"request_id": id}
    assert "secret" not in answer.text and "Traceback" not in answer.text
    assert id in caplog.text and "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_a_failure_of_the_store_is_in_the_log_too(
    server: Any, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(namespace: Any) -> Any:
        raise StorageError("the secret of acme/alice", target="agent.db") from OSError("secret")

    server.serving.requests.sessions = broken
    answer = client.get("/v1/sessions")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in caplog.text
    assert "StorageError" in caplog.text and "OSError" in caplog.text
    assert "secret" not in caplog.text + answer.text


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/v1/memories?namespace=a", b"{", 422),
        ("POST", "/v1/memories?namespace=a", b"[]", 422),
        ("POST", "/v1/memories?namespace=a", b'{"content": 3}', 422),
        ("GET", "/v1/nothing", b"", 404),
        ("PUT", "/v1/memories", b"", 405),
        ("GET", "/v1/memories", b"", 422),
        ("GET", "/v1/memories?namespace=", b"", 422),
        ("GET", "/v1/memories?namespace=a&limit=x", b"", 422),
    ],
)
def test_what_makes_no_sense_is_told_in_one_form(
    one_server: Any, method: str, path: str, content: bytes, status: int
) -> None:
    answer = httpx.request(
        method, one_server.url + path, content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"type", "message", "details"}
    assert error["message"].endswith(".")
