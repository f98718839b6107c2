"""`ctxplug serve` and `ctxplug keys`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ctxplug_server.keys import Keys
from ctxplug_server.running import Running
from typer.testing import CliRunner

from ctxplug import AgentMemory
from ctxplug.cli.app import app

runner = CliRunner()


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "agent.db")


def _run(*arguments: str) -> Any:
    return runner.invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_a_key_is_made_listed_and_revoked(store: str) -> None:
    made = _run("keys", "make", store, "planner", "-n", "acme/alice", "--days", "30")
    assert made.exit_code == 0, made.output
    sent = made.stdout.strip()
    keys = Keys(f"{store}.keys.json")
    found = keys.check(sent)
    assert found and (found.name, found.namespace, found.rights) == (
        "planner",
        "acme/alice",
        "write",
    )
    listed = _run("keys", "list", store)
    assert "planner" in listed.stdout and "live until" in listed.stdout
    assert sent not in listed.stdout
    revoked = _run("keys", "revoke", store, "planner")
    assert revoked.exit_code == 0 and found.id in revoked.stdout
    assert keys.check(sent) is None
    assert "revoked" in _run("keys", "list", store).stdout


def test_keys_as_json(store: str) -> None:
    made = json.loads(
        _run("keys", "make", store, "计划", "-n", "*", "-r", "admin", "--json").stdout
    )
    assert Keys(f"{store}.keys.json").check(made["key"])
    assert made["name"] == "计划" and made["rights"] == "admin"
    listed = json.loads(_run("keys", "list", store, "--json").stdout)
    assert [one["id"] for one in listed] == [made["id"]]
    assert "key" not in listed[0] and "hash" not in listed[0]
    revoked = json.loads(_run("keys", "revoke", store, made["id"], "--json").stdout)
    assert revoked[0]["revoked_at"]


def test_of_keys_of_which_one_is_unknown_none_is_revoked(store: str) -> None:
    sent = _run("keys", "make", store, "planner", "-n", "acme/alice").stdout.strip()
    refused = _run("keys", "revoke", store, "planner", "nobody")
    assert refused.exit_code == 1 and "none was revoked" in refused.output.replace("\n", " ")
    assert Keys(f"{store}.keys.json").check(sent)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["keys", "make", "memory:", "a", "-n", "acme"], "--keys FILE"),
        (["keys", "make", "agent.db", "a", "-n", "acme//x"], "namespace"),
        (["keys", "make", "agent.db", "a", "-n", "acme", "-r", "boss"], "rights"),
        (["keys", "make", "agent.db", "a", "-n", "acme", "--days", "-1"], "--days"),
        (["keys", "make", "agent.db", "a", "-n", "acme", "--days", "nan"], "--days"),
        (["keys", "make", "agent.db", "a", "-n", "acme", "--days", "1e12"], "--days"),
        (["keys", "revoke", "agent.db", "nobody"], "keys list"),
        (["keys", "make", "nowhere/agent.db", "a", "-n", "acme"], "create the folder"),
        (["serve", "agent.db", "--host-name", "https://a.example"], "without scheme"),
        (["serve", "agent.db", "--host-name", "a.example:80"], "without scheme"),
        (["serve", "agent.db", "--origin", "app.example"], "https://app.example"),
        (["serve", "nowhere.db", "--read-only"], "does not create"),
        (["serve", "agent.db", "--host", "0.0.0.0"], "keys make"),
        (["serve", "agent.db", "--host-name", "memory.example"], "'memory.example', and"),
        (["serve", "agent.db", "--rate", "often"], "100/second"),
        (["serve", "agent.db", "--embedder", "nothing"], "embedder"),
        (["serve", "agent.db", "--counter", "nothing"], "token counter"),
        (["serve", "agent.db", "--policy", "nothing"], "policy"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Running, "run", lambda self: None)  # else it would serve
    done = _run(*arguments)
    assert done.exit_code == 1
    assert said in done.output.replace("\n", " ")
    assert "Traceback" not in done.output


def test_help_says_how_to_begin() -> None:
    for arguments in (["serve", "-h"], ["keys", "-h"], ["keys", "make", "-h"]):
        done = _run(*arguments)
        assert done.exit_code == 0
        assert "Example: ctxplug" in done.output
    assert {"serve", "keys"} <= set(_run("-h").output.split())


def test_a_read_only_server_writes_nothing(serve: Any, tmp_path: Path, store: str) -> None:
    with AgentMemory.open(store, namespace="acme/alice", session="trip") as memory:
        memory.add("user", "I live in Lisbon.")
    before = Path(store).read_bytes()
    server = serve(store=store, read_only=True)
    with server.client(params={"namespace": "acme/alice"}) as client:
        found = client.get("/v1/sessions/trip/messages").json()["messages"]
        refused = client.post("/v1/memories", json={"content": "x"})
        recalled = client.post("/v1/recall", json={"query": "Lisbon"})
    assert len(found) == 1
    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "ReadOnlyError"
    assert str(tmp_path) not in refused.text
    assert recalled.status_code == 200 and recalled.json()["found"]
    server.stop()
    assert Path(store).read_bytes() == before
