"""Child processes that import the same ctxplug as this one, wherever it lies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ctxplug


def start_python(script: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start `script` in a child Python; `options` are those of subprocess.Popen."""
    home = str(Path(ctxplug.__file__).parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, env=environment, **options)


def run_python(script: str, *arguments: str, seconds: float = 60.0) -> str:
    """Run `script` in a child Python and return what it printed; fail if it failed."""
    with start_python(script, *arguments, stdout=-1, stderr=-1) as child:
        try:
            printed, complaints = child.communicate(timeout=seconds)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise AssertionError(
            f"The child ended with {child.returncode}:\n{complaints.decode(errors='replace')}"
        )
    return printed.decode()
