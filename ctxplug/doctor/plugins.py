"""Plugins: each is loaded in a process of its own, so that none can hold up or end this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from ctxplug.doctor.finding import Finding, ok, problem, warning
from ctxplug.plugins import GROUP

__all__ = ["Loaded", "ask", "plugins"]

AT_ONCE = 4
END_SECONDS = 2.0  # for what a process that was ended wrote last
TAIL = 2_000  # characters of what a process that ended said last
REMEDY = "Upgrade or uninstall it, or leave it out with CTXPLUG_PLUGINS, which names those to load."


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a process that was asked came to: its answer, or why there is none."""

    answer: Any = None
    fault: str = ""
    detail: str = ""


def plugins(seconds: float, environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Look at each plugin that is chosen, then at all of them together."""
    environ = os.environ if environ is None else environ
    points = Counter(point.name for point in entry_points(group=GROUP))
    given = environ.get("CTXPLUG_PLUGINS")
    names = (
        sorted(points) if given is None else sorted({n.strip() for n in given.split(",")} - {""})
    )
    for name in sorted(set(names) - set(points)):
        said = f"CTXPLUG_PLUGINS names {name!r}, which is not installed."
        yield warning("plugins", said, "Install it, or take it out of CTXPLUG_PLUGINS.")
    if left := sorted(set(points) - set(names)):
        yield ok(
            "plugins", f"Not loaded, as CTXPLUG_PLUGINS does not name them: {', '.join(left)}."
        )
    chosen = [name for name in names if name in points]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda name: ask(_asked(name), seconds, environ), chosen))
    sound: list[str] = []
    for name, loaded in zip(chosen, answers, strict=True):
        finding = _finding(name, loaded)
        sound += [name] if finding.level == "ok" else []
        yield finding
    yield from _together(sound, seconds, environ)
    if not points:
        yield ok("plugins", "None is installed; the built-in components are always there.")


def ask(arguments: Sequence[str], seconds: float, environ: Mapping[str, str]) -> Loaded:
    """Run Python with `arguments`, and return the JSON that it prints within `seconds`."""
    path = os.pathsep.join(part for part in sys.path if part)
    process = subprocess.Popen(
        [sys.executable, "-P", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return Loaded(fault=f"did not finish within {seconds:g} s")
    if process.returncode:
        return Loaded(fault=_ended(process.returncode), detail=err[-TAIL:])
    try:
        return Loaded(json.loads(out))
    except ValueError:
        return Loaded(fault="ended the process before it was asked", detail=err[-TAIL:])


def _asked(names: str) -> list[str]:
    return ["-m", "ctxplug.doctor.asked", names]


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and all that it began, but for what has left its group."""
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    with suppress(subprocess.TimeoutExpired):  # what left the group may hold on to the pipes
        process.communicate(timeout=END_SECONDS)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()


def _ended(code: int) -> str:
    if code > 0:
        return f"ended the process with exit code {code}"
    return f"ended the process by the signal {signal.Signals(-code).name}"


def _finding(name: str, loaded: Loaded) -> Finding:
    if loaded.answer is None:
        return problem("plugins", f"{name!r} {loaded.fault}.", REMEDY, loaded.detail)
    (told,) = loaded.answer
    named = f"{name} ({told['from']})" if told["from"] else name
    if told["errors"]:
        return problem("plugins", f"{named}: {' '.join(told['errors'])}", REMEDY, told["trace"])
    offers = [f"{kind} {', '.join(names)}" for kind, names in told["components"].items()]
    hooks = [hook for hook in told["hooks"] if not hook.startswith("register_")]
    return ok("plugins", f"{named}: {'; '.join([*offers, *hooks])}.")


def _together(names: list[str], seconds: float, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look whether plugins that are sound alone get into each other's way."""
    if len(names) < 2:
        return
    loaded = ask(_asked(",".join(names)), seconds * 2, environ)
    if loaded.answer is None:
        said = f"Loaded together, {', '.join(names)}: one of them {loaded.fault}."
        yield problem("plugins", said, REMEDY, loaded.detail)
        return
    for told in loaded.answer:
        for error in told["errors"]:
            yield problem("plugins", error, "Uninstall one, or choose with CTXPLUG_PLUGINS.")
