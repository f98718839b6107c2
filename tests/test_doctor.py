"""Doctor: what is broken shows up, with what to do; and nothing is changed by looking."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

import apsw
import pytest
from typer.testing import CliRunner

from ctxplug import AgentMemory
from ctxplug.cli.app import app
from ctxplug.doctor import AREAS, Finding, examine
from ctxplug.doctor.locks import holder_of
from ctxplug.doctor.places import backups, keys, permissions, space
from ctxplug.doctor.plugins import plugins
from ctxplug.doctor.stores import store
from ctxplug.doctor.surroundings import encodings, settings, text
from ctxplug.doctor.versions import dependencies, packages, sqlite
from ctxplug.storage.sqlite import schema

NONE = {"CTXPLUG_PLUGINS": ""}


def _levels(found: Iterator[Finding]) -> list[str]:
    return [finding.level for finding in found]


def _only(found: Iterator[Finding], level: str) -> Finding:
    """Return the one finding of that level."""
    (one,) = [finding for finding in found if finding.level == level]
    return one


@pytest.fixture
def agent(tmp_path: Path) -> str:
    """The path of a store with two messages, which nobody has open."""
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    path = str(folder / "agent.db")
    with AgentMemory.open(path, namespace="acme/陈伟", session="trip") as memory:
        memory.add("user", "我搬到里斯本了。")
        memory.add("assistant", "How is Lisbon?")
    return path


def _beside(path: str) -> dict[str, bytes]:
    folder = Path(path).parent
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


# -- the store -------------------------------------------------------------------------------


def test_a_sound_store_is_told_and_nothing_beside_it_is_made(agent: str) -> None:
    before = _beside(agent)
    found = [*store(agent), *permissions(agent), *space(agent)]
    assert _levels(iter(found)) == ["ok"] * 3
    assert "entries 2" in found[0].said
    assert _beside(agent) == before == {"agent.db": before["agent.db"]}
    assert "is sound" in _only(store(f"sqlite:///{agent}"), "ok").said


def test_a_store_that_is_open_is_read_with_its_newest_writes(agent: str) -> None:
    with AgentMemory.open(agent, namespace="acme/bob", session="trip") as memory:
        memory.add("user", "Not yet in the file itself.")
        found = list(store(agent))
        assert "entries 3" in found[0].said
        memory.add("user", "It goes on.")
    assert _levels(iter(found)) in (["ok", "ok"], ["ok"])  # the second: where locks can be asked


def _halved(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def _overwritten(path: str) -> None:
    """Damage a page of the file's tables, which its header does not tell."""
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        for page in range(4096 * 3, size, 4096):
            file.seek(page)
            file.write(b"\xff" * 2048)


def _emptied(path: str) -> None:
    os.truncate(path, 0)


def _foreign(path: str) -> None:
    Path(path).write_bytes(b"SELECT 1;" * 100)


def _of_the_future(path: str) -> None:
    with _connection(path) as connection:
        connection.pragma("user_version", schema.VERSION + 1)


def _connection(path: str) -> Any:
    return closing(apsw.Connection(path))


@pytest.mark.parametrize(
    ("harm", "said", "advice"),
    [
        (_halved, "truncated", "nothing of it can be read"),
        (_overwritten, "damaged", "backup"),
        (_emptied, "empty file", ""),
        (_foreign, "not a ctxplug store", ""),
        (_of_the_future, f"schema {schema.VERSION + 1}", "Upgrade ctxplug"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_broken_store_is_a_problem_and_is_left_as_it_is(
    agent: str, harm: Callable[[str], None], said: str, advice: str
) -> None:
    harm(agent)
    before = _beside(agent)
    found = [one for one in store(agent) if one.level == "problem"]
    assert found and said in found[0].said and advice in found[0].advice
    assert _beside(agent) == before


def test_a_store_of_an_older_schema_is_not_brought_up_to_date(agent: str) -> None:
    with _connection(agent) as connection:
        connection.pragma("user_version", schema.VERSION - 1)
    before = _beside(agent)
    assert "Copy the file before" in _only(store(agent), "warning").advice
    assert _beside(agent) == before


def test_a_missing_store_is_a_problem_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "没有.db"
    assert "no store" in _only(store(str(path)), "problem").said
    Path(f"{path}-wal").write_bytes(b"x" * 100)
    assert "is missing" in _only(store(str(path)), "problem").said
    assert not path.exists()


def test_a_store_of_no_file_is_left_to_its_backend() -> None:
    assert "ctxplug check" in _only(store("memory:"), "ok").said


def test_writes_that_wait_without_their_lock_file_are_told(agent: str) -> None:
    Path(f"{agent}-wal").write_bytes(b"")
    assert "not closed cleanly" in _only(store(agent), "warning").said
    assert not Path(f"{agent}-shm").exists()


WRITER = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("began", flush=True)
sys.stdin.read()
"""


READER = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN; SELECT count(*) FROM entries").get
print("began", flush=True)
sys.stdin.read()
"""


@contextmanager
def _beginning(code: str, agent: str) -> Iterator[int]:
    """Run `code` on a store, in a process of its own, which begins and does not end."""
    command = [sys.executable, "-c", code, agent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who holds a lock")
def test_a_process_that_does_not_end_its_write_is_named(agent: str) -> None:
    with _beginning(WRITER, agent) as writer:
        assert str(writer) in _only(store(agent), "warning").said
    assert holder_of(f"{agent}-shm") in (0, None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who holds a lock")
def test_reading_a_store_is_not_taken_for_writing(agent: str) -> None:
    with _beginning(READER, agent):
        assert holder_of(f"{agent}-shm") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who holds a lock")
def test_looking_lets_go_of_no_lock_of_ones_own(agent: str) -> None:
    with _connection(agent) as connection:
        connection.execute("BEGIN IMMEDIATE")
        found = [*store(agent), *backups(os.path.dirname(agent))]
        assert str(os.getpid()) in _only(iter(found), "warning").said  # it had the lock
        assert str(os.getpid()) in _only(store(agent), "warning").said  # and has it


# -- permissions, space, keys, backups -------------------------------------------------------


def test_what_others_may_open_or_replace_is_told(agent: str) -> None:
    os.chmod(agent, 0o644)
    assert "chmod 600" in _only(permissions(agent), "warning").advice
    os.chmod(agent, 0o600)
    os.chmod(os.path.dirname(agent), 0o777)
    assert "chmod 700" in _only(permissions(agent), "problem").advice
    os.chmod(os.path.dirname(agent), 0o1777)
    assert _levels(permissions(agent)) == ["ok"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="takes root")
def test_files_of_another_owner_beside_the_store_are_a_problem(agent: str) -> None:
    Path(f"{agent}-wal").write_bytes(b"")
    os.chown(agent, 10_001, 10_001)
    found = _only(permissions(agent), "problem")
    assert "belongs to the user 0" in found.said and "chown 10001" in found.advice


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no users to ask for")
def test_a_store_that_cannot_be_written_is_told_to_whom_it_is_closed() -> None:
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "agent.db")
        AgentMemory.open(path, namespace="acme/alice").close()
        os.chmod(path, 0o400 if user else 0o644)
        os.chmod(folder, 0o500 if user else 0o755)
        try:
            if user == 0:  # who may write everywhere
                os.seteuid(65_534)
            found = [one.said for one in permissions(path)]
        finally:
            os.seteuid(user)
            os.chmod(folder, 0o700)
    assert sum("cannot write" in said for said in found) == 2


def test_little_space_is_a_problem_before_it_is_none(
    agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    for free, level in ((10 * 2**20, "problem"), (64 * 2**20, "ok")):
        usage = shutil.disk_usage(agent)._replace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path, usage=usage: usage)
        assert _levels(space(agent)) == [level]
    os.truncate(agent, 40 * 2**20)
    assert _levels(space(agent)) == ["warning"]


def test_keys_are_for_their_owner_alone_and_legible(tmp_path: Path) -> None:
    path = tmp_path / "agent.db.keys.json"
    assert list(keys(str(path))) == []
    path.write_text('{"format": 1, "keys": []}')
    path.chmod(0o600)
    assert _levels(keys(str(path))) == ["ok"]
    path.chmod(0o640)
    assert "chmod 600" in _only(keys(str(path)), "problem").advice
    path.write_text("{")
    assert "cannot be read" in _only(keys(str(path)), "problem").said


def test_the_newest_backup_is_not_too_old(agent: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "backups")
    os.mkdir(folder)
    Path(folder, "notes.txt").write_text("no backup")
    assert _levels(backups(folder)) == ["problem"]
    with AgentMemory.open(agent, namespace="acme/陈伟") as memory:
        memory.backend.backup(os.path.join(folder, "monday.db"))
    assert _levels(backups(folder)) == ["ok"]
    assert _levels(backups(os.path.dirname(agent), agent)) == ["problem"]  # the store is no backup
    found = _only(backups(folder, now=time.time() + 48 * 3_600), "warning")
    assert "'monday.db'" in found.said and "48 hours" in found.said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_in_place_of_a_file_holds_nothing_up(agent: str, tmp_path: Path) -> None:
    """In a process of its own: what waits for a pipe cannot be ended by a test."""
    folder = tmp_path / "pipes"
    folder.mkdir()
    copied = folder / "copy.db"
    copied.write_bytes(Path(agent).read_bytes())
    for name in ("store.db", "copy.db-shm", "copy.db.keys.json", "monday.db"):
        os.mkfifo(folder / name)
    code = f"""
from ctxplug.doctor.locks import holder_of
from ctxplug.doctor.places import backups, keys
from ctxplug.doctor.stores import store
folder = {str(folder)!r}
for found in (store(folder + "/store.db"), store(folder + "/copy.db"), backups(folder),
              keys(folder + "/copy.db.keys.json")):
    print(*(one.level for one in found))
print(holder_of(folder + "/store.db"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["problem", "problem"], done.stderr
    assert done.stdout.split("\n")[2:4] == ["ok", "problem"]  # copy.db is a backup
    assert done.stdout.split("\n")[4] in ("0", "None")


def test_a_path_in_advice_is_one_word_for_a_shell(tmp_path: Path) -> None:
    path = tmp_path / "a; touch pwned.keys.json"
    path.write_text('{"format": 1, "keys": []}')
    path.chmod(0o644)
    advice = _only(keys(str(path)), "problem").advice
    assert shlex.split(advice.partition(": ")[2]) == ["chmod", "600", str(path)]


# -- plugins ---------------------------------------------------------------------------------

SOUND = "from ctxplug import hookimpl\n@hookimpl\ndef redact(text):\n    return text\n"
CLAIMS = (
    "from ctxplug import hookimpl\n@hookimpl\ndef register_summarizers(register):\n"
    "    register('gist', lambda: None)\n"
)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Install plugins, `install(name=code, ...)`; return the environment that chooses them."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def put(**codes: str) -> dict[str, str]:
        for name, code in codes.items():
            info = folder / f"acme_{name}-2.1.dist-info"
            info.mkdir()
            (folder / f"acme_{name}.py").write_text(code, encoding="utf-8")
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 2.1\n"
            )
            (info / "entry_points.txt").write_text(f"[ctxplug]\n{name} = acme_{name}\n")
        return {**os.environ, "CTXPLUG_PLUGINS": ",".join(codes)}

    return put


def test_each_way_in_which_plugins_fail_alone_or_together_is_told(
    install: Callable[..., dict[str, str]],
) -> None:
    environ = install(
        sound="print('到处打印')\n" + SOUND,
        raises="import nowhere_to_be_found\n",
        leaves="import os\nos._exit(0)\n",
        ends="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
        quits="raise SystemExit(3)\n",
        misspelt="from ctxplug import hookimpl\n@hookimpl\ndef redcat(text):\n    return text\n",
        one=CLAIMS,
        two=CLAIMS,
    )
    found = list(plugins(60, environ))
    *alone, together = [one for one in found if one.level == "problem"]
    said = {one.said.partition(" ")[0].strip("':"): one for one in alone}
    assert set(said) == {"raises", "leaves", "ends", "quits", "misspelt"}
    assert "acme-one 2.1" in together.said and "acme-two 2.1" in together.said
    assert "'gist'" in together.said  # which both are sound alone with
    assert "acme-raises 2.1" in said["raises"].said
    assert "nowhere_to_be_found" in said["raises"].said
    assert "Traceback" in said["raises"].detail and "acme_raises.py" in said["raises"].detail
    assert "SIGKILL" in said["ends"].said
    assert all("CTXPLUG_PLUGINS" in one.advice for one in said.values())
    assert any(one.level == "ok" and one.said.startswith("sound (acme-sound") for one in found)


def test_a_plugin_that_hangs_is_left_behind_with_all_that_it_began(
    install: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    began = tmp_path / "began"
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(began)!r}, "w").write(str(child.pid))
time.sleep(600)
"""
    environ = install(hangs=code)
    found = _only(plugins(4, environ), "problem")
    assert "did not finish within 4 s" in found.said
    assert not _runs(int(began.read_text()))


@pytest.mark.skipif(os.name != "posix", reason="takes sessions of processes")
def test_a_plugin_whose_child_leaves_and_keeps_the_pipes_holds_nothing_up(
    install: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    began, over = tmp_path / "began", tmp_path / "over"
    child = f"""
import os, time
for _ in range(600):
    if os.path.exists({str(over)!r}):
        break
    time.sleep(0.1)
open({str(began)!r} + ".ended", "w")
"""
    code = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True)
"""
    environ = install(leaves_a_daemon=code)
    found = _only(plugins(4, environ), "problem")
    assert not Path(f"{began}.ended").exists(), "it waited for the child"
    over.touch()
    assert "did not finish within 4 s" in found.said


def _runs(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True


def test_plugins_that_are_not_chosen_are_not_loaded(
    install: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    made = tmp_path / "made"
    install(careless=f"open({str(made)!r}, 'w')\n")
    found = list(plugins(60, {**os.environ, "CTXPLUG_PLUGINS": "absent"}))
    assert any("careless" in one.said and one.level == "ok" for one in found)
    assert "'absent'" in _only(iter(found), "warning").said
    assert not made.exists()


# -- versions and surroundings ---------------------------------------------------------------


def _distribution(folder: Path, name: str, version: str, *needs: str) -> PathDistribution:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", "Author: The ctxplug authors"]
    lines += ["Provides-Extra: more", *(f"Requires-Dist: {need}" for need in needs)]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    return PathDistribution(info)


def test_distributions_of_several_versions_are_a_problem(tmp_path: Path) -> None:
    core = _distribution(tmp_path, "ctxplug", "0.2.0")
    other = _distribution(tmp_path, "ctxplug-server", "0.1.0")
    assert "ctxplug-server==0.2.0" in _only(packages([core, other]), "problem").advice
    assert _levels(packages([core])) == ["ok"]
    assert "plugins are not found" in _only(packages([]), "warning").said


@pytest.mark.parametrize(
    ("need", "level", "advice"),
    [
        ("pluggy>=1", "ok", ""),
        ("pluggy>=99", "problem", 'pip install "pluggy>=99"'),
        ("not-to-be-found>=1", "problem", "Install it"),
        ("not-to-be-found>=1; extra == 'more'", "ok", ""),
        ("pluggy>=99; extra == 'more'", "warning", "pluggy>=99"),
        ("pluggy>=99; python_version < '3'", "ok", ""),
    ],
)
def test_what_is_needed_is_there_in_a_version_that_fits(
    tmp_path: Path, need: str, level: str, advice: str
) -> None:
    (found,) = dependencies([_distribution(tmp_path, "ctxplug", "0.1.0", need)])
    assert found.level == level and advice in found.advice


def test_an_sqlite_that_damages_files_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _levels(sqlite()) == ["ok"]
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    monkeypatch.setattr(apsw, "compile_options", ())
    assert _levels(sqlite()) == ["problem", "problem"]


def test_an_encoding_that_is_missing_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    code = """
import importlib.util
importlib.util.find_spec = lambda name: None
from ctxplug.doctor.surroundings import encodings
for one in encodings():
    print(one.level, one.advice)
"""
    environ = {**os.environ, "TIKTOKEN_CACHE_DIR": str(tmp_path), "HOME": str(tmp_path)}
    environ |= {"TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("warning") and "TIKTOKEN_CACHE_DIR" in done.stdout
    assert len(_levels(encodings())) == 1


def test_a_terminal_that_lacks_chinese_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    for encoding, level in (("ascii", "warning"), ("latin-1", "warning"), ("UTF-8", "ok")):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        assert _levels(text()) == [level]


def test_settings_that_are_wrong_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "CTXPLUG_BUDGET" in _only(settings({"CTXPLUG_BUDGET": "viel"}), "problem").said
    Path("ctxplug.toml").write_text("store = 'agent.db'\n")
    assert "store (ctxplug.toml:1)" in _only(settings({}), "ok").said


# -- as a command ----------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run `ctxplug doctor` without plugins in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CTXPLUG_PLUGINS", "")
    monkeypatch.setenv("COLUMNS", "300")

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["doctor", *arguments])

    return call


def test_without_a_store_it_looks_at_the_rest(run: Callable[..., Any]) -> None:
    done = run("--json")
    told = json.loads(done.stdout)
    areas = [finding["area"] for finding in told["findings"]]
    assert (done.exit_code == 0) is told["ok"]
    assert {"python", "packages", "dependencies", "sqlite", "settings", "plugins"} <= set(areas)
    assert "store" not in areas
    assert areas == sorted(areas, key=AREAS.index)


def test_a_store_with_a_problem_is_exit_code_1_and_says_what_to_do(
    run: Callable[..., Any], agent: str
) -> None:
    _halved(agent)
    done = run(agent)
    assert done.exit_code == 1
    assert "truncated" in done.output and "problem" in done.output
    assert "1 problem" in done.output


def test_the_store_of_the_settings_is_looked_at(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ctxplug.toml").write_text(f"store = '{agent}'\n")
    before = _beside(agent)
    found = list(examine(environ={**os.environ, **NONE}))
    assert [one.level for one in found if one.area == "store"] == ["ok"]
    assert _beside(agent) == before


def test_a_look_that_fails_is_a_finding_and_the_others_go_on(
    agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctxplug.doctor.versions.sqlite", lambda: 1 // 0)
    found = list(examine(agent, environ={**os.environ, **NONE}))
    assert "ZeroDivisionError" in next(one.said for one in found if one.area == "sqlite")
    assert found[-1].level == "ok"
