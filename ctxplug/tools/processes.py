"""Run one tool call in a process of its own, which can be killed with all that it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ctxplug.errors import InvalidToolError
from ctxplug.tools import child

GROUPS = hasattr(os, "killpg")  # where a process and what it started are killed together
DIED = {"error": "ProcessEnded", "text": None}


def address(function: Callable[..., Any], tool: str) -> dict[str, str]:
    """Return where another process finds `function`; raise InvalidToolError if nowhere."""
    module = getattr(function, "__module__", None) or ""
    name = getattr(function, "__qualname__", "")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    file = getattr(sys.modules.get("__main__"), "__file__", None) if module == "__main__" else ""
    if not (found is function or getattr(found, "function", None) is function) or file is None:
        raise InvalidToolError(
            f"The tool {tool!r} cannot run in a process of its own: its function"
            f" {name or function!r} cannot be imported by name. Define it at the top of a module,"
            ' or use isolation="thread".',
            tool=tool,
        )
    return {"module": module, "name": name, "file": str(Path(file).resolve()) if file else ""}


class ToolProcess:
    """A process for one call; `result` waits for it, `kill` ends it, from any thread."""

    def __init__(self, where: Mapping[str, str], arguments: Any, *, converted: bool) -> None:
        call = {
            **where,
            "arguments": arguments,
            "converted": converted,
            "path": [entry or os.getcwd() for entry in sys.path],
        }
        self._call = json.dumps(call).encode() + b"\n"
        self._state = threading.Lock()
        self._killed = False
        self._process: subprocess.Popen[bytes] | None = None

    def result(self) -> dict[str, Any]:
        """Return what came of the call, as `child.read_result` or `child.safe_error` gives it."""
        with self._state:
            if self._killed:
                return DIED
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", child.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=GROUPS,
            )
        reaper = threading.Thread(target=self._reap, args=(process,), daemon=True)
        reaper.start()
        assert process.stdin and process.stdout
        with process.stdout:
            with suppress(OSError):  # it ended before it read
                process.stdin.write(self._call)
                process.stdin.flush()
            line = process.stdout.readline()
        self.kill()
        reaper.join()
        with suppress(OSError):
            process.stdin.close()
        if not line.endswith(b"\n"):
            return DIED
        answer: dict[str, Any] = json.loads(line)
        return answer

    def kill(self) -> None:
        """End the process and what it started; it may have ended, or not have begun."""
        with self._state:
            self._killed = True
            process = self._process
            if process is None or process.returncode is not None:
                return
            if GROUPS:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of the process, then end what it left: that may hold the pipe."""
        if not GROUPS:
            process.wait()
            return
        with suppress(ChildProcessError):  # until it is waited for, its id is no other's
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.kill()
        with self._state:
            process.wait()
