"""Usage, steps, tools, audit, access and the namespace as a whole over REST."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from ctxplug_server.wire import from_json
from rest_answers import kind_of, ok

from ctxplug.context.recorded import Replayed
from ctxplug.tokens.ledger import Reservation
from ctxplug.tracing.difference import Difference
from ctxplug.tracing.rerun import Rerun
from ctxplug.tracing.step import Step


@pytest.fixture
def client(own_client: httpx.Client) -> httpx.Client:
    return own_client


def say(client: httpx.Client, *texts: str, session: str = "trip") -> None:
    for place, text in enumerate(texts):
        role = "assistant" if place % 2 else "user"
        body = {"messages": [{"role": role, "content": text}]}
        ok(client.post(f"/v1/sessions/{session}/messages", json=body), 201)


USAGES = [
    {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 2},
    {"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2}},
    {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 2},
]


@pytest.mark.parametrize("usage", USAGES)
def test_usage_is_read_from_any_providers_numbers(client: httpx.Client, usage: Any) -> None:
    body = {"usage": usage, "model": "claude-sonnet-4-5", "tokens": 11}
    recorded = ok(client.post("/v1/sessions/trip/usage", json=body), 201)
    told = recorded["usage"]
    numbers = [told[f"{name}_tokens"] for name in ("input", "output", "cache_read")]
    assert numbers == [10, 5, 2]
    body = {"usage": usage, "cost": 0.5, "session": "旅行", "agent": "规划"}
    ok(client.post("/v1/usage/record", json=body), 201)
    report = ok(client.get("/v1/usage", params={"days": 1}))
    assert report["total"]["calls"] == 2
    assert report["total"]["usage"]["input_tokens"] == 20
    assert set(report["by_session"]) == {"trip", "旅行"}
    assert report["by_agent"]["规划"]["cost"] == 0.5


def test_a_reservation_is_settled_once_or_released(client: httpx.Client) -> None:
    held = ok(client.post("/v1/usage/reserve", json={"tokens": 900}), 201)
    assert from_json(Reservation, held).tokens == 900
    assert client.post("/v1/usage/check", json={"tokens": 5}).status_code == 204
    body = {"reservation": held, "usage": USAGES[0]}
    assert ok(client.post("/v1/usage/settle", json=body))["usage"]["output_tokens"] == 5
    assert kind_of(client.post("/v1/usage/settle", json=body)) == (422, "InvalidValueError")
    held = ok(client.post("/v1/usage/reserve", json={"tokens": USAGES[2]}), 201)
    for _ in range(2):
        released = client.post("/v1/usage/release", json={"reservation": held})
        assert released.status_code == 204
    for path in ("reserve", "check"):
        assert kind_of(client.post(f"/v1/usage/{path}", json={}))[0] == 422
    assert kind_of(client.post("/v1/usage/record", json={"usage": {"n": 1}}))[0] == 422


def test_steps_are_recorded_read_and_replayed(client: httpx.Client) -> None:
    say(client, "Where is Lisbon? 里斯本在哪里？")
    ok(client.post("/v1/sessions/trip/context"))
    say(client, "?", "In Portugal.", "And Porto?")
    ok(client.post("/v1/sessions/trip/context", json={"query": "Porto"}))
    at = "2026-05-01T10:30:00+00:00"
    step = {"kind": "model", "name": "m", "started_at": at, "duration": 1.5, "data": {"名": 1}}
    steps = {"steps": [step, {**step, "outcome": "error", "error": "太慢"}]}
    entered = ok(client.post("/v1/sessions/trip/steps", json=steps), 201)["steps"]
    assert [one["data"] for one in entered] == [{"名": 1}] * 2
    found = ok(client.get("/v1/sessions/trip/steps"))["steps"]
    assert [one["id"] for one in found][:2] == [one["id"] for one in entered]
    some = {"kind": "window", "since": "2026-06-01", "last": 5}
    windows = ok(client.get("/v1/sessions/trip/steps", params=some))["steps"]
    first, second = [Step.from_dict(one).id for one in windows]
    assert ok(client.get(f"/v1/sessions/trip/steps/{first}")) == windows[0]
    replayed = ok(client.get(f"/v1/sessions/trip/steps/{first}/window"))
    assert replayed["exact"] is True
    assert len(from_json(Replayed, replayed).window.messages) == 1
    pair = {"before": first, "after": second}
    difference = ok(client.get("/v1/sessions/trip/difference", params=pair))
    read = from_json(Difference, difference)
    assert [one["version"] for one in difference["entered"]] == [m.version for m in read.entered]
    assert len(read.entered) == 3
    rerun = ok(client.post("/v1/sessions/trip/rerun", json={"budget": 4_000}))
    assert from_json(Rerun, rerun).same is rerun["same"]
    assert [call["after"]["budget"] for call in rerun["calls"]] == [4_000] * 2
    analysis = ok(client.get("/v1/sessions/trip/analysis"))
    assert analysis["session"] == "trip"
    missing = client.get("/v1/sessions/trip/steps/0000000000000000")
    assert kind_of(missing) == (404, "NotFoundError")
    assert kind_of(client.get(f"/v1/sessions/trip/steps/{entered[0]['id']}/window"))[0] == 422


def test_a_step_has_the_id_it_is_given_and_data_of_any_names(client: httpx.Client) -> None:
    step = {"kind": "span", "started_at": 0, "duration": 1, "id": "9f3c5d7e1a2b4c60"}
    body = {"steps": [{**step, "data": {"name": 1, "self": "二"}}]}
    ok(client.post("/v1/sessions/trip/steps", json=body), 201)
    kept = ok(client.get("/v1/sessions/trip/steps/9f3c5d7e1a2b4c60"))
    assert kept["data"] == {"name": 1, "self": "二"}
    for wrong in ({"id": "7"}, {"kind": "dance"}, {"duration": -1}, {"parent": "x"}):
        refused = client.post("/v1/sessions/trip/steps", json={"steps": [{**step, **wrong}]})
        assert kind_of(refused) == (422, "InvalidValueError")


def test_a_note_whose_data_is_named_as_a_field_is_refused(client: httpx.Client) -> None:
    for name in ("action", "ids", "self"):
        note = {"action": "a.b", "data": {name: "x"}}
        refused = client.post("/v1/audit/notes", json=note)
        assert kind_of(refused) == (422, "InvalidValueError")
        assert name in refused.json()["error"]["message"]


def test_tools_are_listed_run_and_kept(client: httpx.Client) -> None:
    tools = ok(client.get("/v1/tools"))["tools"]
    named = {tool["name"]: tool for tool in tools}
    assert {"expand", "forget", "recall", "remember"} <= set(named)
    assert named["recall"]["schema"]["type"] == "object"
    ok(client.post("/v1/memories", json={"content": "Likes tea 喜欢喝茶"}), 201)
    call = {"id": "c1", "name": "recall", "arguments": {"query": "茶"}}
    body = {"calls": [call, {"id": "c2", "name": "fly"}], "store": True}
    answers = ok(client.post("/v1/sessions/trip/tools/run", json=body))["messages"]
    results = [answer["content"][0] for answer in answers]
    assert "喜欢喝茶" in results[0]["content"][0]["text"]
    assert results[1]["is_error"] is True
    assert ok(client.get("/v1/sessions/trip/messages"))["messages"] == answers
    one = {"name": "recall", "arguments": {"query": "tea"}, "call_id": "c3"}
    assert ok(client.post("/v1/sessions/trip/tools/call", json=one))["outcome"] == "ok"
    runs = ok(client.get("/v1/tools/history", params={"session": "trip"}))["runs"]
    assert runs[0]["call_id"] == "c3"
    assert {run["call_id"] for run in runs} == {"c1", "c2", "c3"}
    only = {"session": "trip", "tool": "recall", "limit": 1}
    assert len(ok(client.get("/v1/tools/history", params=only))["runs"]) == 1
    twice = {"calls": [call, call]}
    assert kind_of(client.post("/v1/sessions/trip/tools/run", json=twice))[0] == 422


def test_the_audit_tells_who_did_what_and_for_what(client: httpx.Client) -> None:
    headers = {"ctxplug-purpose": quote("预订"), "ctxplug-actor": "alice@example.com"}
    body = {"content": "x"}
    made = ok(client.post("/v1/memories", json=body, headers=headers), 201)
    note = {"action": "export.sent", "ids": ["旅"], "data": {"to": "档案"}}
    assert client.post("/v1/audit/notes", json=note).status_code == 204
    entries = ok(client.get("/v1/audit", params={"what": "remember", "purpose": "预订"}))["entries"]
    assert [one["ids"] for one in entries] == [[made["id"]]]
    assert entries[0]["actor"] == "alice@example.com"
    entry = ok(client.get("/v1/audit", params={"last": 1}))["entries"][0]
    assert (entry["what"], entry["ids"], entry["purpose"]) == ("export.sent", ["旅"], None)
    anchor = ok(client.get("/v1/audit/anchor"))
    assert ok(client.get("/v1/audit/verify"))["ok"] is True
    assert ok(client.post("/v1/audit/verify", json={"anchor": anchor}))["ok"] is True
    report = ok(client.get("/v1/audit/report"))
    assert report["by_purpose"]["预订"] == 1
    lines = client.get("/v1/audit/export").content.splitlines()
    assert json.loads(lines[0])["entries"] == len(ok(client.get("/v1/audit"))["entries"])
    own = {"action": "remember"}
    assert kind_of(client.post("/v1/audit/notes", json=own))[0] == 422


def test_rules_of_access_hold_for_agents(client: httpx.Client) -> None:
    say(client, "secret 秘密")
    rule = {"action": "allow", "agent": "规划", "verbs": ["read"], "session": "trip"}
    made = ok(client.post("/v1/access/rules", json=rule), 201)
    assert ok(client.post("/v1/access/rules", json=rule), 201) == made
    assert ok(client.get("/v1/access/rules"))["rules"] == [made]
    asked = {"verb": "read", "session": "trip", "of": "规划"}
    assert ok(client.get("/v1/access/allows", params=asked)) == {"allowed": True}
    assert ok(client.get("/v1/access/allows", params={**asked, "of": "x"})) == {"allowed": False}
    messages = "/v1/sessions/trip/messages"
    assert len(ok(client.get(messages, params={"agent": "规划"}))["messages"]) == 1
    assert kind_of(client.get(messages, params={"agent": "x"})) == (403, "AccessError")
    assert client.delete(f"/v1/access/rules/{made['id']}").status_code == 204
    assert kind_of(client.delete(f"/v1/access/rules/{made['id']}"))[0] == 404
    denied = {**rule, "action": "deny", "tags": ["隐私"]}
    assert ok(client.post("/v1/access/rules", json=denied), 201)["tags"] == ["隐私"]


def test_a_namespace_is_counted_checked_and_erased(client: httpx.Client) -> None:
    say(client, "one", "二")
    stats = ok(client.get("/v1/stats", params={"session": "trip"}))
    here = client.params["namespace"]
    assert (stats["namespace"], stats["messages"], stats["sessions"]) == (here, 2, 1)
    assert ok(client.get("/v1/check"))["ok"] is True
    assert {"namespace": here} in ok(client.get("/v1/namespaces"))["namespaces"]
    dry = ok(client.post("/v1/retire", json={"older_than": 1e-6, "dry_run": True}))
    assert dry["sessions"] == []
    ok(client.post("/v1/sessions/trip/complete"))
    assert ok(client.post("/v1/retire", json={"older_than": 1e-6}))["sessions"] == ["trip"]
    assert kind_of(client.post("/v1/retire", json={}))[0] == 422
    say(client, "again")
    refused = client.post("/v1/erase", json={"confirm": "acme"})
    assert kind_of(refused) == (422, "InvalidValueError")
    receipt = ok(client.post("/v1/erase", json={"confirm": here}))
    assert receipt["remaining"] == 0
    assert ok(client.get("/v1/sessions")) == {"sessions": []}
    assert ok(client.post("/v1/erase/verify", json={"receipt": receipt}))["returned"] == 0
