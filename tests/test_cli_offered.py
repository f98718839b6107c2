"""Commands that plugins offer: found, run, and never in the way of the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = '''
from ctxplug import hookimpl
from ctxplug.errors import NotFoundError


def greet(name: str = "world", lost: bool = False) -> None:
    """Say hello to somebody."""
    if lost:
        raise NotFoundError(f"There is no {name!r} here.")
    print(f"Hello, {name}.")


@hookimpl
def register_commands(register):
    register("greet", lambda: greet)
    register("absent", "greeting_of_nobody:command")
    register("plugins", lambda: greet)
'''


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that holds a distribution with commands, as pip would have put it there."""
    (tmp_path / "greeting.py").write_text(PLUGIN)
    about = tmp_path / "greeting-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ctxplug]\ngreeting = greeting\n")
    return tmp_path


def _run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    plain = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}
    env = {**os.environ, **plain, "PYTHONPATH": str(path), "CTXPLUG_PLUGINS": "greeting"}
    command = [sys.executable, "-m", "ctxplug.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env)


def test_a_command_of_a_plugin_runs_like_ours(installed: Path) -> None:
    done = _run(installed, "greet", "--name", "小明")
    assert (done.stdout, done.stderr, done.returncode) == ("Hello, 小明.\n", "", 0)

    failed = _run(installed, "greet", "--lost")
    assert (failed.stderr, failed.returncode) == ("Error: There is no 'world' here.\n", 1)


def test_the_list_shows_them_and_names_what_cannot_be_loaded(installed: Path) -> None:
    shown = " ".join(_run(installed, "--help").stdout.replace("│", " ").split())
    assert "greet Say hello to somebody." in shown
    assert "absent Cannot be loaded" in shown and "greeting_of_nobody" in shown

    absent = _run(installed, "absent", "--any", "thing")
    assert absent.returncode == 1 and absent.stderr.startswith("Error: ")
    assert "'absent' of plugin 'greeting'" in absent.stderr and "Traceback" not in absent.stderr


def test_our_commands_stay_ours(installed: Path) -> None:
    listed = _run(installed, "plugins", "--json")
    assert '"greet"' in listed.stdout and "Hello" not in listed.stdout


@pytest.mark.parametrize(
    ("name", "package"), [("serve", "ctxplug-server"), ("pii", "ctxplug-pii")], ids=str
)
def test_a_command_of_a_plugin_of_ours_that_is_not_here_says_what_to_install(
    installed: Path, name: str, package: str
) -> None:
    absent = _run(installed, name, "agent.db", "--open")
    assert absent.returncode == 1 and absent.stderr.startswith("Error: ")
    assert f"pip install {package}." in absent.stderr
    assert name not in _run(installed, "--help").stdout.split()
