"""Versions: Python, our distributions and what they need, and SQLite."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from typing import TYPE_CHECKING

from ctxplug.doctor.finding import Finding, ok, problem, warning

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["dependencies", "packages", "python", "sqlite"]

OLDEST_PYTHON = (3, 11)
AUTHOR = "The ctxplug authors"
CORE = "ctxplug"
# Before it, two connections that move the -wal file in while a third commits may damage the file.
SOUND_SQLITE = (3, 51, 3)


def python() -> Iterator[Finding]:
    """Look at the Python that runs."""
    said = f"{platform.python_implementation()} {platform.python_version()} on {sys.platform}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield problem("python", f"{said} is too old.", "Run ctxplug with Python 3.11 or newer.")
    else:
        yield ok("python", f"{said}.")


def packages(found: Iterable[Distribution] | None = None) -> Iterator[Finding]:
    """Look at our distributions: they are of one version."""
    ours = _ours(found)
    core = ours.get(CORE)
    if core is None:
        said = "ctxplug runs from a folder and is not installed, so its plugins are not found."
        yield warning("packages", said, "Install it: pip install ctxplug, or pip install -e .")
    listed = ", ".join(f"{name} {one.version}" for name, one in sorted(ours.items()))
    if len({one.version for one in ours.values()}) > 1:
        wanted = core.version if core is not None else max(one.version for one in ours.values())
        others = " ".join(
            f"{name}=={wanted}" for name, one in ours.items() if one.version != wanted
        )
        yield problem(
            "packages",
            f"Distributions of ctxplug have different versions: {listed}.",
            f"Give all of them one version: pip install {others}",
        )
    elif listed:
        yield ok("packages", f"{listed}.")


def dependencies(found: Iterable[Distribution] | None = None) -> Iterator[Finding]:
    """Look at what our distributions need: it is there, in versions that they take."""
    from packaging.requirements import Requirement

    looks: list[Finding | None] = []
    for name, one in sorted(_ours(found).items()):
        extras = one.metadata.get_all("Provides-Extra") or ()
        for wanted in map(Requirement, one.requires or ()):
            marker = wanted.marker
            if marker is None or marker.evaluate({"extra": ""}):
                looks.append(_fault(name, wanted, extra=False))
            elif any(marker.evaluate({"extra": extra}) for extra in extras):
                looks.append(_fault(name, wanted, extra=True))
    faults = [look for look in looks if look is not None]
    yield from faults
    if not faults:
        yield ok("dependencies", f"{len(looks)} requirements hold.")


def sqlite() -> Iterator[Finding]:
    """Look at the SQLite that stores are written with."""
    import apsw

    named = f"SQLite {apsw.sqlite_lib_version()} (apsw {apsw.apsw_version()})"
    if "ENABLE_FTS5" not in apsw.compile_options:
        yield problem(
            "sqlite",
            f"{named} lacks FTS5, so that nothing can be searched.",
            "Install apsw from its wheel, which has FTS5: pip install --force-reinstall apsw",
        )
    if tuple(map(int, apsw.sqlite_lib_version().split("."))) < SOUND_SQLITE:
        yield problem(
            "sqlite",
            f"{named} may damage a file that several processes write (the WAL-reset fault).",
            'Install a newer one: pip install --upgrade "apsw>=3.51.3"',
        )
    else:
        yield ok("sqlite", f"{named}.")


def _ours(found: Iterable[Distribution] | None) -> dict[str, Distribution]:
    """Return our distributions by name; where one is installed twice, the first is imported."""
    ours: dict[str, Distribution] = {}
    for one in distributions() if found is None else found:
        name = str(one.metadata["Name"])
        if one.metadata.get_all("Author") == [AUTHOR]:
            ours.setdefault(name, one)
    return ours


def _fault(name: str, wanted: Requirement, *, extra: bool) -> Finding | None:
    """Return what is wrong with a requirement of `name`; that of an extra need not be there."""
    spelled = f"{wanted.name}{wanted.specifier}"
    tell = warning if extra else problem
    try:
        there = version(wanted.name)
    except PackageNotFoundError:
        if extra:
            return None
        said = f"{name} needs {spelled}, which is not installed."
        return tell("dependencies", said, f'Install it: pip install "{spelled}"')
    if wanted.specifier.contains(there, prereleases=True):
        return None
    said = f"{name} needs {spelled}, and {there} is installed."
    return tell("dependencies", said, f'Install one that fits: pip install "{spelled}"')
