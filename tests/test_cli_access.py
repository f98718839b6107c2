"""ctxplug access: rules on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ctxplug import AgentMemory
from ctxplug.cli.app import app
from ctxplug.errors import AccessError


@pytest.fixture
def target(tmp_path: Path) -> str:
    """Return the path of a store with a session of a planner."""
    path = str(tmp_path / "agent.db")
    with AgentMemory.open(path, namespace="acme", session="trip", agent="planner") as memory:
        memory.add("user", "Hello")
    return path


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["access", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def data(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_rules_are_granted_denied_listed_and_revoked(target: str) -> None:
    assert "no rules" in run("list", target) and data("list", target) == []
    made = data("grant", target, "hr-*", "write", "read", "-s", "trip")
    assert made["verbs"] == ["read", "write"] and made["session"] == "trip"
    told = run("deny", target, "intern", "share", "--kind", "fact", "--tag", "money")
    assert "deny 'intern' to share memories of kind 'fact' or tag 'money'" in " ".join(told.split())
    listed = data("list", target)
    assert listed[0] == made and [rule["action"] for rule in listed] == ["allow", "deny"]
    assert made["id"][:8] in run("list", target)
    with AgentMemory.open(target, namespace="acme", session="trip", agent="planner") as memory:
        with pytest.raises(AccessError):
            memory.messages()
        assert data("revoke", target, made["id"][:12]) == {"revoked": [made["id"]]}
        assert memory.messages()
    assert "Revoked 1 rule." in run("revoke", target, listed[1]["id"])
    assert data("list", target) == []


def test_listing_changes_nothing(target: str) -> None:
    before = Path(target).read_bytes()
    run("list", target)
    assert Path(target).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["grant", "{}", "planner", "red"], "read, write, share"),
        (["revoke", "{}", "0000"], "no access rule"),
        (["revoke", "{}", ""], "no access rule"),
        (["list", "{}", "-n", "acme/nobody"], "acme/nobody"),
        (["list", "nowhere.db"], "nowhere.db"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(target: str, arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["access", *(part.format(target) for part in arguments)])
    assert done.exit_code == 1 and said in done.output
    assert "Traceback" not in done.output
