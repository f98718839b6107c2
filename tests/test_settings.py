"""Settings: arguments before the environment, before the file, before defaults; clear refusals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ctxplug import AgentMemory
from ctxplug.cli.app import app
from ctxplug.errors import CannotOpenError, CtxplugError, InvalidValueError
from ctxplug.settings import ENVIRONMENT_ALONE, MEMORY, Setting, find_file, read

PORT = Setting("server.port", int, 8732, "The port.")
HOSTS = Setting("server.hosts", tuple[str, ...], (), "Names.")
RATE = Setting("server.rate", str | None, "6000/minute", "A rate.")
VIEWER = Setting("server.viewer", bool, True, "The viewer.")
WAIT = Setting("server.wait", float, 1.5, "Seconds.")
SERVER = (PORT, HOSTS, RATE, VIEWER, WAIT)


def _file(folder: Path, text: str) -> Path:
    path = folder / "ctxplug.toml"
    path.write_text(text, encoding="utf-8")
    return path


# -- where a value comes from ----------------------------------------------------------------


def test_an_argument_is_before_the_environment_the_file_and_the_default(tmp_path: Path) -> None:
    _file(tmp_path, "# 设置\nstore = 'file.db'\n\n[server]\nport = 1\nviewer = false\n")
    environ = {"CTXPLUG_SERVER_PORT": "2"}
    arguments = {"server.port": ("--port", 3)}

    def port(**options: Any) -> tuple[Any, str, str]:
        found = read((*MEMORY, *SERVER), folder=tmp_path, **options).given["server.port"]
        return found.value, found.source, found.where

    where = str(tmp_path / "ctxplug.toml")
    assert port(arguments=arguments, environ=environ) == (3, "argument", "--port")
    assert port(environ=environ) == (2, "environment", "CTXPLUG_SERVER_PORT")
    assert port(environ={}) == (1, "file", f"{where}:5")
    assert port(environ={"CTXPLUG_CONFIG": ""}) == (8732, "default", "")


@given(
    st.lists(st.sampled_from(["argument", "environment", "file"]), unique=True),
    st.integers(1, 9_999),
)
def test_the_first_that_says_something_decides(sources: list[str], number: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        if "file" in sources:
            _file(Path(folder), f"[server]\nport = {number}\n")
        environ = {"CTXPLUG_SERVER_PORT": f"{number + 1}"} if "environment" in sources else {}
        arguments = {"server.port": ("--port", number + 2)} if "argument" in sources else {}
        found = read(SERVER, arguments, environ=environ, folder=folder).given["server.port"]
    first = next((s for s in ("argument", "environment", "file") if s in sources), "default")
    values = {"argument": number + 2, "environment": number + 1, "file": number, "default": 8732}
    assert (found.source, found.value) == (first, values[first])


def test_the_file_may_be_named_and_must_be_there_then(tmp_path: Path) -> None:
    path = _file(tmp_path, "model = 'gpt-5'\n").rename(tmp_path / "其他.toml")
    environ = {"CTXPLUG_CONFIG": str(path)}
    assert find_file({}, tmp_path) is None
    assert read(MEMORY, environ=environ)["model"] == "gpt-5"
    path.unlink()
    with pytest.raises(CannotOpenError, match="CTXPLUG_CONFIG"):
        read(MEMORY, environ=environ)


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        (PORT, " 80 ", 80),
        (HOSTS, "memory.example, 记忆.example,", ("memory.example", "记忆.example")),
        (RATE, "none", None),
        (RATE, "1/second", "1/second"),
        (VIEWER, "0", False),
        (VIEWER, "TRUE", True),
        (WAIT, "2", 2.0),
        (WAIT, "", 1.5),
        (PORT, "  ", 8732),
    ],
    ids=str,
)
def test_a_variable_becomes_a_value_and_an_empty_one_says_nothing(
    setting: Setting, text: str, value: Any, tmp_path: Path
) -> None:
    found = read([setting], environ={setting.variable: text}, folder=tmp_path)
    assert found[setting.name] == value
    assert type(found[setting.name]) is type(value)


@pytest.mark.parametrize("setting", SERVER, ids=lambda one: one.name)
def test_what_is_shown_is_what_a_variable_may_say(setting: Setting, tmp_path: Path) -> None:
    shown = setting.text(setting.default)
    found = read([setting], environ={setting.variable: shown}, folder=tmp_path)
    assert found[setting.name] == setting.default


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"CTXPLUG_SERVER_PORT": "八十"},
            ["'八十'", "whole number", "8732"],
        ),
        ({"CTXPLUG_SERVER_VIEWER": "perhaps"}, ["CTXPLUG_SERVER_VIEWER", "true or false"]),
        ({"CTXPLUG_SERVER_WAIT": "long"}, ["server.wait is a number"]),
        ({"CTXPLUG_SERVER_PRT": "1"}, ["CTXPLUG_SERVER_PRT", "Did you mean CTXPLUG_SERVER_PORT?"]),
        ({"CTXPLUG_SERVER_COLOUR": "red"}, ["CTXPLUG_SERVER_COLOUR", "docs/configuration.md"]),
        ({"CTXPLUG_PORT": "1"}, ["Did you mean CTXPLUG_SERVER_PORT?"]),
        ({"CTXPLUG_NAMESPACES": "a"}, ["Did you mean CTXPLUG_NAMESPACE?"]),
        ({"CTXPLUG_SERVER_PORT": "tcp://10.0.0.1:80"}, ["Kubernetes", "enableServiceLinks"]),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_a_variable_that_is_wrong_is_named_with_its_value_and_what_to_do(
    environ: dict[str, str], said: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError) as raised:
        read((*MEMORY, *SERVER), environ=environ, folder=tmp_path)
    assert all(part in str(raised.value) for part in said), raised.value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nport = 'x'\n", [":2 is 'x'", "whole number"]),
        ("\n\nstor = 'a'\n", [":3 has 'stor'", "Did you mean store?"]),
        ("port = 1\n", ["Did you mean server.port?"]),
        ("[server]\nprot = 1\n", [":2 has 'server.prot'", "Did you mean server.port?"]),
        ("[sever]\nport = 1\n", [":1 has the table [sever]", "Did you mean server?"]),
        ("[server.tls]\non = true\n", ["server.tls"]),
        ("store = \n", ["is no TOML", "line 1"]),
        ("store = ['a', 'b']\n", ["store is a text"]),
        ("plugins = 'a'\n", ["'plugins'", "no such setting"]),
    ],
    ids=repr,
)
def test_a_line_that_is_wrong_is_named_with_what_to_do(
    text: str, said: list[str], tmp_path: Path
) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(CtxplugError) as raised:
        read((*MEMORY, *SERVER), environ={}, folder=tmp_path)
    assert str(path) in str(raised.value)
    assert all(part in str(raised.value) for part in said), raised.value


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 50_000, ".".join("a" * 20_000) + " = 1", "budget = " + "9" * 5_000],
    ids=["nested", "dotted", "long"],
)
def test_a_file_that_is_made_to_break_the_parser_is_refused_in_a_sentence(
    text: str, tmp_path: Path
) -> None:
    _file(tmp_path, text)
    with pytest.raises(InvalidValueError, match="is no TOML"):
        read(MEMORY, environ={}, folder=tmp_path)


@pytest.mark.parametrize(
    ("line", "safe"),
    [
        ('store = "chroma+https://evil.example:443?records=a.db"', "agent.db"),
        (r"store = '\\evil.example\share\agent.db'", "sqlite:///记忆.db"),
        ('embedder = "sentence-transformers:./model"', "wordllama:128"),
        ('embedder = "openai:text-embedding-3-small"', "wordllama"),
        ('counter = "anthropic:claude-sonnet-4-5"', "tiktoken:o200k_base"),
    ],
)
def test_a_file_that_nobody_named_lets_nobody_in_and_sends_nothing(
    line: str, safe: str, tmp_path: Path
) -> None:
    """It may have come with a checkout, and every command that runs there reads it."""
    name = line.partition(" ")[0]
    path = _file(tmp_path, f"\n{line}\n")
    with pytest.raises(InvalidValueError, match=r"ctxplug.toml:2 sets .* CTXPLUG_CONFIG=ctxplug"):
        read(MEMORY, environ={}, folder=tmp_path)
    said = {f"CTXPLUG_{name.upper()}": safe}
    assert read(MEMORY, environ=said, folder=tmp_path)[name] == safe  # the file is not asked
    assert read(MEMORY, environ={"CTXPLUG_CONFIG": str(path)})[name] in line
    _file(tmp_path, f'{name} = "{safe}"\n')
    assert read(MEMORY, environ={}, folder=tmp_path)[name] == safe


def test_a_file_that_is_no_text_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "ctxplug.toml").write_bytes("store = '记忆.db'".encode("gb18030"))
    with pytest.raises(InvalidValueError, match="UTF-8"):
        read(MEMORY, environ={}, folder=tmp_path)


def test_what_others_set_is_left_to_them(tmp_path: Path) -> None:
    _file(tmp_path, "[server]\nnothing = 1\n[log]\nformat = 'x'\n")
    environ = {
        **dict.fromkeys(ENVIRONMENT_ALONE, ""),
        "CTXPLUG_ACME_REGION": "eu",  # a plugin's
        "CTXPLUG_SERVER_WHATEVER": "1",  # the server's to refuse
        "CTXPLUG_SERVICE_HOST": "10.0.0.1",  # of Kubernetes
        "CTXPLUG_PORT": "tcp://10.0.0.1:8732",
        "CTXPLUG_PORT_8732_TCP_ADDR": "10.0.0.1",
        "PATH": "x",
    }
    assert read(MEMORY, environ=environ, folder=tmp_path)["budget"] == 8_000


@pytest.mark.parametrize(
    "address",
    ["postgresql://me:geheim@host/db", "redis://:geheim@host", "x://h/?api_key=geheim&a=1"],
)
def test_secrets_in_addresses_are_not_shown(address: str, tmp_path: Path) -> None:
    found = read(MEMORY, environ={"CTXPLUG_STORE": address}, folder=tmp_path)
    assert found["store"] == address
    assert "geheim" not in found.given["store"].text and "***" in found.given["store"].text
    with pytest.raises(InvalidValueError) as raised:
        read(MEMORY, environ={"CTXPLUG_BUDGET": address}, folder=tmp_path)
    assert "geheim" not in str(raised.value)


# -- the commands ----------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store of two namespaces, which commands run in."""
    monkeypatch.chdir(tmp_path)
    for name in ("acme/alice", "acme/陈伟"):
        with AgentMemory.open("agent.db", namespace=name, session="trip") as memory:
            memory.add("user", f"I am {name}.")
    return tmp_path


def _run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "NO_COLOR": "1"})
    return done.exit_code, done.output


def test_commands_take_store_and_namespace_from_the_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run("show")[0] == 2
    _file(home, 'store = "agent.db"\nnamespace = "acme/陈伟"\n')
    assert "I am acme/陈伟." in _run("show")[1]
    assert "I am acme/alice." in _run("show", "-n", "acme/alice")[1]
    monkeypatch.setenv("CTXPLUG_NAMESPACE", "acme/alice")
    assert "I am acme/alice." in _run("show")[1]
    assert "I am acme/alice." in _run("recall", "agent.db", "alice")[1]
    assert _run("session", "show")[0] == 0  # of the two namespaces it is told which


def test_what_is_erased_is_always_named(home: Path) -> None:
    _file(home, 'store = "agent.db"\nnamespace = "acme/alice"\n')
    assert _run("erase")[0] == 2
    code, said = _run("erase", "agent.db", "--yes")
    assert code == 1 and "--namespace" in said


def test_a_setting_that_is_wrong_is_a_sentence_and_help_still_helps(home: Path) -> None:
    _file(home, "budget = 'many'\n")
    code, said = _run("stats", "agent.db")
    assert code == 1 and "ctxplug.toml:1 is 'many'" in said.replace("\n", " ")
    assert _run("stats", "--help")[0] == 0


def test_the_library_goes_by_no_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(home, "budget = 1\nnamespace = 'acme/other'\n")
    monkeypatch.setenv("CTXPLUG_BUDGET", "2")
    monkeypatch.setenv("CTXPLUG_STORE", "elsewhere.db")
    with AgentMemory.open("agent.db", namespace="acme/alice", session="trip") as memory:
        assert memory.context().messages
    assert not (home / "elsewhere.db").exists()


def test_the_library_configures_no_log() -> None:
    import subprocess

    code = """
import logging, ctxplug
root, own = logging.getLogger(), logging.getLogger("ctxplug")
print(root.handlers, [type(one).__name__ for one in own.handlers], own.level)
logging.getLogger("ctxplug.anything").error("nobody asked")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['NullHandler'] 0"
    assert done.stderr == ""
