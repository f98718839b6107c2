"""The house rules for every distribution of the workspace: what it may import and must declare."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from source_rules import code_from_data, imports, private_names_of_others, sizes

import ctxplug

ROOT = Path(__file__).parents[1]
MEMBERS = sorted(p for g in ("integrations", "plugins") for p in ROOT.glob(f"{g}/*/pyproject.toml"))
PROJECTS = [ROOT / "pyproject.toml", *MEMBERS]
# Name the file or "file:function", its own limit, and why it is better whole than split.
LONGER = {
    "langchain-ctxplug": {
        "calls.py:read_call": 48,
        "messages.py": 320,
        "messages.py:_answer": 50,
        "middleware.py": 340,
    },
    "ctxplug-server": {
        "bundling.py:_module": 44,  # the parts of a page, one after the other
        "memories.py:memories": 41,  # the parameters of a request
        "report.py:report": 47,  # options with their help
        "serve.py:serve": 60,  # options with their help
        "writing.py:write_report": 47,  # what it writes, part by part
    },
}
# Where LlamaIndex has no public way: what an agent asks, and how it tells its tools.
NO_PUBLIC_WAY = {
    "llama-index-memory-ctxplug": {"_get_llm_response", "_get_tool_descriptions"},
}
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
def test_a_member_imports_no_other_member(project: Path) -> None:
    others = {p.name for member in MEMBERS if member != project for p in packages(member)}
    others -= {"llama_index", *(p.name for p in packages(project))}
    found = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in modules(project)
        for line, module, _ in imports(path)
        if module.partition(".")[0] in others
    ]
    assert not found


@pytest.mark.parametrize("project", MEMBERS, ids=name_of)
def test_a_member_uses_nobody_s_private_names(project: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in modules(project)
        for line, what in private_names_of_others(path)
        if what.rpartition(".")[2] not in NO_PUBLIC_WAY.get(name_of(project), ())
    ]
    assert not found


@pytest.mark.parametrize("project", PROJECTS, ids=name_of)
def test_what_is_imported_is_declared(project: Path) -> None:
    own = {package.name for package in packages(project)}
    known = declared(project) | OFFERED.get(name_of(project), set()) | {"ctxplug"}
    by_module = packages_distributions()
    missing = set()
    for path in modules(project):
        for _, module, _ in imports(path):
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or top in own or top == "ctxplug":
                continue
            offered = {plain(name) for name in by_module.get(top, [])}
            if not offered:  # not installed here: told by its name, as stdnum of python-stdnum
                offered = {name for name in known if plain(top) in name} or {plain(top)}
            if not offered & known:
                missing.add(f"{path.relative_to(ROOT)}: {top} ({', '.join(sorted(offered))})")
    assert not missing


# -- code -------------------------------------------------------------------------------------


@pytest.mark.parametrize("project", MEMBERS, ids=name_of)
def test_modules_and_functions_of_a_member_are_short(project: Path) -> None:
    longer = LONGER.get(name_of(project), {})
    every = [size for path in modules(project) for size in sizes(path, path.name)]
    assert not [f"{what}: {n}" for what, n, limit in every if n > longer.get(what, limit)]
    needed = {what for what, n, limit in every if n > limit}
    assert set(longer) <= needed, "an exception that is not needed any more goes"


@pytest.mark.parametrize("project", MEMBERS, ids=name_of)
def test_a_member_makes_no_code_from_data(project: Path) -> None:
    found = [(path.name, *what) for path in modules(project) for what in code_from_data(path)]
    assert not found


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
