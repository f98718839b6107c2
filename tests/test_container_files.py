"""Dockerfile and compose.yaml: what they name is there and works, which takes no engine to see."""

from __future__ import annotations

import fnmatch
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SECRET = re.compile(r"(?:\A|_)(?:KEY|SECRET|TOKEN|PASSWORD|CREDENTIALS?)(?:_|\Z)")
# The keys that a service may have, of the Compose specification; others are misspelt.
_SERVICE = (
    "annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs"
    " container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpus"
    " cpuset credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt"
    " dns_search domainname entrypoint env_file environment expose extends external_links"
    " extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels"
    " links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit models"
    " network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start"
    " pre_stop privileged profiles provider pull_policy read_only restart runtime scale secrets"
    " security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty"
    " ulimits use_api_socket user userns_mode uts volumes volumes_from working_dir"
)
OF_SERVICE = set(_SERVICE.split())
OF_HEALTHCHECK = {"test", "interval", "timeout", "start_period", "start_interval", "retries"}
AT_TOP = {"name", "services", "volumes", "networks", "secrets", "configs", "include", "models"}


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile with what follows them, in order."""
    parse = pytest.importorskip("dockerfile_parse", reason="the parser is not installed")
    text = (ROOT / "Dockerfile").read_bytes()
    structure = parse.DockerfileParser(fileobj=io.BytesIO(text)).structure
    return [(s["instruction"], s["value"]) for s in structure if s["instruction"] != "COMMENT"]


@pytest.fixture(scope="module")
def last(steps: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The instructions of the last stage, which is what runs."""
    start = max(index for index, (name, _) in enumerate(steps) if name == "FROM")
    return steps[start:]


@pytest.fixture(scope="module")
def compose() -> Any:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def _one(steps: list[tuple[str, str]], name: str) -> str:
    (value,) = [value for found, value in steps if found == name]
    return value


def _environment(steps: list[tuple[str, str]]) -> dict[str, str]:
    words = [word for name, value in steps if name == "ENV" for word in shlex.split(value)]
    return dict(word.split("=", 1) for word in words)


# -- what goes in ----------------------------------------------------------------------------


def test_the_images_it_is_made_from_are_pinned_and_the_same(steps: list[tuple[str, str]]) -> None:
    bases = [value.split()[0] for name, value in steps if name == "FROM"]
    assert len(bases) == 2 and len(set(bases)) == 1  # the second runs what the first made
    assert re.fullmatch(r"python:\d+\.\d+(\.\d+)?-slim-\w+", bases[0])


def _is_sent(path: str) -> bool:
    """Say whether .dockerignore lets a path of this folder into the build."""
    sent = True
    parents = [path, *map(str, Path(path).parents)][:-1]
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!").removesuffix("/")
        if not pattern or line.startswith("#"):
            continue
        for one in parents:
            below = one.rpartition("/")[2] if pattern.startswith("**/") else one
            same_depth = pattern.startswith("**/") or pattern.count("/") == one.count("/")
            if same_depth and fnmatch.fnmatchcase(below, pattern.removeprefix("**/")):
                sent = line.startswith("!")
    return sent


def test_what_is_copied_is_there_and_is_sent_to_the_build(steps: list[tuple[str, str]]) -> None:
    copies = [value.split() for name, value in steps if name in ("COPY", "ADD")]
    own = [source for words in copies if "--from" not in words[0] for source in words[:-1]]
    assert {"constraints.txt", "ctxplug", "plugins"} <= set(own)
    for source in own:
        assert (ROOT / source).exists(), source
        assert _is_sent(source), source


@pytest.mark.parametrize(
    "path",
    [
        "agent.db",
        "agent.db-wal",
        "agent.db.keys.json",
        "ctxplug/agent.db",
        "plugins/agent.db.keys.json",
        ".git/config",
        ".venv/bin/python",
        "tests/test_house.py",
        "plugins/ctxplug-server/tests/conftest.py",
        "ctxplug/__pycache__/errors.cpython-311.pyc",
        ".env",
    ],
)
def test_no_store_key_or_history_is_sent_to_the_build(path: str) -> None:
    assert not _is_sent(path)
    assert _is_sent("ctxplug/errors.py") and _is_sent("plugins/ctxplug-server/pyproject.toml")


def test_what_the_wheels_are_built_from_is_copied(steps: list[tuple[str, str]]) -> None:
    tomllib = pytest.importorskip("tomllib")
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = table["tool"]["hatch"]["build"]["targets"]["wheel"]
    project = table["project"]
    needed = {*wheel["packages"], *wheel["force-include"], *project["license-files"]}
    sources = {word for name, value in steps if name == "COPY" for word in value.split()[:-1]}
    assert needed | {project["readme"]} <= sources


def test_the_plugins_that_are_chosen_are_there(steps: list[tuple[str, str]]) -> None:
    chosen = dict(value.split("=", 1) for name, value in steps if name == "ARG")["PLUGINS"]
    for name in shlex.split(chosen)[0].split():
        assert (ROOT / "plugins" / name / "pyproject.toml").is_file()


def test_what_is_installed_is_held_by_the_constraints(steps: list[tuple[str, str]]) -> None:
    installs = [value for name, value in steps if name == "RUN" and " install " in f"{value} "]
    pips = [value for value in installs if "pip" in value]
    assert pips and all("-c constraints.txt" in value for value in pips)


def test_no_secret_has_a_place_in_the_image(steps: list[tuple[str, str]]) -> None:
    names = [*_environment(steps), *(v.partition("=")[0] for n, v in steps if n == "ARG")]
    assert "CTXPLUG_STORE" in names and "PLUGINS" in names
    assert not [name for name in names if SECRET.search(name)]


# -- how it runs -----------------------------------------------------------------------------


def test_it_runs_as_a_user_who_is_not_root(last: list[tuple[str, str]]) -> None:
    assert re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", _one(last, "USER"))
    names = [name for name, _ in last]
    assert names.index("USER") < names.index("HEALTHCHECK") < names.index("CMD")
    assert "RUN" not in names[names.index("USER") :]
    user, group = _one(last, "USER").split(":")
    made = next(value for name, value in last if name == "RUN")
    assert f"--gid {group} " in made and f"--uid {user} " in made
    assert f"--owner={user} --group={group} --mode=0700 /data" in made
    assert json.loads(_one(last, "VOLUME")) == ["/data"]


def test_its_settings_are_settings(last: list[tuple[str, str]], compose: Any) -> None:
    pytest.importorskip("ctxplug_server")
    from ctxplug_server.configuration import SETTINGS, configured

    service = compose["services"]["ctxplug"]
    environ = _environment(last) | {name: str(v) for name, v in service["environment"].items()}
    own = {name: value for name, value in environ.items() if name.startswith("CTXPLUG_")}
    assert set(own) <= {setting.variable for setting in SETTINGS}
    found = configured(environ=own)
    assert found.target == "/data/agent.db" and found.server.exposed
    assert str(found.server.port) == _one(last, "EXPOSE")
    assert found.log.format == "json" and found.log.requests
    assert found.server.hosts == ("ctxplug",)  # by which other containers call it


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_its_command_starts_a_server_that_its_health_check_finds_well(
    last: list[tuple[str, str]], tmp_path: Path
) -> None:
    pytest.importorskip("ctxplug_server")
    from ctxplug_server.keys import Keys

    programs = Path(sys.executable).parent
    command = [*json.loads(_one(last, "ENTRYPOINT")), *json.loads(_one(last, "CMD"))]
    health = json.loads(_one(last, "HEALTHCHECK").partition("CMD")[2])
    given = {name: v.replace("/data", str(tmp_path)) for name, v in _environment(last).items()}
    given |= {"CTXPLUG_SERVER_PORT": str(_free_port()), "PATH": f"{programs}:{os.defpath}"}
    given |= {"CTXPLUG_PLUGINS": "server"}  # the others of this environment are not in the image
    given |= {"TMPDIR": str(tmp_path), "HTTP_PROXY": "http://127.0.0.1:9"}
    Keys(f"{given['CTXPLUG_STORE']}.keys.json").make("planner", "acme/陈伟")

    def check() -> int:
        program = shutil.which(health[0], path=given["PATH"])
        assert program is not None
        return subprocess.run([program, *health[1:]], env=given, capture_output=True).returncode

    assert check() == 1
    with subprocess.Popen(
        [str(programs / command[0]), *command[1:]],
        env=given,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            assert json.loads(server.stdout.readline())["event"] == "started"
            assert check() == 0
            server.send_signal(getattr(signal, _one(last, "STOPSIGNAL")))
            told = [json.loads(line) for line in server.stdout]
            assert server.wait(60) == 0 and told[-1]["event"] == "ended"
        finally:
            server.kill()
    assert (tmp_path / "agent.db").is_file()


# -- compose ---------------------------------------------------------------------------------


def test_compose_has_keys_that_there_are(compose: Any) -> None:
    assert set(compose) <= AT_TOP
    (service,) = compose["services"].values()
    assert set(service) <= OF_SERVICE
    assert set(service["healthcheck"]) <= OF_HEALTHCHECK
    assert {one.partition(":")[0] for one in service["volumes"]} == set(compose["volumes"])


def test_compose_gives_the_server_no_more_than_it_needs(compose: Any) -> None:
    service = compose["services"]["ctxplug"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user", "cap_add", "devices", "network_mode"} & set(service)
    assert service["volumes"] == ["data:/data"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["init"] is True and service["restart"] == "unless-stopped"
    assert service["mem_limit"] and service["pids_limit"]
    assert not [name for name in service["environment"] if SECRET.search(name)]


def test_compose_and_image_agree(compose: Any, last: list[tuple[str, str]]) -> None:
    service = compose["services"]["ctxplug"]
    health = json.loads(_one(last, "HEALTHCHECK").partition("CMD")[2])
    assert service["healthcheck"]["test"] == ["CMD", *health]
    assert service["command"] == json.loads(_one(last, "CMD"))
    assert service["ports"] == [f"127.0.0.1:{_one(last, 'EXPOSE')}:{_one(last, 'EXPOSE')}"]
    temporary = _environment(last)["TMPDIR"]
    assert [one.partition(":")[0] for one in service["tmpfs"]] == [temporary]


def test_it_is_given_longer_to_end_than_it_may_take(compose: Any) -> None:
    pytest.importorskip("ctxplug_server")
    from ctxplug_server import ServerSettings

    grace = compose["services"]["ctxplug"]["stop_grace_period"]
    assert float(grace.removesuffix("s")) > ServerSettings().shutdown_seconds


def _code(*command: str) -> int:
    return subprocess.run(command, capture_output=True).returncode


def test_compose_itself_takes_the_file() -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("docker compose is not installed")
    command = [docker, "compose", "-f", str(ROOT / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
