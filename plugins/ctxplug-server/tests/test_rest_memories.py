"""Memories, recall and their upkeep over REST."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from ctxplug_server.wire import from_json
from rest_answers import kind_of, ok

from ctxplug import MemoryRecord, Recalled


@pytest.fixture
def client(own_client: httpx.Client) -> httpx.Client:
    return own_client


def say(client: httpx.Client, text: str, session: str = "trip") -> None:
    body = {"messages": [{"role": "user", "content": text}]}
    ok(client.post(f"/v1/sessions/{session}/messages", json=body), 201)


def remember(client: httpx.Client, content: str, **fields: Any) -> Any:
    return ok(client.post("/v1/memories", json={"content": content, **fields}), 201)


@pytest.mark.parametrize(
    ("content", "query"),
    [("Prefers window seats", "window seat"), ("喜欢靠窗的座位", "靠窗座位")],
)
def test_what_is_remembered_is_recalled(client: httpx.Client, content: str, query: str) -> None:
    made = remember(client, content, kind="preference", tags=["travel"], importance=0.9)
    other = remember(client, "Speaks Portuguese 会说葡萄牙语", tags="skill")
    found = ok(client.post("/v1/recall", json={"query": query, "k": 1}))["found"]
    recalled: list[Recalled] = from_json(list[Recalled], found)
    assert [one.record.id for one in recalled] == [made["id"]]
    assert recalled[0].score == pytest.approx(sum(recalled[0].why.values()))
    only = {"query": query, "tags": "skill"}
    found = ok(client.post("/v1/recall", json=only))["found"]
    assert made["id"] not in [one["record"]["id"] for one in found]
    weighted = {"query": query, "weights": {"importance": 0, "recency": 0, "access": 0}}
    why = ok(client.post("/v1/recall", json=weighted))["found"][0]["why"]
    assert not why.get("importance")
    assert ok(client.get(f"/v1/memories/{made['id']}"))["content"] == content
    listed = ok(client.get("/v1/memories", params={"kinds": ["preference", "rule"]}))["memories"]
    assert [MemoryRecord.from_dict(one).id for one in listed] == [made["id"]]
    newest = ok(client.get("/v1/memories", params={"limit": 1}))["memories"]
    assert [one["id"] for one in newest] == [other["id"]]


def test_a_memory_is_changed_promoted_and_forgotten(client: httpx.Client) -> None:
    made = remember(client, "short 短", importance=0.1, ttl=60, metadata={"源": 1})
    at = f"/v1/memories/{made['id']}"
    assert "expires_at" in made
    changed = ok(client.patch(at, json={"content": "long 长", "ttl": "forever"}))
    assert changed["content"] == "long 长"
    assert "expires_at" not in changed
    assert ok(client.post(f"{at}/promote", json={"tier": "long"}))["tier"] == "long"
    same = ok(client.get("/v1/memories", params={"metadata": '{"源": 1}'}))["memories"]
    assert [one["id"] for one in same] == [made["id"]]
    assert client.delete(at).status_code == 204
    for missing in (client.delete(at), client.get(at), client.patch(at, json={"kind": "x"})):
        assert kind_of(missing) == (404, "NotFoundError")
    assert kind_of(client.get("/v1/memories", params={"metadata": "{"}))[0] == 422


def test_facts_are_superseded_and_found_as_of_a_time(client: httpx.Client) -> None:
    old = remember(client, "Lives in Porto", valid_from="2024-01-01")
    new = remember(client, "Lives in Lisbon", supersedes=old["id"], valid_from="2025-01-01")

    def ids(**params: Any) -> set[str]:
        found = ok(client.get("/v1/memories", params=params))["memories"]
        return {one["id"] for one in found}

    assert ids() == {new["id"]}
    assert ids(valid_at="2024-06-01T00:00:00Z") == {old["id"]}
    assert ids(include_superseded=True) == {old["id"], new["id"]}
    gone = client.post("/v1/memories", json={"content": "x", "supersedes": "nothing"})
    assert kind_of(gone) == (404, "NotFoundError")


def test_messages_are_recalled_and_forgotten_but_stay_in_the_log(client: httpx.Client) -> None:
    say(client, "The gate is B42. 登机口是B42。")
    found = ok(client.post("/v1/recall", json={"query": "登机口", "kinds": ["message"]}))["found"]
    id = found[0]["record"]["id"]
    assert id == "trip@1"
    assert ok(client.get("/v1/memories/trip@1"))["kind"] == "message"
    assert client.delete("/v1/memories/trip@1").status_code == 204
    assert ok(client.post("/v1/recall", json={"query": "登机口"}))["found"] == []
    assert len(ok(client.get("/v1/sessions/trip/messages"))["messages"]) == 1


def test_upkeep_reports_what_it_does(client: httpx.Client) -> None:
    for _ in range(2):
        remember(client, "Prefers window seats on long flights")
    dry = ok(client.post("/v1/memories/consolidate", json={"dry_run": True}))
    assert dry["dry_run"] is True
    done = ok(client.post("/v1/memories/maintain"))
    assert done["counts"]["merged"] == dry["counts"]["merged"] == 1
    runs = ok(client.get("/v1/maintenance"))["reports"]
    assert [run["verb"] for run in runs] == ["maintain"]
    assert kind_of(client.post("/v1/memories/reindex"))[0] == 422  # there is no embedder here


def test_only_who_owns_the_store_names_another_embedder(server: Any) -> None:
    body = {"embedder": "sentence-transformers:/etc"}
    for namespace, status in (("acme/alice", 403), ("*", 422)):
        key = server.keys.make("k", namespace, rights="admin")[1]
        with server.client(key, params={"namespace": "acme/alice"}) as client:
            answer = client.post("/v1/memories/reindex", json={"embedder": "no-such-one"})
            assert answer.status_code == status, answer.text
            if status == 403:
                assert client.post("/v1/memories/reindex", json=body).status_code == 403


def test_the_archive_takes_is_searched_and_gives_back(client: httpx.Client) -> None:
    say(client, "The hotel in 里斯本 is near the river.", "old")
    archived = ok(client.post("/v1/memories/archive", json={"age": 0, "sessions": ["old"]}))
    assert archived["sessions"] == ["old"]
    assert ok(client.post("/v1/recall", json={"query": "里斯本"}))["found"] == []
    found = ok(client.post("/v1/memories/search-archive", json={"query": "里斯本"}))["found"]
    assert [one["archived"] for one in found] == [True]
    back = ok(client.post("/v1/memories/unarchive", json={"sessions": ["old"]}))
    assert back["entries"] >= 1
    assert len(ok(client.post("/v1/recall", json={"query": "里斯本"}))["found"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": 5},
        {"content": "x", "importance": 2},
        {"content": "x", "importance": "0.5"},
        {"content": "x", "tags": [1]},
        {"content": "x", "ttl": "long"},
        {"content": "x", "metadata": []},
        {"content": "x", "valid_from": "soon"},
        {"content": "x", "sort": "fact"},
    ],
)
def test_what_is_no_memory_is_refused(client: httpx.Client, body: Any) -> None:
    assert kind_of(client.post("/v1/memories", json=body))[0] == 422
    assert ok(client.get("/v1/memories")) == {"memories": []}
