"""Keys: made, checked, revoked; hashed at rest; never open by mistake."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ctxplug_server.keys import EVERYWHERE, Keys

from ctxplug.errors import CannotOpenError, InvalidNamespaceError, InvalidValueError, NotFoundError

ALICE, BOB, CHILD = ("acme", "alice"), ("acme", "bob"), ("acme", "alice", "work")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db.keys.json"


@pytest.fixture
def keys(path: Path) -> Keys:
    return Keys(path)


def test_a_key_opens_what_it_was_made_for(keys: Keys) -> None:
    made, sent = keys.make("planner", "acme/alice", rights="write", agent="planner")
    found = keys.check(sent)
    assert found == made
    assert found.may("read") and found.may("write") and not found.may("admin")
    assert found.sees(ALICE) and not found.sees(BOB) and not found.sees(CHILD)
    assert found.agent == "planner"


def test_a_subtree_key_sees_children_and_no_siblings(keys: Keys) -> None:
    _, sent = keys.make("all of alice", "acme/alice", subtree=True)
    found = keys.check(sent)
    assert found and found.sees(ALICE) and found.sees(CHILD)
    assert not found.sees(BOB) and not found.sees(("acme",)) and not found.sees(("acme", "alice2"))


def test_a_key_for_everything(keys: Keys) -> None:
    found = keys.check(keys.make("operator", EVERYWHERE, rights="admin")[1])
    assert found and found.sees(ALICE) and found.sees(("旅行",)) and found.may("admin")


def test_nothing_else_is_a_key(keys: Keys) -> None:
    key, sent = keys.make("planner", "acme/alice")
    other = keys.make("other", "acme/bob")[1]
    flipped = sent[:-1] + ("A" if sent[-1] != "A" else "B")
    mixed = f"ctxp_{key.id}_{other.rpartition('_')[2]}" if "_" not in other[18:] else flipped
    for wrong in (
        "",
        "ctxp_",
        sent[:-1],
        sent + "A",
        sent.upper(),
        flipped,
        mixed,
        f" {sent}",
        key.id,
    ):
        assert keys.check(wrong) is None, wrong
    assert keys.check(sent) == key


def test_secrets_are_kept_nowhere_and_files_are_private(keys: Keys, path: Path) -> None:
    _, sent = keys.make("planner", "acme/alice")
    secret = sent.split("_", 2)[2]
    for file in path.parent.iterdir():
        assert secret not in file.read_text(encoding="utf-8")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(secret) * 6 >= 256
    assert "hash" not in keys.listed()[0].to_dict()


def test_two_keys_of_one_secret_have_different_hashes(keys: Keys, path: Path) -> None:
    keys.make("a", "acme/alice")
    keys.make("b", "acme/alice")
    rows = json.loads(path.read_text(encoding="utf-8"))["keys"]
    assert rows[0]["salt"] != rows[1]["salt"]
    assert rows[0]["hash"] != rows[1]["hash"]


def test_a_revoked_key_is_refused_at_once_by_who_has_the_file_open(keys: Keys, path: Path) -> None:
    _, sent = keys.make("planner", "acme/alice")
    server = Keys(path)
    assert server.check(sent)
    keys.revoke("planner")
    assert server.check(sent) is None
    assert [key.revoked_at is not None for key in server.listed()] == [True]
    assert server.required


def test_an_expired_key_is_refused_and_keys_stay_a_must(keys: Keys) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    _, sent = keys.make("planner", "acme/alice", expires_at=later)
    assert keys.check(sent)
    assert keys.check(sent, now=later) is None
    assert keys.required


def test_a_removed_file_does_not_open_a_running_server(keys: Keys, path: Path) -> None:
    assert not keys.required
    _, sent = keys.make("planner", "acme/alice")
    assert keys.required
    path.unlink()
    assert keys.check(sent) is None
    assert keys.required


def test_a_removed_file_does_not_open_a_server_that_only_ever_checked_keys(
    keys: Keys, path: Path
) -> None:
    server = Keys(path)
    _, sent = keys.make("planner", "acme/alice")
    assert server.check(sent)
    path.unlink()
    assert server.required


def test_what_is_changed_by_way_of_a_link_is_changed_in_its_file(
    keys: Keys, path: Path, tmp_path: Path
) -> None:
    _, sent = keys.make("planner", "acme/alice")
    link = tmp_path / "link.json"
    link.symlink_to(path)
    Keys(link).revoke("planner")
    assert link.is_symlink()
    assert keys.check(sent) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": [{}]}', '{"keys": [{"id": "x"}]}'])
def test_a_file_that_cannot_be_read_lets_nobody_in(keys: Keys, path: Path, text: str) -> None:
    _, sent = keys.make("planner", "acme/alice")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CannotOpenError, match="nobody gets in"):
        keys.check(sent)
    with pytest.raises(CannotOpenError):
        _ = keys.required


def test_what_cannot_be_a_key_is_refused_in_a_sentence(keys: Keys) -> None:
    with pytest.raises(InvalidValueError, match="rights is one of"):
        keys.make("a", "acme", rights="owner")
    with pytest.raises(InvalidNamespaceError):
        keys.make("a", "acme//alice")
    with pytest.raises(InvalidNamespaceError):
        keys.make("a", "ctxplug:audit/chains")
    with pytest.raises(InvalidNamespaceError):
        keys.make("", "acme")
    with pytest.raises(NotFoundError, match="keys list"):
        keys.revoke("nobody")
    with pytest.raises(InvalidValueError, match="--keys FILE"):
        Keys(None).make("a", "acme")
    assert keys.listed() == []


def test_keys_that_are_made_at_once_are_all_there(path: Path) -> None:
    code = (
        "import sys\nfrom ctxplug_server.keys import Keys\nkeys = Keys(sys.argv[1])\n"
        "for i in range(10): keys.make(f'{sys.argv[2]}{i}', 'acme/alice')"
    )
    makers = [
        subprocess.Popen([sys.executable, "-c", code, os.fspath(path), name]) for name in "abc"
    ]
    assert [maker.wait(60) for maker in makers] == [0, 0, 0]
    assert len({key.name for key in Keys(path).listed()}) == 30
    assert not [file for file in path.parent.iterdir() if file.name.endswith(".new")]
