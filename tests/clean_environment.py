"""An environment as a plugin author's: ctxplug and the test tools, and no plugin of ours.

It sees what is installed here through links, so nothing is downloaded. Programs run in it as
a reader of the docs runs them, by name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = {"ctxplug": "ctxplug.cli", "pytest": "pytest"}
# Not of interest here, and slow to start or noisy: pytest's other plugins, and caches.
SET = {
    "COLUMNS": "80",
    "NO_COLOR": "1",
    "PYTEST_ADDOPTS": "-p no:cacheprovider",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONWARNDEFAULTENCODING": "",
    "TERM": "dumb",
}
# "CI" lets pytest print its summary in full, which a reader's does not.
UNSET = ("CI", "CTXPLUG_LINES", "CTXPLUG_PLUGINS", "CTXPLUG_STRICT", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Environment:
    """A virtual environment in `folder`."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def hypothesis(self) -> Path:
        return self.folder / "hypothesis"

    def run(self, command: str | Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run `command` (a text goes to the shell) with the programs of this environment."""
        environ = {k: v for k, v in os.environ.items() if k not in UNSET and "COV" not in k}
        environ |= SET | {"PATH": f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(self.hypothesis)
        return subprocess.run(
            command,
            shell=isinstance(command, str),
            cwd=cwd,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def install(self, project: Path) -> None:
        """Install `project` editable, built by its own backend, without a network."""
        done = self.run([*installer(self.python), "-e", "."], project)
        assert done.returncode == 0, done.stdout


def make_environment(folder: Path) -> Environment:
    """Make an environment in `folder`, of what is installed here but plugins of ctxplug."""
    if os.name == "nt":
        pytest.skip("the programs of this environment are shell scripts")
    found = Environment(folder / "venv")
    venv.create(found.folder, with_pip=False, symlinks=True)
    store_hypothesis(found.hypothesis)
    view = folder / "site"
    view.mkdir()
    ours = plugins_here()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.removeprefix("_editable_impl_").startswith(ours):
            (view / path.name).symlink_to(path)
    (site,) = found.folder.glob("lib/python*/site-packages")
    (site / "here.pth").write_text(f"import site; site.addsitedir({str(view)!r})\n")
    for name, module in PROGRAMS.items():
        script = found.python.with_name(name)
        script.write_text(f'#!/bin/sh\nexec "{found.python}" -m {module} "$@"\n')
        script.chmod(0o755)
    return found


def store_hypothesis(folder: Path) -> Path:
    """Make a folder for Hypothesis' examples, with the tables that take it seconds to make."""
    folder.mkdir()
    characters = ROOT / ".hypothesis" / "unicode_data"
    if characters.exists():
        (folder / characters.name).symlink_to(characters)
    return folder


def installer(python: Path) -> list[str]:
    """Return the command that installs without a network: uv's, or pip's; skip without both."""
    plain = ["--offline", "--no-deps", "--no-build-isolation"]
    local = ROOT / ".uv" / "bin" / "uv"
    uv = shutil.which("uv") or (str(local) if local.exists() else "")
    if uv:
        return [uv, "pip", "install", "-q", "--no-cache", "--python", str(python), *plain]
    pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True)
    if pip.returncode:
        pytest.skip("neither uv nor pip is here to install with")
    plain[0] = "--no-index"
    return [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", *plain]


def plugins_here() -> tuple[str, ...]:
    """Return how the files of the plugins that are installed here begin, in site-packages."""
    ours = {point.dist.name for point in entry_points(group="ctxplug") if point.dist}
    return tuple(sorted(name.replace("-", "_") for name in ours)) or ("no plugin at all",)
