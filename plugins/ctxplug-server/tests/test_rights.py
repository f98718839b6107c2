"""What a key may do: each operation takes the right that the document says, and no less."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

OWNER = {"namespace": "acme/alice"}
READ = {
    "list_sessions", "get_session", "list_snapshots", "read_log", "list_messages", "get_original",
    "expand", "list_memories", "get_memory", "recall", "search_archive", "maintenance_log",
    "report_usage", "check_usage", "list_steps", "get_step", "replay_window", "compare_windows",
    "analyze", "rerun", "list_tools", "tool_history", "allows", "get_stats", "verify_erased",
    "list_namespaces", "past_messages", "past_moments", "begin_replay",
    "journal_head",
}  # fmt: skip
WRITE = {
    "update_session", "suspend_session", "resume_session", "complete_session", "fail_session",
    "fork_session", "restore_session", "keep_messages", "make_snapshot", "add_messages",
    "make_context", "remember", "update_memory", "forget", "promote", "consolidate", "maintain",
    "archive", "unarchive", "reindex", "record_call", "record_usage", "reserve_usage",
    "settle_usage", "release_usage", "record_steps", "run_tools", "call_tool", "note", "enter",
}  # fmt: skip
ADMIN = {
    "erase_session", "erase", "retire", "list_audit", "verify_audit", "verify_audit_against",
    "anchor_audit", "summarize_audit", "export_audit", "list_rules", "make_rule", "revoke_rule",
}  # fmt: skip
STORE = {"check"}
RECEIPT = {
    "namespace": ["acme", "alice"], "entries": 0, "records": 0, "vectors": 0, "archived": 0,
    "remaining": 0, "erased_at": "2026-05-01T10:30:00+00:00", "salt": "", "marks": "",
}  # fmt: skip
HELD = {"id": "0", "tokens": 1, "cost": 0, "day": "2026-05-01", "expires_at": "2026-05-01"}
BODIES: dict[str, Any] = {  # of those operations that take more than an example of the document
    "settle_usage": {"reservation": HELD, "usage": {"input_tokens": 1, "output_tokens": 1}},
    "release_usage": {"reservation": HELD},
    "verify_audit_against": {},
}
ELSEWHERE = {"view", "live", "monitoring"}  # these have tests of their own
NAMED = {"session": "trip", "name": "history:trip"}
ASKED = {"ref": "@1", "before": "0", "after": "0", "session": "trip", "verb": "read", "upto": "1"}


def operations(client: httpx.Client) -> dict[str, tuple[str, str, Any, dict[str, str]]]:
    """Return method, path, body and parameters of the operations that are tested here, by id."""
    document = client.get("/openapi.json").json()
    ours = {}
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            id = told["operationId"]
            if not path.startswith("/v1") or set(told["tags"]) & ELSEWHERE:
                continue
            content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            schema = document["components"]["schemas"].get(name, {})
            body = BODIES.get(id, (schema.get("examples") or [None])[0])
            needs = [p["name"] for p in told.get("parameters", ()) if p["in"] == "query"]
            asked = {name: ASKED[name] for name in needs if name in ASKED}
            for name in ("session", "id", "step", "name"):
                path = path.replace("{" + name + "}", NAMED.get(name, "0"))
            ours[id] = method, path, body, {**OWNER, **asked}
    return ours


def test_every_operation_takes_its_right_and_no_less(server: Any) -> None:
    ranks = ("read", "write", "admin")
    with server.client() as local:
        every = operations(local)
    assert set(every) == READ | WRITE | ADMIN | STORE
    texts = {right: server.keys.make("k", namespace="acme/alice", rights=right) for right in ranks}
    for rank, right in enumerate(ranks):
        with server.client(str(texts[right][1])) as client:
            for id, (method, path, body, params) in every.items():
                answer = client.request(method, path, params=params, json=body)
                need = next(n for n, ids in enumerate((READ, WRITE, ADMIN, STORE)) if id in ids)
                refused = answer.status_code == 403 and (
                    answer.json()["error"]["type"] == "RightError"
                )
                assert refused == (rank < need), (right, id, answer.text)
                assert answer.status_code < 500, (id, answer.text)


@pytest.mark.parametrize("path", ["run", "call"])
def test_only_an_admin_answers_for_what_the_rules_ask_about(server: Any, path: str) -> None:
    body: dict[str, Any] = {"approve": True}
    body |= {"calls": []} if path == "run" else {"name": "recall", "arguments": {"query": "x"}}
    made = {r: server.keys.make(r, namespace="acme/alice", rights=r) for r in ("write", "admin")}
    for right, status in (("write", 403), ("admin", 200)):
        with server.client(str(made[right][1])) as client:
            answer = client.post(f"/v1/sessions/trip/tools/{path}", json=body)
            assert answer.status_code == status, answer.text


def test_a_key_of_the_whole_store_may_check_it_and_sees_all(server: Any) -> None:
    _, text = server.keys.make("all", namespace="*", rights="admin")
    with server.client(str(text)) as client:
        for namespace in ("acme/bob", "acme/alice"):
            body = {"messages": [{"role": "user", "content": "x"}]}
            client.post("/v1/sessions/s/messages", params={"namespace": namespace}, json=body)
        assert client.get("/v1/check").json()["ok"] is True
        found = client.get("/v1/namespaces").json()["namespaces"]
        assert [one["namespace"] for one in found] == ["acme/alice", "acme/bob"]
        assert client.get("/v1/sessions").status_code == 422  # whose?


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        ({"summarizer": "anthropic:claude-opus-4-6"}, 403),
        ({"strategies": ["somebodys:/etc/passwd"]}, 403),
        ({"summarizer": "extractive", "strategies": ["digest"], "high": 0.8}, 200),
    ],
)
def test_only_the_owner_lets_the_server_use_a_component_that_reaches_further(
    server: Any, policy: dict[str, Any], status: int
) -> None:
    _, sent = server.keys.make("agent", "acme/alice", rights="admin")
    given = json.dumps(policy)
    with server.client(sent) as client:
        hello = {"messages": [{"role": "user", "content": "Hello. 你好。"}]}
        client.post("/v1/sessions/trip/messages", json=hello)
        path = "/v1/sessions/trip/context"
        assert client.post(path, json={}).status_code == 200
        answer = client.post(path, json={}, params={"policy": given})
        rerun = client.post("/v1/sessions/trip/rerun", json={"policy": given})
    assert (answer.status_code, rerun.status_code) == (status, status), answer.text
