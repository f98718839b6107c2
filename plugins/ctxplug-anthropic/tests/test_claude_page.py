"""docs/claude.md prints what it says, and the example runs offline and with a key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from snippets import run_snippets

from ctxplug.testing.model_server import ModelServer

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "claude.md"
EXAMPLE = ROOT / "examples" / "claude_chat.py"


def test_every_snippet_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_snippets(PAGE) == 3


def test_the_page_names_every_stop_reason() -> None:
    from ctxplug_anthropic.stop_reasons import STOP_REASONS

    text = PAGE.read_text(encoding="utf-8")
    assert [reason for reason in STOP_REASONS if reason and f"`{reason}`" not in text] == []


def _run(*arguments: str, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ANTHROPIC")}
    command = [sys.executable, str(EXAMPLE), *arguments]
    done = subprocess.run(
        command,
        env={**kept, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_runs_offline_and_remembers_in_a_second_process(tmp_path: Path) -> None:
    store = str(tmp_path / "chat.db")
    talk = _run("--store", store)
    assert "scripted server on this machine" in talk
    assert "(calls days_until, weather)" in talk
    assert "你对花生过敏。" in _run("--store", store, "--ask", "我对什么过敏?")


@pytest.mark.slow
def test_the_example_asks_the_real_api_when_there_is_a_key() -> None:
    """The API stands in for itself: where the SDK's own variables say it is."""
    with ModelServer(["Hello from the API."]) as server:
        said = _run("--ask", "Hello", ANTHROPIC_API_KEY="test", ANTHROPIC_BASE_URL=server.url)
        assert "real Anthropic API" in said
        assert "Hello from the API." in said
        assert len(server.sent) == 1
