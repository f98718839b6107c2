"""Sessions, messages and windows over REST."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from ctxplug_server.wire import from_json, read_window
from rest_answers import kind_of, ok

from ctxplug import AgentMemory, ImagePart, Message, TextPart, ToolCallPart, codec
from ctxplug.sessions.info import SessionState

WORDS = ["I moved to Lisbon last week.", "我上周搬到了里斯本。"]


def say(client: httpx.Client, text: str, session: str = "trip", role: str = "user") -> Any:
    body = {"messages": [{"role": role, "content": text}]}
    return ok(client.post(f"/v1/sessions/{session}/messages", json=body), 201)


@pytest.fixture
def client(own_client: httpx.Client) -> httpx.Client:
    return own_client


@pytest.mark.parametrize("words", WORDS)
def test_messages_are_kept_as_they_were_sent(client: httpx.Client, words: str) -> None:
    message = Message(
        "user",
        [TextPart(f"{words}\x00\ud800"), ImagePart(data=b"\x89PNG", media_type="image/png")],
        metadata={"旅行": [1, None, "\udfff"]},
        created_at="2026-05-01T10:30:00+08:00",
        pinned=True,
    )
    data = codec.encode({"messages": [message.to_dict()]})
    headers = {"content-type": "application/json"}
    added = ok(client.post("/v1/sessions/trip/messages", content=data, headers=headers), 201)
    assert [Message.from_dict(one) for one in added["messages"]] == [message]
    assert added["head"] == 1
    say(client, words)
    listed = ok(client.get("/v1/sessions/trip/messages"))["messages"]
    assert Message.from_dict(listed[0]) == message
    assert listed[0]["content"][1]["data"] == base64.b64encode(b"\x89PNG").decode()
    newest = ok(client.get("/v1/sessions/trip/messages", params={"last": 1}))["messages"]
    assert newest == listed[1:]
    assert newest[0]["content"] == [{"type": "text", "text": words}]


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"role": "user"}, "content"),
        ({"role": "king", "content": "x"}, "role"),
        ({"role": "user", "content": "x", "colour": "red"}, "colour"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "text"),
        ({"role": "user", "content": [{"type": "tool_call", "id": 1, "name": "f"}]}, "id"),
        ({"role": "user", "content": [{"type": "image"}]}, ""),
        ({"role": "user", "content": [{"type": "image", "data": "?"}]}, ""),
        ({"role": "user", "content": "x", "metadata": {"n": 2**70}}, ""),
        ({"role": "user", "content": "x", "created_at": "yesterday"}, "created_at"),
        (5, ""),
    ],
)
def test_what_is_no_message_is_refused_and_nothing_is_added(
    client: httpx.Client, message: Any, place: str
) -> None:
    body = {"messages": [{"role": "user", "content": "first"}, message]}
    refused = client.post("/v1/sessions/trip/messages", json=body)
    assert kind_of(refused) in [(422, "InvalidValueError"), (422, "InvalidMessageError")]
    assert place in refused.json()["error"]["message"]
    assert ok(client.get("/v1/sessions/trip/messages")) == {"messages": []}


def test_null_is_as_if_it_was_left_out(client: httpx.Client) -> None:
    part = {"type": "tool_call", "id": "c1", "name": "f", "raw_arguments": None}
    body = {"messages": [{"role": "assistant", "content": [part], "name": None}]}
    added = ok(client.post("/v1/sessions/trip/messages", json=body), 201)["messages"][0]
    assert Message.from_dict(added).content == (ToolCallPart("c1", "f"),)


def test_a_session_lives_by_its_verbs(client: httpx.Client) -> None:
    assert ok(client.get("/v1/sessions/trip"))["state"] == "created"
    say(client, "hello")
    assert ok(client.post("/v1/sessions/trip/suspend", json={"reason": "等待"}))["reason"] == "等待"
    refused = client.post("/v1/sessions/trip/messages", json={"messages": []})
    assert kind_of(refused) == (409, "SessionStateError")
    assert refused.json()["error"]["details"]["state"] == "suspended"
    for verb, state in (("resume", "active"), ("complete", "completed"), ("resume", "active")):
        assert ok(client.post(f"/v1/sessions/trip/{verb}"))["state"] == state
    assert ok(client.post("/v1/sessions/trip/fail", json={"reason": "no"}))["state"] == "failed"
    told = ok(client.patch("/v1/sessions/trip", json={"metadata": {"客户": "C-1", "a": 1}}))
    assert told == {"metadata": {"客户": "C-1", "a": 1}}
    told = ok(client.patch("/v1/sessions/trip", json={"metadata": {"a": None}}))
    assert told == {"metadata": {"客户": "C-1"}}
    say(client, "else", "other")
    found = ok(client.get("/v1/sessions", params={"state": ["failed", "suspended"]}))["sessions"]
    state: SessionState = from_json(SessionState, found[0])
    assert [state.id, state.metadata, len(found)] == ["trip", {"客户": "C-1"}, 1]
    assert len(ok(client.get("/v1/sessions", params={"limit": 1}))["sessions"]) == 1
    assert kind_of(client.get("/v1/sessions", params={"state": "sad"}))[0] == 422


def test_snapshots_forks_restores_and_edits(client: httpx.Client) -> None:
    for words in ("one", "二", "three"):
        say(client, words)
    body = {"name": "预订前", "note": "agreed"}
    snapshot = ok(client.post("/v1/sessions/trip/snapshots", json=body), 201)
    assert ok(client.get("/v1/sessions/trip/snapshots")) == {"snapshots": [snapshot]}
    say(client, "four")
    forked = client.post("/v1/sessions/trip/fork", json={"session": "trip-2", "at": "预订前"})
    assert ok(forked, 201) == {"session": "trip-2"}
    again = client.post("/v1/sessions/trip/fork", json={"session": "trip-2"})
    assert kind_of(again) == (409, "ConflictError")
    assert len(ok(client.get("/v1/sessions/trip-2/messages"))["messages"]) == 3
    found = ok(client.get("/v1/sessions", params={"parent": "trip"}))["sessions"]
    assert [one["id"] for one in found] == ["trip-2"]
    new = ok(client.post("/v1/sessions/trip/fork"), 201)["session"]
    assert len(ok(client.get(f"/v1/sessions/{new}/messages"))["messages"]) == 4
    restored = ok(client.post("/v1/sessions/trip/restore", json={"to": "预订前"}))
    assert restored == {"version": snapshot["version"]}
    missing = client.post("/v1/sessions/trip/restore", json={"to": "never"})
    assert kind_of(missing) == (404, "NotFoundError")
    log = ok(client.get("/v1/sessions/trip/log"))
    assert [one["version"] for one in log["log"]] == [1, 2, 3]
    kept = {
        "versions": [1, 3],
        "then": [{"role": "user", "content": "新的"}],
        "expected": log["head"],
        "note": {"why": "短"},
    }
    assert len(ok(client.post("/v1/sessions/trip/keep", json=kept))["messages"]) == 1
    assert kind_of(client.post("/v1/sessions/trip/keep", json=kept)) == (409, "ConflictError")
    log = ok(client.get("/v1/sessions/trip/log"))
    assert [one["version"] for one in log["log"]][:2] == [1, 3]
    assert log["note"] == {"why": "短"}
    whole = ok(client.get("/v1/sessions/trip/log", params={"kept": False}))["log"]
    assert len(whole) == 5
    assert ok(client.get("/v1/sessions/trip/log", params={"after": 4}))["log"] == log["log"][2:]


def test_a_session_is_erased_for_good(client: httpx.Client) -> None:
    say(client, "secret")
    receipt = ok(client.delete("/v1/sessions/trip"))
    assert receipt["entries"] == 1
    assert receipt["sessions"][0] == "trip"
    assert ok(client.get("/v1/sessions/trip/messages")) == {"messages": []}
    verified = client.post("/v1/erase/verify", json={"receipt": receipt})
    assert ok(verified)["ok"] is True


@pytest.mark.parametrize("words", WORDS)
def test_a_window_is_that_of_a_memory_on_the_same_store(
    one_server: Any, client: httpx.Client, words: str
) -> None:
    for turn in range(4):
        say(client, f"{words} {turn}")
        say(client, "…", role="assistant")
    say(client, f"{words}?")
    ok(client.post("/v1/memories", json={"content": f"{words}!"}), 201)
    tools = [{"name": "f", "description": "", "input_schema": {"type": "object"}}]
    asked: dict[str, Any] = {"query": words, "system": "Be brief. 请简短。", "tools": tools}
    section = {"name": "schema", "content": "表 t(a, b)", "place": "turn"}
    told = ok(client.post("/v1/sessions/trip/context", json={**asked, "sections": [section]}))
    window = read_window(told)
    assert window.messages[0].text == asked["system"]
    assert any("表 t(a, b)" in message.text for message in window.messages)
    assert window.tokens == sum(window.report.tokens.values())
    assert len(window.report.recalled) >= 1
    here = client.params["namespace"]
    with AgentMemory.open(one_server.store, namespace=here, session="trip") as memory:
        own = memory.context(**asked)
    again = ok(client.post("/v1/sessions/trip/context", json={**asked, "fates": False}))
    assert "fates" not in again["report"]
    assert codec.encode(read_window(again).to_anthropic()) == codec.encode(own.to_anthropic())
    assert codec.encode(read_window(again).to_openai()) == codec.encode(own.to_openai())


def test_a_window_that_cannot_be_says_why(client: httpx.Client) -> None:
    assert kind_of(client.post("/v1/sessions/new/context")) == (409, "EmptyContextError")
    say(client, "word " * 400)
    refused = client.post("/v1/sessions/trip/context", json={"budget": 50})
    assert kind_of(refused) == (422, "BudgetError")
    assert refused.json()["error"]["details"]["budget"] == 50
    assert refused.json()["error"]["details"]["needed"] > 50
    for body in ({"budget": 0}, {"budget": "50"}, {"reserved": -1}, {"tools": ["f"]}):
        assert kind_of(client.post("/v1/sessions/trip/context", json=body))[0] == 422
    unknown = client.post("/v1/sessions/trip/context", params={"policy": "best"})
    assert kind_of(unknown)[0] == 422


def test_originals_stand_behind_references(client: httpx.Client) -> None:
    added = [say(client, words)["messages"][0] for words in WORDS]
    found = ok(client.get("/v1/sessions/trip/original", params={"ref": "@1-2"}))
    assert found["messages"] == added
    text = ok(client.get("/v1/sessions/trip/expand", params={"ref": "@2"}))["text"]
    assert text == f"[user] {WORDS[1]}"
    text = ok(client.get("/v1/sessions/trip/expand", params={"ref": "@2", "start": 7}))["text"]
    assert text == WORDS[1]
    missing = client.get("/v1/sessions/trip/original", params={"ref": "@9"})
    assert kind_of(missing) == (404, "NotFoundError")
