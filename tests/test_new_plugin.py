"""`ctxplug new-plugin`: what it writes installs, is clean, and passes its tests at once."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from clean_environment import make_environment, store_hypothesis
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plugins import build_wheel
from typer.testing import CliRunner

from ctxplug import hookspecs
from ctxplug import testing as kit
from ctxplug.cli.app import app
from ctxplug.errors import InvalidValueError
from ctxplug.plugins import KINDS as EXTENSIONS
from ctxplug.scaffold import KINDS, files_of, names_of, write_plugin

ROOT = Path(__file__).parents[1]
ALL = sorted(KINDS)
NAMES = {kind: f"our-{KINDS[kind].module}" for kind in ALL}
QUICK = {  # pytest's settings in the plugins' own process
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
# Their laws take seconds: the slow tests run them, and tests/test_tutorial.py the scorer's.
LAWS_ELSEWHERE = ("compression-strategy", "importance-scorer", "memory-backend")


def new_plugin(*arguments: str, code: int = 0) -> str:
    """Run the command and return what it prints."""
    done = CliRunner().invoke(app, ["new-plugin", *arguments])
    assert done.exit_code == code, done.output
    return re.sub(r"\s+", " ", done.output)


def write(folder: Path, kinds: Sequence[str] = ALL) -> list[Path]:
    """Write a plugin of each kind, called as in NAMES, and return their folders."""
    for kind in kinds:
        new_plugin(NAMES[kind], "--kind", kind, "--into", str(folder))
    return [folder / f"ctxplug-{NAMES[kind]}" for kind in kinds]


# -- what is written ---------------------------------------------------------------


def test_every_extension_point_and_every_suite_has_a_kind() -> None:
    assert {kind.extension for kind in KINDS.values() if kind.extension} == set(EXTENSIONS)
    suites = {name for name in kit.__all__ if name.endswith("Suite")} - {"IsolationSuite"}
    assert {kind.suite for kind in KINDS.values() if kind.suite} == suites
    assert all(hasattr(hookspecs, kind.hook) for kind in KINDS.values() if kind.hook)


@pytest.mark.parametrize("kind", ALL)
def test_a_plugin_has_all_that_publishing_needs(kind: str, tmp_path: Path) -> None:
    printed = new_plugin("Mine", "--kind", kind, "--into", str(tmp_path), "--author", 'Ann "A" Lee')
    folder = tmp_path / "ctxplug-mine"
    assert "ctxplug-mine (from 'Mine')" in printed
    assert "pip install -e . --group test pytest ctxplug plugins" in printed
    table = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    project = table["project"]
    assert project["entry-points"]["ctxplug"] == {"mine": "ctxplug_mine"}
    assert project["authors"] == [{"name": 'Ann "A" Lee'}]
    assert re.fullmatch(r"ctxplug>=0\.\d+,<1", project["dependencies"][0])
    assert kind.replace("-", " ") in project["description"]
    assert 'Ann "A" Lee' in (folder / "LICENSE").read_text("utf-8")
    for name in ("README.md", "CHANGELOG.md", ".gitignore", "ctxplug_mine/py.typed"):
        assert (folder / name).is_file()
    suite = KINDS[kind].suite
    tests = "".join(p.read_text("utf-8") for p in (folder / "tests").iterdir())
    assert not suite or f"class TestTheLaw({suite}):" in tests
    assert not re.search(r"\$|\{\{", project["description"] + tests), "a place was not filled"
    assert re.search("[\u4e00-\u9fff]", tests), "English and Chinese are equals"


def test_all_kinds_pass_their_tests_at_once(tmp_path: Path) -> None:
    """In one process, from wheels: each is found by its entry point among all of them."""
    pytest.importorskip("numpy")
    made, site = write(tmp_path), tmp_path / "site"
    for folder in made:
        with zipfile.ZipFile(build_wheel(folder, tmp_path)) as wheel:
            wheel.extractall(site)
    elsewhere = " or ".join(
        f"(test_{KINDS[kind].module} and TestTheLaw)" for kind in LAWS_ELSEWHERE
    )
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider"]
    command += ["-c", str(made[0] / "pyproject.toml"), "--rootdir", str(tmp_path)]
    command += ["-k", f"not ({elsewhere})", *(str(folder / "tests") for folder in made)]
    chosen = {"CTXPLUG_PLUGINS": ",".join(NAMES.values()), "PYTHONPATH": str(site)}
    storage = {"HYPOTHESIS_STORAGE_DIRECTORY": str(store_hypothesis(tmp_path / "hypothesis"))}
    environ = {**os.environ, **QUICK, **storage, **chosen}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    passed = set(re.findall(r"^PASSED ctxplug-([\w-]+)/tests/\S+?::(\w+)", done.stdout, re.M))
    found = {name for name, test in passed if test == "test_ctxplug_finds_it_by_its_entry_point"}
    assert found == set(NAMES.values())
    kept = {name for name, test in passed if test == "TestTheLaw"}
    assert kept == {NAMES[kind] for kind in ALL if KINDS[kind].suite and kind not in LAWS_ELSEWHERE}


def test_what_is_written_is_clean_for_ruff(tmp_path: Path) -> None:
    """Also where the name is as long or as short as it may be."""
    pytest.importorskip("ruff")
    for name in ("x", "support", "a-bc-def-ghij-klmnop"):
        for kind in ALL:
            write_plugin(names_of(name), kind, tmp_path / kind / name)
    for command in (["check"], ["format", "--diff"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
        done = subprocess.run(ruff, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_a_plugin_is_built_installed_found_and_passes_all_its_tests(
    kind: str, tmp_path: Path
) -> None:
    """By its own build backend, into an environment without other plugins; types too."""
    pytest.importorskip("numpy")
    environment = make_environment(tmp_path)
    (folder,) = write(tmp_path, [kind])
    environment.install(folder)
    for arguments in ("", "-m slow"):
        done = environment.run(f"pytest -q {arguments}", folder)
        assert done.returncode in ((0, 5) if arguments else (0,)), done.stdout  # 5: there is none
    found = environment.run("ctxplug plugins", folder).stdout
    assert NAMES[kind] in found and "loaded" in found and "failed" not in found
    pytest.importorskip("mypy")
    cache = tmp_path.parent / "mypy"  # what one kind has learned of ctxplug serves the others
    strict = f"python -m mypy --strict --cache-dir {cache}"
    types = environment.run(f"{strict} {names_of(NAMES[kind]).module} tests", folder)
    assert types.returncode == 0, types.stdout


# -- names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "distribution", "module", "name"),
    [
        ("support", "ctxplug-support", "ctxplug_support", "support"),
        ("ctxplug-support", "ctxplug-support", "ctxplug_support", "support"),
        ("Ctxplug_Support.Desk", "ctxplug-support-desk", "ctxplug_support_desk", "support-desk"),
        ("acme-ctxplug-pii", "acme-ctxplug-pii", "acme_ctxplug_pii", "acme-pii"),
        ("b2b", "ctxplug-b2b", "ctxplug_b2b", "b2b"),
    ],
)
def test_one_name_gives_the_others(given: str, distribution: str, module: str, name: str) -> None:
    found = names_of(given)
    assert (found.distribution, found.module, found.name) == (distribution, module, name)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "is made of the letters"),
        ("a b", "is made of the letters"),
        ("-a", "at both ends"),
        ("../evil", "at both ends"),
        ("支持", "is made of the letters a to z"),
        ("support\n", "is made of the letters"),
        ("ctxplug", "says what the plugin does"),
        ("3d", "begins with a letter"),
        ("class", "is no keyword of Python"),
        ("Date", "is none that the new plugin's own code uses"),
        ("typer", "is none that the new plugin's own code uses"),
        ("a" * 60, "has at most 28 characters, and 'ctxplug-aaa"),
    ],
)
def test_a_name_of_which_no_plugin_can_be_made_is_refused(
    given: str, reason: str, tmp_path: Path
) -> None:
    printed = new_plugin("--kind", "tool", "--into", str(tmp_path), "--", given, code=1)
    assert "cannot name a plugin" in printed and reason in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["command", "tool"])
def test_a_name_that_the_plugins_own_code_uses_is_refused(kind: str) -> None:
    """A function is named for it, and would stand in the place of what the code means."""
    names = names_of("something")
    code = files_of(names, kind)[f"{names.module}/{KINDS[kind].module}.py"]
    nodes = list(ast.walk(ast.parse(code)))
    used = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    used -= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    used -= {n.arg for n in nodes if isinstance(n, ast.arg)}
    used |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.alias)}
    used -= {n.name for n in nodes if isinstance(n, ast.ExceptHandler)}
    used = {name for name in used if name == name.lower() and name != names.word}
    assert used > {kind, "str"}
    for name in used:
        with pytest.raises(InvalidValueError):
            names_of(name)


def test_a_folder_that_is_told_is_one_word_for_a_shell(tmp_path: Path) -> None:
    printed = new_plugin("mine", "--kind", "tool", "--into", str(tmp_path / "a $(b)"))
    assert "$(b)/ctxplug-mine'" in printed.partition("cd '")[2]


@settings(deadline=None, max_examples=200)
@given(st.text("abzABZ019-_. ctxplug", max_size=12), st.sampled_from(ALL))
def test_any_name_is_refused_or_gives_names_that_work(given: str, kind: str) -> None:
    try:
        names = names_of(given)
    except InvalidValueError:
        return
    assert names == names_of(names.distribution), "the distribution's name gives the same"
    assert names.module.isidentifier() and names.word.isidentifier()
    assert "ctxplug" in names.distribution.split("-")
    files = files_of(names, kind)
    table = tomllib.loads(files["pyproject.toml"])
    assert table["project"]["entry-points"]["ctxplug"] == {names.name: names.module}
    for path, text in files.items():
        if path.endswith(".py"):
            compile(text, path, "exec")


def test_what_exists_already_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    new_plugin("mine", "--kind", "tool", "--into", str(tmp_path))
    readme = tmp_path / "ctxplug-mine" / "README.md"
    readme.write_text("My own words. 我自己的话。", encoding="utf-8")
    printed = new_plugin("mine", "--kind", "guard", "--into", str(tmp_path), code=1)
    assert "exists already, and nothing is written over" in printed
    assert readme.read_text("utf-8") == "My own words. 我自己的话。"
    assert not (tmp_path / "ctxplug-mine" / "ctxplug_mine" / "guard.py").exists()


def test_the_names_of_components_and_plugins_are_not_given_twice(tmp_path: Path) -> None:
    into = ("--into", str(tmp_path))
    printed = new_plugin("recency", "--kind", "importance-scorer", *into, code=1)
    assert "The importance scorer 'recency' exists already, in the plugin 'ctxplug'" in printed
    new_plugin("recency", "--kind", "tool", *into)
    site = tmp_path / "site"
    with zipfile.ZipFile(build_wheel(tmp_path / "ctxplug-recency", tmp_path)) as wheel:
        wheel.extractall(site)
    command = [sys.executable, "-m", "ctxplug.cli", "new-plugin", "recency", "--kind", "guard"]
    environ = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path)
    assert done.returncode == 1
    assert "A plugin named 'recency' is installed already (ctxplug-recency 0.1.0)" in done.stderr


def test_an_author_is_one_line(tmp_path: Path) -> None:
    arguments = ("mine", "--kind", "tool", "--into", str(tmp_path), "--author")
    assert "An author is one line" in new_plugin(*arguments, "Ann\nLee", code=1)
    assert not list(tmp_path.iterdir())
    new_plugin(*arguments, "王芳")
    assert "王芳" in (tmp_path / "ctxplug-mine" / "LICENSE").read_text("utf-8")


@pytest.mark.skipif(os.name == "nt" or not shutil.which("id"), reason="permissions of POSIX")
def test_a_folder_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    printed = new_plugin("mine", "--kind", "tool", "--into", str(tmp_path / "file"), code=1)
    assert "cannot be written: Not a directory" in printed and "--into" in printed
