"""docs/plugin-directory.md: its table says what our plugins declare and offer."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

from ctxplug.errors import UnknownComponentError
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry, distribution_of

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugin-directory.md").read_text("utf-8")
COMMANDS = (ROOT / "docs" / "reference" / "command.md").read_text("utf-8")
ROW = re.compile(r"^\| \[([\w-]+)\]\((\S+?)\) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
ROWS = {row[0]: row[1:] for row in ROW.findall(PAGE)}
PROJECTS = {
    table["project"]["name"]: table["project"]
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))
    for table in [tomllib.loads(path.read_text("utf-8"))]
}


CORE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def names_of(project: dict[str, Any]) -> set[str]:
    """Return the names of what a distribution depends on."""
    return {re.split(r"[\s<>=!;\[]", need)[0] for need in project["dependencies"]}


def is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def test_every_plugin_of_ours_has_a_row_in_order_and_no_other_has() -> None:
    assert list(ROWS) == sorted(PROJECTS)


@pytest.mark.parametrize("name", sorted(PROJECTS))
def test_a_row_links_the_readme_and_names_what_is_needed(name: str) -> None:
    link, _, _, needs = ROWS[name]
    assert (ROOT / "docs" / link).resolve() == (ROOT / "plugins" / name / "README.md").resolve()
    besides = names_of(PROJECTS[name]) - names_of(CORE) - {"ctxplug"}
    assert needs == (", ".join(sorted(besides)) or "nothing")


@pytest.mark.parametrize("name", sorted(PROJECTS))
def test_a_row_names_every_component_that_is_offered(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_installed(name):
        pytest.skip(f"{name} is not installed here")
    for variable in ("CTXPLUG_PII", "CTXPLUG_STRICT"):
        monkeypatch.delenv(variable, raising=False)
    (point,) = PROJECTS[name]["entry-points"]["ctxplug"]
    plugins = Plugins(environ={"CTXPLUG_PLUGINS": point})
    (found,) = (info for info in plugins.list() if info.name == point)
    assert (found.status, found.distribution) == ("loaded", name)
    assert named(ROWS[name][2]) == {kind: set(names) for kind, names in found.components.items()}


@pytest.mark.parametrize("name", sorted(PROJECTS))
def test_what_to_install_is_told_for_each_component(name: str) -> None:
    registry = Registry(Plugins(environ={"CTXPLUG_PLUGINS": ""}))
    for kind, names in named(ROWS[name][2]).items():
        for component in names:
            with pytest.raises(UnknownComponentError, match=rf" {name}(\[{component}\])? "):
                registry.resolve(kind, component)
        if kind == "command":
            assert {distribution_of(kind, command) for command in names} == {name}
            assert all(f"`{command}`" in COMMANDS and f"/{name}/" in COMMANDS for command in names)


def named(text: str) -> dict[str, Any]:
    """Return the components that a cell names, such as "embedder `a`, `b`, command `c`"."""
    found: dict[str, Any] = {}
    kind = ""
    for word in text.split(", "):
        before, name = re.fullmatch(r"(?:([a-z ]+) )?`(\S+)`", word).groups()  # type: ignore[union-attr]
        kind = before or kind
        found.setdefault(kind, set()).add(name)
    return found
