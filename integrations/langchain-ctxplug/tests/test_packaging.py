"""The distribution: lazy, typed, public names only, and errors that name what to install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import langchain_ctxplug
import pytest

PACKAGE = Path(langchain_ctxplug.__file__).parent
PROJECT = Path(__file__).parents[1] / "pyproject.toml"
MODULES = sorted(PACKAGE.rglob("*.py"))


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


# -- lazy ----------------------------------------------------------------------------------


def test_importing_the_package_loads_no_framework() -> None:
    loaded = run("import sys, langchain_ctxplug as p; dir(p); print(*sys.modules, sep='\\n')")
    first = {name.partition(".")[0] for name in loaded.split()}
    assert not first & {"langchain", "langchain_core", "langgraph", "pydantic", "langchain_classic"}


@pytest.mark.parametrize(
    ("names", "spared"),
    [
        (
            "CtxplugRetriever, CtxplugCompressor, memory_tools, ctxplug_token_counter,"
            " CtxplugContextEdit, ctxplug_summarizer, to_messages",
            {"langchain", "langgraph", "langchain_classic"},
        ),
        ("CtxplugStore", {"langchain", "langchain_classic"}),
        ("CtxplugMiddleware", {"langchain_classic"}),
    ],
)
def test_a_name_loads_only_what_it_needs(names: str, spared: set[str]) -> None:
    code = f"import sys; from langchain_ctxplug import {names}; print(*sys.modules, sep='\\n')"
    assert not {module.partition(".")[0] for module in run(code).split()} & spared


def test_every_name_is_there_and_an_unknown_one_is_none() -> None:
    names = langchain_ctxplug.__all__
    assert names == sorted(set(names)) and set(names) <= set(dir(langchain_ctxplug))
    for name in names:
        value = getattr(langchain_ctxplug, name)
        assert value.__doc__, f"{name} has no docstring"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = langchain_ctxplug.nothing


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("CtxplugMiddleware", "langchain", "agents"),
        ("CtxplugStore", "langgraph", "store"),
        ("CtxplugMemory", "langchain_classic", "classic"),
    ],
)
def test_a_missing_framework_is_named_with_the_extra_that_brings_it(
    name: str, missing: str, extra: str
) -> None:
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
import langchain_ctxplug
try:
    langchain_ctxplug.{name}
except ImportError as exc:
    print(exc)
"""
    told = run(code)
    assert f"{name} needs {missing!r}"[:-1] in told
    assert f"pip install 'langchain-ctxplug[{extra}]'" in told


@pytest.mark.slow
def test_a_type_checker_knows_every_name_and_no_other(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    names = langchain_ctxplug.__all__
    program = tmp_path / "program.py"
    lines = [f"from langchain_ctxplug import {', '.join(names)}"]
    lines += [f"reveal_type({name})" for name in names]
    lines += ["k: str = CtxplugRetriever('memory:', namespace='acme').k"]
    program.write_text("\n".join([*lines, "from langchain_ctxplug import nothing"]))
    check = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(program)]
    done = subprocess.run(check, capture_output=True, text=True, cwd=tmp_path)
    told = [row for row in done.stdout.splitlines() if row.startswith("program.py:")]
    assert len([row for row in told if "Revealed type" in row]) == len(names), done.stdout
    assert not [row for row in told if '"Any"' in row]
    wrong = [row for row in told if "error:" in row]
    assert ["assignment" in wrong[0], '"nothing"' in wrong[1], len(wrong)] == [True, True, 2]


# -- what it is made of --------------------------------------------------------------------


def test_it_is_typed_and_has_the_version_of_ctxplug() -> None:
    assert (PACKAGE / "py.typed").is_file()
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    assert project["version"] == version("ctxplug")
    assert "langchain-core>=1,<2" in project["dependencies"]
    assert project["optional-dependencies"].keys() >= {"agents", "store", "classic"}
