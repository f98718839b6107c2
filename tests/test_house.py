"""The house rules that can be checked."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
import types
from importlib.metadata import version
from pathlib import Path

import pytest
from snippets import run_snippets, snippets
from source_rules import code_from_data, sizes

import ctxplug
from ctxplug import hookspecs

ROOT = Path(__file__).parents[1]
SOURCE = Path(ctxplug.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
# Pages that the tests of other distributions run, with what they need.
OF_INTEGRATIONS = (
    *("langchain-", "llamaindex-", "claude", "rest", "server", "remote-", "monitoring", "viewer"),
    "write-a-plugin",  # tests/test_tutorial.py follows it, command by command
)
DOCUMENTS = [
    ROOT / "README.md",
    *(p for p in sorted((ROOT / "docs").glob("*.md")) if not p.name.startswith(OF_INTEGRATIONS)),
]

# Name the file or "file:function", its own limit, and why it is better whole than split.
LONGER: dict[str, int] = {
    "agent_memory.py": 700,  # the front door: every verb of the contract with its a-twin
    "agent_memory.py:AgentMemory.open": 78,  # its signature and docstring are the contract
    "agent_memory.py:AgentMemory.__init__": 64,  # what `open` takes, and the parts made of it
    "agent_memory.py:AgentMemory.recall": 44,  # its arguments are the contract
    "agent_memory.py:AgentMemory.remember": 44,  # its arguments are the contract
    "cli/compare.py:compare_": 48,  # options with their help
    "cli/memories.py:list_": 46,  # options with their help
    "cli/trace_diff.py:diff": 48,  # options with their help
    "cli/trace_replay.py:replay": 52,  # options with their help
    "codec.py:plain": 42,  # one branch for each type of JSON
    "context/building.py:build_window": 44,  # a report, field by field
    "errors.py": 330,  # the error family and its tree on one page
    "messages.py": 330,  # Message and its parts read as one page
    "plugins.py": 340,  # finding, blocking and listing share one table
    "storage/backend.py": 670,  # the law: mostly docstrings, wanted on one page
    "storage/in_memory.py": 515,  # the law implemented plainly, to be read in one sitting
    "storage/sqlite/backend.py": 465,  # one short method for each verb of the law
}
HOOKS = sorted(n for n, f in vars(hookspecs).items() if hasattr(f, "ctxplug_spec"))
# Written so that this file does not match itself.
FORBIDDEN = re.compile(
    r"(?<![\w.~-])/(?:work|root|tmp|home|Users|opt/pypi)(?=/|\b)(?![-\w])"
    r"|\b(?:files\.pythonhosted|pythonhosted|pypi|registry\.npmjs|deb\.debian)\.(?:org|io)\b"
    r"|[A-Z]:\\Users\\"
)


# -- importing ---------------------------------------------------------------------


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_ctxplug_loads_nothing_of_others_but_pluggy() -> None:
    report = "import sys; before = set(sys.modules)\nimport ctxplug\n"
    report += "print(*{m.partition('.')[0] for m in set(sys.modules) - before})"
    loaded = set(_python(report).split()) - sys.stdlib_module_names
    assert {"ctxplug", "pluggy"} == loaded


def test_importing_ctxplug_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU seconds of this import alone, the best of ten, with compiled modules as a user's are."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))
    code = "import time; t = time.process_time()\nimport ctxplug\nprint(time.process_time() - t)"
    best = min(float(_python(code)) for _ in range(10))
    assert best < 0.15


# -- names and versions ------------------------------------------------------------


def test_all_is_sorted_and_complete() -> None:
    names = list(ctxplug.__all__)
    public = {
        name
        for name, value in vars(ctxplug).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    } - {"annotations", "TYPE_CHECKING"}
    assert names == sorted(set(names))
    assert {"AgentMemory", "Message", "hookimpl"} <= set(names)
    assert public <= set(names)
    assert not [name for name in names if not hasattr(ctxplug, name)]


def _projects() -> dict[str, dict[str, object]]:
    found = [ROOT / "pyproject.toml"]
    for group in ("integrations", "plugins"):
        found += sorted((ROOT / group).glob("*/pyproject.toml"))
    tables = [tomllib.loads(path.read_text())["project"] for path in found]
    return {table["name"]: table for table in tables}


def test_all_distributions_of_the_workspace_have_one_version() -> None:
    versions = {name: table["version"] for name, table in _projects().items()}
    assert {version("ctxplug")} == set(versions.values()), versions


def test_constraints_hold_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert not [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!+-]+", line)]
    ours = {name.lower() for name in _projects()}
    assert not ours & {line.partition("==")[0].lower() for line in lines}
    assert len(lines) > 10


# -- hooks -------------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_heading_that_is_its_signature(hook: str) -> None:
    parameters = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    headings = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8").splitlines()
    assert f"### {hook}({parameters})" in headings


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test_named_for_it(hook: str) -> None:
    tests = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py"))
    assert re.search(rf"def test_hook_{hook}\b", tests), f"write test_hook_{hook}"


def test_the_documented_hooks_all_exist() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### (\w+)\(", text, re.MULTILINE)) == HOOKS
    assert len(HOOKS) == 13


# -- files -------------------------------------------------------------------------


def _tracked() -> list[Path]:
    """Return the files that are or would be tracked by git."""
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if done.returncode:
        pytest.skip("this is not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_holds_a_machine_path_or_an_index_host() -> None:
    found = []
    for path in _tracked():
        text = path.read_bytes().decode("utf-8", "ignore")
        hits = {match[0] for match in FORBIDDEN.finditer(text)}
        if hits:
            found.append(f"{path.relative_to(ROOT)}: {', '.join(sorted(hits))}")
    assert not found


def test_the_rule_for_machine_paths_finds_them() -> None:
    slash = "/"
    for bad in (f"{slash}work/main", f"'{slash}tmp'", f"cd {slash}root\n", f"{slash}home/alice/x"):
        assert FORBIDDEN.search(bad), bad
    for good in ("acme/root", "https://example.org/home/a", "~/work", "./tmp/x", "/workspace"):
        assert not FORBIDDEN.search(good), good


def test_no_file_that_records_download_addresses_is_tracked() -> None:
    locks = {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "pylock.toml"}
    assert not [path for path in _tracked() if path.name in locks]


# -- code --------------------------------------------------------------------------


def test_modules_and_functions_are_short() -> None:
    named = [(path, path.relative_to(SOURCE).as_posix()) for path in MODULES]
    every = [size for path, name in named for size in sizes(path, name)]
    assert not [f"{what}: {n} lines" for what, n, limit in every if n > LONGER.get(what, limit)]
    spared = {what for what, n, limit in every if n > limit and what in LONGER}
    assert set(LONGER) == spared, "an exception that is not needed any more goes"


def test_no_code_is_made_from_data() -> None:
    found = [(str(path.relative_to(SOURCE)), *w) for path in MODULES for w in code_from_data(path)]
    assert not found


# -- documents ---------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_snippets_run_and_print_what_the_document_says(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_snippets(document)


def test_the_documents_have_snippets_with_output() -> None:
    found = [snippet for document in DOCUMENTS for snippet in snippets(document)]
    assert sum(snippet.expected is not None for snippet in found) >= 2
