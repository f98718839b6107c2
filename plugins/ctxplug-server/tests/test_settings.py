"""The settings of `ctxplug serve`, where they come from, and what it writes to its log."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ctxplug_server import ServerSettings, logs, probe
from ctxplug_server.configuration import SETTINGS, configured
from ctxplug_server.keys import Keys
from ctxplug_server.logs import LogSettings, begin, fields_of
from typer.testing import CliRunner

from ctxplug.cli.app import app
from ctxplug.doctor.server import settings
from ctxplug.errors import InvalidValueError
from ctxplug.settings import ENVIRONMENT_ALONE, MEMORY

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| ([^|]*) \| (.+) \|$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _run(*arguments: str, **environ: str) -> Any:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", **environ})


# -- settings --------------------------------------------------------------------------------


def test_every_field_of_the_settings_is_a_setting_with_its_default() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(ServerSettings)}
    found = {setting.name.removeprefix("server."): setting for setting in SETTINGS}
    assert set(fields) <= set(found)
    assert {name: found[name].default for name in fields} == fields
    assert configured(environ={}).server == ServerSettings()
    assert configured(environ={}).log == LogSettings()


def test_arguments_are_before_the_environment_and_the_file(tmp_path: Path) -> None:
    file = tmp_path / "服务.toml"
    file.write_text(
        'store = "file.db"\nmodel = "gpt-5"\n[server]\nport = 1\nhosts = ["记忆.example"]\n'
        '[log]\nformat = "json"\n',
        encoding="utf-8",
    )
    environ = {"CTXPLUG_SERVER_PORT": "2", "CTXPLUG_NAMESPACE": "acme/alice"}
    found = configured({"store": ("TARGET", "named.db")}, file=str(file), environ=environ)
    assert found.target == "named.db"
    assert (found.server.port, found.server.model) == (2, "gpt-5")
    assert found.server.hosts == ("记忆.example",)
    assert found.log.format == "json"
    assert found.read.given["server.hosts"].where == f"{file}:5"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CTXPLUG_SERVER_PORT", "70000", "between 0"),
        ("CTXPLUG_SERVER_CONCURRENT", "0", "above zero"),
        ("CTXPLUG_SERVER_CONCURRENT_PER_KEY", "-1", "above zero"),
        ("CTXPLUG_SERVER_QUEUE_SECONDS", "-1", "not below zero"),
        ("CTXPLUG_SERVER_SHUTDOWN_SECONDS", "nan", "not below zero"),
        ("CTXPLUG_SERVER_SHUTDOWN_SECONDS", "inf", "not below zero"),
        ("CTXPLUG_SERVER_RATE", "often", "100/second"),
        ("CTXPLUG_SERVER_FAILURES", "1/年", "100/second"),
        ("CTXPLUG_SERVER_HOSTS", "a.example, https://b.example", "https://b.example"),
        ("CTXPLUG_SERVER_ORIGINS", "app.example", "https://app.example"),
        ("CTXPLUG_BUDGET", "0", "above zero"),
        ("CTXPLUG_LOG_FORMAT", "xml", "text, json"),
        ("CTXPLUG_LOG_LEVEL", "loud", "debug, info, warning, error"),
    ],
)
def test_a_value_that_makes_no_sense_is_told_with_its_variable(
    variable: str, value: str, said: str
) -> None:
    with pytest.raises(InvalidValueError) as raised:
        configured(environ={variable: value})
    assert str(raised.value).startswith(f"{variable}: ") and said in str(raised.value)


def test_a_value_that_makes_no_sense_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "ctxplug.toml").write_text("[server]\nviewer = true\nport = 70000\n")
    with pytest.raises(InvalidValueError, match=r"ctxplug\.toml:3: A port is"):
        configured(environ={})


def test_a_key_in_place_of_the_file_of_keys_is_refused_and_not_printed() -> None:
    with pytest.raises(InvalidValueError) as raised:
        configured(environ={"CTXPLUG_SERVER_KEYS": "ctxp_abc_geheim"})
    assert "geheim" not in str(raised.value) and "CTXPLUG_SERVER_KEY" in str(raised.value)


@pytest.mark.parametrize(
    ("line", "safe"),
    [
        ("host = '0.0.0.0'", "host = '127.0.0.1'"),
        ("origins = ['https://evil.example']", "origins = []"),
        ("keys = 'theirs.keys.json'", "keys = 'none'"),
    ],
)
def test_a_file_that_nobody_named_lets_nobody_in(line: str, safe: str, tmp_path: Path) -> None:
    """It may have come with a checkout, with keys that others know."""
    file = tmp_path / "ctxplug.toml"
    file.write_text(f"[server]\n{line}\n")
    with pytest.raises(InvalidValueError, match=r"ctxplug\.toml:2 sets server"):
        configured(environ={})
    assert configured(environ={}, file=str(file)).read.file == str(file)
    file.write_text(f"[server]\nport = 1\nhosts = ['memory.example']\n{safe}\n")
    assert configured(environ={}).server.port == 1


def test_what_is_set_is_shown_with_where_it_is_from(tmp_path: Path) -> None:
    (tmp_path / "ctxplug.toml").write_text("[server]\nrate = 'none'\n")
    done = _run(
        "serve",
        "--show-config",
        "--json",
        "--port",
        "8732",
        "--verbose",
        CTXPLUG_STORE="postgresql://me:geheim@host/db",
        CTXPLUG_SERVER_KEY="ctxp_abc_geheim",
    )
    told = json.loads(done.stdout)
    found = told["settings"]
    assert told["file"] == "ctxplug.toml"
    assert found["server.port"] == {"value": "8732", "source": "argument", "where": "--port"}
    assert found["server.rate"]["where"] == "ctxplug.toml:2"
    assert found["server.host"]["source"] == "default"
    assert found["log.level"] == {"value": "info", "source": "argument", "where": "--verbose"}
    assert found["store"]["value"] == "postgresql://me:***@host/db"
    shown = _run("serve", "--show-config", CTXPLUG_STORE="x://a:geheim@b")
    assert "server.port" in shown.output and "CTXPLUG_STORE" in shown.output
    assert "geheim" not in done.output + shown.output


def test_without_a_store_it_says_how_to_name_one() -> None:
    done = _run("serve")
    assert done.exit_code == 1 and "CTXPLUG_STORE" in done.output


def test_keys_are_made_where_the_server_looks_for_them(tmp_path: Path) -> None:
    make = ("keys", "make", "agent.db", "planner", "-n", "acme/alice")
    done = _run(*make, CTXPLUG_SERVER_KEYS="elsewhere.json")
    assert done.exit_code == 0
    assert Keys(tmp_path / "elsewhere.json").live() and not Path("agent.db.keys.json").exists()


@pytest.mark.slow
def test_doctor_asks_the_server_about_its_settings() -> None:
    told: dict[str, str] = {}
    environ = {**os.environ, "CTXPLUG_PLUGINS": "server", "CTXPLUG_SERVER_PORT": "70000"}
    (bad,) = settings(60, environ, told)
    assert bad.level == "problem" and "CTXPLUG_SERVER_PORT: A port" in bad.said
    Path("ctxplug.toml").write_text("[server]\nkeys = 'k.json'\n")
    del environ["CTXPLUG_SERVER_PORT"]
    (good,) = settings(60, environ, told)
    assert good.level == "ok" and "ctxplug.toml:2" in good.said
    assert told["server.keys"] == "k.json"


# -- the page --------------------------------------------------------------------------------


def test_the_page_lists_every_setting_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = {row[0]: row[1:] for row in ROW.findall(text)}
    listed = [*MEMORY, *(s for s in SETTINGS if s not in MEMORY)]
    expected = {
        s.name: (s.variable, f"`{s.text(s.default)}`" if s.default != () else "", s.meaning)
        for s in listed
    }
    assert rows == expected
    for variable, meaning in ENVIRONMENT_ALONE.items():
        assert f"| `{variable}` | {meaning} |" in text


def _commands(page: str) -> list[list[str]]:
    text = PAGE.with_name(page).read_text(encoding="utf-8")
    lines = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    inline = " ".join(line.strip() for line in text.split("```")[::2]).replace("\n", " ")
    found = lines.splitlines() + re.findall(r"`([^`]+)`", inline)
    after = [line.rpartition("exec ctxplug ")[2].rpartition("run --rm ")[2] for line in found]
    return [line.split() for line in after if line.startswith("ctxplug ")]


@pytest.mark.parametrize("page", ["configuration.md", "production.md"])
def test_the_commands_of_the_pages_have_the_options_that_are_said(page: str) -> None:
    commands = _commands(page)
    assert len(commands) >= 4
    helps: dict[tuple[str, ...], str] = {}
    for words in commands:
        path = tuple(words[1 : 3 if words[1] == "keys" and len(words) > 2 else 2])
        if path not in helps:
            done = _run(*path, "--help")
            assert done.exit_code == 0, words
            helps[path] = done.output
        assert not [w for w in words if w.startswith("--") and w not in helps[path]], words


def test_the_figures_that_the_page_watches_are_measured(one_server: Any) -> None:
    text = PAGE.with_name("production.md").read_text(encoding="utf-8")
    named = set(
        re.findall(r"\b(?:ctxplug|process)_[a-z_]+(?:seconds|total|waiting|suspected|bytes)", text)
    )
    with one_server.client() as client:
        client.get("/v1/namespaces")
        told = client.get("/metrics").text
    assert len(named) >= 4
    assert not [name for name in named if f"\n# HELP {name} " not in f"\n{told}"]
    assert 'class="5xx"' in text and 'class="5xx"' in told


# -- the log ---------------------------------------------------------------------------------


@pytest.fixture
def _logging() -> Iterator[None]:
    """Put logging back as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield
    root.handlers[:], root.level = before
    for one in (logs.log, logs.requests):
        one.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("_logging")
def test_a_line_is_json_and_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    begin(LogSettings("json", "info"))
    log = logging.getLogger("ctxplug.server")
    log.warning("里斯本\n{}\u2028%s", "x", extra=fields_of("test", count=2))
    try:
        raise ValueError("what somebody said")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("it failed")
    warnings.warn("be careful", UserWarning, stacklevel=1)
    lines = [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]
    assert [line["event"] for line in lines] == ["test", "log", "warning"]
    assert lines[0]["message"] == "里斯本\n{}\u2028x" and lines[0]["count"] == 2
    assert lines[1]["level"] == "error" and "ValueError at" in lines[1]["failed_at"]
    assert "somebody" not in json.dumps(lines) and "Traceback" not in json.dumps(lines)
    assert lines[2]["message"] == "be careful"


@pytest.mark.usefixtures("_logging")
def test_text_has_no_values_of_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    begin(LogSettings("text"))
    try:
        raise ValueError("what somebody said")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("it failed")
    logging.getLogger("ctxplug.server").info("nobody asked")
    told = capsys.readouterr().err
    assert "it failed" in told and "ValueError at test_settings.py" in told
    assert "somebody" not in told and "nobody" not in told


@pytest.mark.parametrize(
    ("wanted", "told"),
    [(("json", "error"), 0), (("json", "warning"), 1), (("text", "warning"), 0)],
    ids=str,
)
@pytest.mark.usefixtures("_logging")
def test_that_it_began_is_told_in_json_unless_errors_alone_are_wanted(
    wanted: tuple[str, str], told: int, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(LogSettings(*wanted))
    logs.log.info("began", extra=fields_of("started"))
    assert len(capsys.readouterr().out.splitlines()) == told


BY_VARIABLES = {
    "CTXPLUG_STORE": "agent.db",
    "CTXPLUG_SERVER_PORT": "0",
    "CTXPLUG_PLUGINS": "server",  # the others take time to load
}


@pytest.fixture
def spoken(tmp_path: Path) -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    """Start `ctxplug serve` by its variables alone; give its address and the process."""
    started: list[subprocess.Popen[str]] = []

    def start(**environ: str) -> tuple[str, subprocess.Popen[str]]:
        program = Path(sys.executable).with_name("ctxplug")
        popen = subprocess.Popen(
            [str(program), "serve"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **BY_VARIABLES, **environ},
        )
        started.append(popen)
        assert popen.stdout is not None
        line = popen.stdout.readline()
        found = re.search(r"http://[\w.]+:\d+", line)
        assert found, line + popen.communicate()[1]
        return found[0], popen

    yield start
    for popen in started:
        if popen.poll() is None:
            popen.kill()
        popen.communicate()


SECRETS = ("里斯本", "Lisbon", "acme", "trip", "ctxp_", "geheim", "agent.db")


def test_a_server_started_by_variables_logs_json_lines_without_content(
    spoken: Callable[..., tuple[str, subprocess.Popen[str]]], tmp_path: Path
) -> None:
    key, sent = Keys(tmp_path / "agent.db.keys.json").make("planner", "acme/alice")
    url, popen = spoken(CTXPLUG_LOG_FORMAT="json", CTXPLUG_LOG_REQUESTS="true")
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {sent}"}) as client:
        said = {"messages": [{"role": "user", "content": "I live in Lisbon. 我住在里斯本。"}]}
        add = "/v1/sessions/trip/messages?namespace=acme/alice"
        answered = client.post(add, json=said, headers={"x-request-id": "mine-1"})
        assert client.get("/v1/memories?namespace=acme/bob").status_code == 404
        assert client.get("/v1/geheim").status_code == 404
        assert client.request("PROPFIND", "/v1/memories").status_code >= 400
        assert httpx.get(f"{url}/v1/memories").status_code == 401
        port = {"CTXPLUG_SERVER_PORT": url.rpartition(":")[2]}
        assert probe.main({**port, "HTTP_PROXY": "http://127.0.0.1:9"}) == 0
    popen.send_signal(signal.SIGTERM)
    out, err = popen.communicate(timeout=60)
    assert popen.returncode == 0 and err == ""
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[-1]["event"] == "ended"
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in requests[:3]] == [201, 404, 404]
    assert requests[4]["status"] == 401 and len(requests) == 5  # none for the probe
    first = requests[0]
    assert first["request_id"] == answered.headers["x-request-id"] == "mine-1"
    assert first["route"] == "/v1/sessions/{session}/messages" and first["method"] == "POST"
    assert first["key"] == key.id and first["duration_ms"] > 0
    assert requests[2]["route"] == "unmatched" and requests[3]["method"] == "other"
    assert not [secret for secret in SECRETS if secret in out]


def test_a_probe_says_no_where_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main({"CTXPLUG_SERVER_PORT": "1"}) == 1
    assert probe.main({"CTXPLUG_SERVER_PORT": "many"}) == 1
    assert "is not ready" in capsys.readouterr().err
