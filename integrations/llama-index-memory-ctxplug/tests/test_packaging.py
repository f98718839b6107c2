"""The distribution: lazy, typed, public names only, and named as LlamaIndex names its packages."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import ctxplug_llamaindex
import pytest

PACKAGE = Path(ctxplug_llamaindex.__file__).parent
ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "pyproject.toml"
NAMESPACE = ROOT / "src" / "llama_index"
MODULES = sorted([*PACKAGE.rglob("*.py"), *NAMESPACE.rglob("*.py")])


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


# -- lazy ----------------------------------------------------------------------------------


def test_importing_the_package_loads_no_framework() -> None:
    loaded = run("import sys, ctxplug_llamaindex as p; dir(p); print(*sys.modules, sep='\\n')")
    assert not {"llama_index.core", "pydantic", "ctxplug"} & set(loaded.split())


def test_ctxplug_loads_nothing_of_it() -> None:
    loaded = run("import sys, ctxplug; print(*sys.modules, sep='\\n')")
    first = {name.partition(".")[0] for name in loaded.split()}
    assert not first & {"llama_index", "ctxplug_llamaindex", "pydantic"}


def test_every_name_is_there_and_an_unknown_one_is_none() -> None:
    names = ctxplug_llamaindex.__all__
    assert names == sorted(set(names)) and set(names) <= set(dir(ctxplug_llamaindex))
    for name in names:
        value = getattr(ctxplug_llamaindex, name)
        assert value.__doc__, f"{name} has no docstring"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ctxplug_llamaindex.nothing


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("llama_index.memory.ctxplug", {"CtxplugMemory", "CtxplugMemoryBlock"}),
        (
            "llama_index.storage.chat_store.ctxplug",
            {"CtxplugAsyncChatStore", "CtxplugChatStore"},
        ),
    ],
)
def test_llamaindex_s_own_names_give_the_same(module: str, names: set[str]) -> None:
    found = import_module(module)
    assert set(found.__all__) == names and found.__doc__
    for name in names:
        ours = getattr(ctxplug_llamaindex, name)
        assert getattr(found, name) is ours
        assert ours.__module__.startswith("ctxplug_llamaindex."), "saved contexts name it"


@pytest.mark.slow
def test_a_type_checker_knows_every_name_and_no_other(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    names = ctxplug_llamaindex.__all__
    program = tmp_path / "program.py"
    lines = [f"from ctxplug_llamaindex import {', '.join(names)}"]
    lines += [f"reveal_type({name})" for name in names]
    lines += ["from llama_index.memory.ctxplug import CtxplugMemory as Same"]
    lines += ["budget: str = Same('memory:', namespace='acme').memory.budget"]
    program.write_text("\n".join([*lines, "from ctxplug_llamaindex import nothing"]))
    check = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(program)]
    done = subprocess.run(check, capture_output=True, text=True, cwd=tmp_path)
    told = [row for row in done.stdout.splitlines() if row.startswith("program.py:")]
    assert len([row for row in told if "Revealed type" in row]) == len(names), done.stdout
    assert not [row for row in told if '"Any"' in row]
    wrong = [row for row in told if "error:" in row]
    assert ["assignment" in wrong[0], '"nothing"' in wrong[1], len(wrong)] == [True, True, 2]


# -- what it is made of --------------------------------------------------------------------


def test_it_is_named_and_pinned_as_llamaindex_s_packages_are() -> None:
    data = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    project, hub = data["project"], data["tool"]["llamahub"]
    assert project["name"] == "llama-index-memory-ctxplug"
    assert project["version"] == version("ctxplug")
    assert "llama-index-core>=0.14.25,<0.15" in project["dependencies"]
    module = import_module(hub["import_path"])
    assert set(hub["class_authors"]) <= set(module.__all__)


def test_no_file_of_ours_stands_in_llamaindex_s_own_packages() -> None:
    assert (PACKAGE / "py.typed").is_file()
    given = {path.relative_to(NAMESPACE).as_posix() for path in NAMESPACE.rglob("*.py")}
    assert given == {"memory/ctxplug/__init__.py", "storage/chat_store/ctxplug/__init__.py"}


@pytest.mark.slow
def test_the_wheel_holds_both_packages_and_their_marks(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "ctxplug_llamaindex/py.typed",
        "llama_index/memory/ctxplug/__init__.py",
        "llama_index/memory/ctxplug/py.typed",
        "llama_index/storage/chat_store/ctxplug/__init__.py",
    } <= names
    assert not {"llama_index/__init__.py", "llama_index/memory/__init__.py"} & names
    assert not [name for name in names if "test" in name]
