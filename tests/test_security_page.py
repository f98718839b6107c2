"""What docs/security.md claims is held by the tests that it names; here, that they are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctxplug import AgentMemory
from ctxplug.cli.app import app

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w./-]*test_\w+\.py)`", TEXT)))


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_the_page_names_is_there(named: str) -> None:
    folders = ("", "plugins/ctxplug-server/tests/")
    assert any((ROOT / folder / named).is_file() for folder in folders)


def test_each_attacker_is_told_with_what_is_not_done() -> None:
    parts = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    assert len(NAMED) >= 20
    without = ("What there is to protect", "Harden it", "Report a vulnerability")
    told = [part for part in parts if not part.startswith(without)]
    assert len(told) == 8
    assert [part.splitlines()[0] for part in told if "**Not done:**" not in part] == []


@pytest.mark.parametrize("command", ["backup", "export", "memories export"])
def test_a_copy_is_for_its_owners_eyes_only(tmp_path: Path, command: str) -> None:
    with AgentMemory.open(tmp_path / "agent.db", namespace="acme/陈伟") as memory:
        memory.remember("喜欢靠窗的座位", importance=0.9)
    copy = tmp_path / "copy"
    done = CliRunner().invoke(app, [*command.split(), str(tmp_path / "agent.db"), str(copy)])
    assert done.exit_code == 0, done.output
    assert copy.stat().st_mode & 0o077 == 0
