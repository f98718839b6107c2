"""Live events over a WebSocket: who may open one, and what it may ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ctxplug_server.live import socket as live_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ctxplug import AgentMemory

NS = "acme/alice"
PATIENCE = 15.0


@contextmanager
def socket(server: Any, query: str = "", **options: Any) -> Iterator[ClientConnection]:
    url = server.url.replace("http:", "ws:") + f"/v1/live/ws{query}"
    with connect(url, open_timeout=PATIENCE, close_timeout=1, proxy=None, **options) as made:
        yield made


def by_key(key: str) -> dict[str, Any]:
    return {"subprotocols": ["ctxplug", f"ctxplug.key.{key}"]}


def ask(made: ClientConnection, **message: Any) -> None:
    made.send(json.dumps(message))


def until(made: ClientConnection, type: str) -> list[dict[str, Any]]:
    found = []
    while not found or found[-1]["type"] != type:
        found.append(json.loads(made.recv(timeout=PATIENCE)))
    return found


def add(server: Any, key: str, namespace: str = NS, session: str = "trip") -> None:
    with server.client(key) as client:
        answer = client.post(
            f"/v1/sessions/{session}/messages",
            params={"namespace": namespace},
            json={"messages": [{"role": "user", "content": "hello 你好"}]},
        )
    assert answer.status_code == 201, answer.text


def test_a_browser_says_its_key_as_a_subprotocol(server: Any) -> None:
    key = server.keys.make("alice", NS)[1]
    with socket(server, **by_key(key)) as made:
        assert made.subprotocol == "ctxplug"
        ask(made, type="subscribe", namespace=NS)
        until(made, "ready")
        add(server, key)
        last = until(made, "messages")[-1]
    assert (last["namespace"], last["session"], last["head"]) == (NS, "trip", 1)
    assert last["id"]


def test_without_a_valid_key_it_is_not_opened(server: Any) -> None:
    server.keys.make("alice", NS)
    for options in ({}, by_key("ctxp_000000000000_" + "A" * 43)):
        with pytest.raises(InvalidStatus) as caught, socket(server, **options):
            pass
        assert caught.value.response.status_code in (401, 403)


def test_the_page_of_another_site_cannot_open_it(server: Any) -> None:
    with (
        pytest.raises(InvalidStatus) as caught,
        socket(server, origin="https://evil.example"),
    ):
        pass
    assert caught.value.response.status_code == 403
    with socket(server, origin=server.url) as made:
        ask(made, type="ping")
        until(made, "pong")


def test_it_is_told_of_what_it_subscribed_to_and_no_more(server: Any) -> None:
    key = server.keys.make("alice", NS)[1]
    with socket(server, **by_key(key)) as made:
        ask(made, type="subscribe", namespace=NS, session="trip")
        until(made, "subscribed")
        add(server, key)
        until(made, "messages")
        ask(made, type="unsubscribe", namespace=NS, session="trip")
        until(made, "unsubscribed")
        ask(made, type="subscribe", namespace=NS, session="shop")
        until(made, "ready")
        add(server, key)
        add(server, key, session="shop")
        seen = until(made, "messages")
    assert {event.get("session") for event in seen} <= {None, "shop"}


def test_it_goes_on_after_an_event(server: Any) -> None:
    with socket(server, f"?namespace={NS}") as made:
        until(made, "ready")
        add(server, "")
        last = until(made, "messages")[-1]["id"]
        add(server, "")
        until(made, "messages")
    with socket(server) as made:
        ask(made, type="subscribe", namespace=NS, after=last)
        assert until(made, "messages")[-1]["head"] == 2


@pytest.mark.parametrize("namespace", ["acme/bob", "acme/nobody"])
def test_a_namespace_of_others_is_as_one_that_is_not_there(server: Any, namespace: str) -> None:
    AgentMemory.open(server.store, namespace="acme/bob", session="s").close()
    key = server.keys.make("alice", NS)[1]
    with socket(server, **by_key(key)) as made:
        ask(made, type="subscribe", namespace=namespace)
        told = until(made, "error")[-1]
    assert told["error"]["type"] == "NotFoundError"
    assert told["error"]["message"].replace(namespace, "X") == (
        "There is no namespace 'X' here for this key."
    )


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", '{"type": "dance"}', '{"type": "subscribe", "namespace": 5}']
)
def test_what_makes_no_sense_is_answered_and_the_socket_lives(server: Any, text: str) -> None:
    with socket(server) as made:
        made.send(text)
        assert until(made, "error")[-1]["error"]["type"] == "InvalidValueError"
        ask(made, type="ping")
        until(made, "pong")


def test_a_message_that_is_too_long_closes_it(server: Any) -> None:
    with socket(server) as made:
        made.send("x" * 5_000)
        with pytest.raises(ConnectionClosed) as caught:
            until(made, "pong")
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009


def test_an_address_that_is_not_for_its_key_is_told_and_closed(server: Any) -> None:
    key = server.keys.make("alice", NS)[1]
    with socket(server, "?namespace=acme/bob", **by_key(key)) as made:
        assert until(made, "error")[-1]["error"]["type"] == "NotFoundError"
        with pytest.raises(ConnectionClosed) as caught:
            made.recv(timeout=PATIENCE)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008


def test_bytes_close_it(server: Any) -> None:
    with socket(server) as made:
        made.send(b"{}")
        with pytest.raises(ConnectionClosed) as caught:
            made.recv(timeout=PATIENCE)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1003


def test_messages_over_the_rate_of_the_key_are_held_up(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_socket, "HELD_UP", 0.0)
    server = serve(rate="3/minute")
    key = server.keys.make("alice", NS)[1]
    with socket(server, **by_key(key)) as made:
        for _ in range(4):
            ask(made, type="ping")
            until(made, "pong")
    with server.client(key) as client:
        assert client.get("/v1/memories").status_code == 429


def test_it_ends_with_an_event_when_the_key_is_revoked_and_when_the_server_ends(
    server: Any,
) -> None:
    key, sent = server.keys.make("alice", NS)
    _, other = server.keys.make("second", NS)
    with socket(server, **by_key(sent)) as made, socket(server, **by_key(other)) as still:
        for one in (made, still):
            ask(one, type="subscribe", namespace=NS)
            until(one, "ready")
        server.keys.revoke(key.id)
        assert until(made, "end")[-1]["change"] == "revoked"
        with pytest.raises(ConnectionClosed) as caught:
            made.recv(timeout=PATIENCE)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008
        server.stop()
        assert until(still, "end")[-1]["change"] == "shutdown"
