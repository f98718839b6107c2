"""docs/viewer.md tells the commands, the keys and the fates that there are."""

from __future__ import annotations

import re
from pathlib import Path

import ctxplug_server
import pytest
from typer.testing import CliRunner

from ctxplug.cli.app import app

PAGE = (Path(__file__).parents[3] / "docs" / "viewer.md").read_text(encoding="utf-8")
VIEWER = Path(ctxplug_server.__file__).parent / "viewer"


def english() -> dict[str, str]:
    """Return the words of the viewer."""
    text = (VIEWER / "words" / "en.js").read_text(encoding="utf-8")
    return dict(re.findall(r'^\s*"([\w.-]+)":\s*"(.*)",$', text, re.MULTILINE))


def test_every_key_of_the_help_is_told() -> None:
    words = english()
    help_ = (VIEWER / "parts" / "help.js").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| (`.*?) \| (.*?) \|$", PAGE, re.MULTILINE))
    shortcuts = re.findall(r'^  \[\[(.*)\], "(\w+)"\],$', help_, re.MULTILINE)
    assert len(shortcuts) == len(told) > 10
    for keys, name in shortcuts:
        shown = " ".join(k if k == "…" else f"`{k}`" for k in re.findall(r'"(.+?)"(?:, |$)', keys))
        meaning = words[f"help.key.{name}"].removeprefix("this ")
        assert told[shown] == meaning, shown


def test_every_fate_is_told_as_the_help_tells_it() -> None:
    words = english()
    table = PAGE[PAGE.index("| fate |") :].split("\n\n")[0]
    told = dict(re.findall(r"^\| ([a-z ]+) \| (.*) \|$", table, re.MULTILINE)[1:])
    fates = {key for key in words if re.fullmatch(r"fate\.\w+", key)} - {"fate.unknown"}
    assert {words[key] for key in fates} == set(told)
    for key in fates:
        meaning = words[f"{key}.why"].rstrip(".")
        assert told[words[key]] == meaning[0].lower() + meaning[1:]


@pytest.mark.parametrize("command", re.findall(r"^ctxplug (.*)$", PAGE, re.MULTILINE))
def test_the_commands_have_the_options_that_are_told(command: str) -> None:
    name, *rest = command.split()
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output
    options = [word for word in rest if word.startswith("-")]
    assert options and all(option in shown for option in options)
