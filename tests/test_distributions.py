"""The house rules for every distribution of the workspace: what it may import and must declare."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

import ctxplug

ROOT = Path(__file__).parents[1]
MEMBERS = sorted(p for g in ("integrations", "plugins") for p in ROOT.glob(f"{g}/*/pyproject.toml"))
PROJECTS = [ROOT / "pyproject.toml", *MEMBERS]
# What a program that is there without a declaration may be: ours to import where it is found.
OFFERED = {
    "ctxplug": {"pytest", "hypothesis", "typing-extensions"},  # for tests and type checkers
    "ctxplug-server": {"pydantic-core"},  # pydantic brings it
    "ctxplug-embeddings": {"langchain-core", "llama-index-core", "sentence-transformers"},
    "llama-index-memory-ctxplug": {"llama-index-workflows"},  # llama-index-core brings it
    "langchain-ctxplug": {"langgraph", "langsmith"},  # langchain brings them
}


@cache
def table(project: Path) -> dict[str, Any]:
    """Return what a pyproject.toml says."""
    return tomllib.loads(project.read_text(encoding="utf-8"))


def name_of(project: Path) -> str:
    """Return the name of a distribution."""
    return str(table(project)["project"]["name"])


def packages(project: Path) -> list[Path]:
    """Return the folders that the wheel is made of."""
    wheel = table(project)["tool"]["hatch"]["build"]["targets"]["wheel"]
    return [project.parent / package for package in wheel["packages"]]


def modules(project: Path) -> list[Path]:
    """Return the source files of a distribution, tests left out."""
    return sorted(path for package in packages(project) for path in package.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each absolute import of a file: the module, and the names taken from it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, tuple(alias.name for alias in node.names)


def declared(project: Path) -> set[str]:
    """Return the names of all that a distribution depends on, extras included."""
    own = table(project)["project"]
    lists = [own.get("dependencies", []), *own.get("optional-dependencies", {}).values()]
    return {plain(re.split(r"[<>=!~;\[ ]", line)[0]) for group in lists for line in group}


def plain(name: str) -> str:
    """Return the name of a distribution as an index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


# -- who imports whom ----------------------------------------------------------------------


@pytest.mark.parametrize("project", MEMBERS, ids=name_of)
def test_a_member_imports_public_names_of_ctxplug_and_no_other_member(project: Path) -> None:
    others = {p.name for member in MEMBERS if member != project for p in packages(member)}
    others -= {"llama_index", *(p.name for p in packages(project))}
    found = []
    for path in modules(project):
        for module, names in imports(path):
            top, *rest = module.split(".")
            private = top == "ctxplug" and any(n.startswith("_") for n in (*rest, *names))
            if private or top in others:
                found.append(f"{path.relative_to(ROOT)}: {module} {', '.join(names)}")
    assert not found


@pytest.mark.parametrize("project", PROJECTS, ids=name_of)
def test_what_is_imported_is_declared(project: Path) -> None:
    own = {package.name for package in packages(project)}
    known = declared(project) | OFFERED.get(name_of(project), set()) | {"ctxplug"}
    by_module = packages_distributions()
    missing = set()
    for path in modules(project):
        for module, _ in imports(path):
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or top in own or top == "ctxplug":
                continue
            offered = {plain(name) for name in by_module.get(top, [])} or {plain(top)}
            if not offered & known:
                missing.add(f"{path.relative_to(ROOT)}: {top} ({', '.join(sorted(offered))})")
    assert not missing


# -- what a distribution says of itself -----------------------------------------------------


@pytest.mark.parametrize("project", MEMBERS, ids=name_of)
def test_a_member_takes_every_ctxplug_until_the_next_major(project: Path) -> None:
    assert "ctxplug>=0.1,<1" in table(project)["project"]["dependencies"]


@pytest.mark.parametrize("project", PROJECTS, ids=name_of)
def test_a_distribution_is_typed_and_says_who_may_use_it(project: Path) -> None:
    own = table(project)["project"]
    assert own["requires-python"] == ">=3.11" and own["license"] == "MIT" and own["description"]
    assert (project.parent / own["readme"]).is_file()
    for package in packages(project):
        assert package.name == "llama_index" or (package / "py.typed").is_file(), package
        initial = package / "__init__.py"
        assert package.name == "llama_index" or initial.is_file(), initial


def _public_packages() -> list[str]:
    found = [m.name for m in pkgutil.iter_modules(ctxplug.__path__, "ctxplug.") if m.ispkg]
    found = ["ctxplug", *(name for name in found if name != "ctxplug.cli")]
    for member in MEMBERS:
        found += [p.name for p in packages(member) if p.name != "llama_index"]
    return found


@pytest.mark.parametrize("name", _public_packages())
def test_all_is_sorted_and_every_name_of_it_is_there(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as exc:
        pytest.skip(f"{exc.name} is not installed")
    public = list(getattr(module, "__all__", []))
    assert public == sorted(set(public), key=_ruff_order)
    if name.partition(".")[0] == "ctxplug":  # the others' own tests load what is heavy
        assert not [n for n in public if not hasattr(module, n)]


def _ruff_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: how ruff's RUF022 sorts."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)
