"""Writing a report: what is asked for, collected, put into a page and written in one go."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ctxplug.errors import CannotOpenError, InvalidValueError, NotFoundError
from ctxplug.plugins import installed
from ctxplug.registry import Registry
from ctxplug.scope import Namespace
from ctxplug.storage import Backend
from ctxplug_server.report.collecting import Collected, collect
from ctxplug_server.report.page import page
from ctxplug_server.viewing import Viewing

__all__ = ["Report", "write_report"]

MIB = 2**20
LAST = 12  # sessions
SIZE = 16  # MiB of data


@dataclass(frozen=True, slots=True)
class Report:
    """What was written: the file, its size, how many sessions it shows and what it leaves out."""

    path: Path
    size: int
    sessions: int
    left_out: Sequence[dict[str, Any]]


def write_report(
    backend: Backend,
    path: str | os.PathLike[str],
    *,
    namespaces: Sequence[Namespace] | None = None,
    sessions: Iterable[str] | None = None,
    last: int = LAST,
    lang: Literal["en", "zh"] | None = None,
    title: str = "ctxplug",
    size: float = SIZE,
    progress: Callable[[str], None] = lambda session: None,
) -> Report:
    """Write a report of a store to `path`, and return what is in it; it reads only.

    It shows the `last` sessions of `namespaces` (None: all), or those of `sessions`; `lang` is
    the language it opens in, None: that of the reader. `size` bounds its data, in MiB.
    """
    from ctxplug_server import __version__

    _check(lang, last, size)
    wanted = None if sessions is None else list(sessions)
    chosen = backend.namespaces() if namespaces is None else list(namespaces)
    viewing = Viewing(backend, Registry(installed()))
    try:
        found = collect(
            viewing,
            chosen,
            sessions=wanted,
            last=last,
            size=int(size * MIB),
            progress=progress,
        )
    finally:
        viewing.close()
    _check_found(found, wanted)
    about = {
        "title": title,
        "lang": lang,
        "made_at": datetime.now(UTC).isoformat(),
        "version": __version__,
        "namespaces": found.namespaces,
        "sessions": len(found.shown),
        "left_out": found.left_out,
    }
    text = page(found.packer, about, version=__version__).encode("utf-8")
    _replace(Path(path), text)
    return Report(Path(path), len(text), len(found.shown), tuple(found.left_out))


def _check(lang: str | None, last: int, size: float) -> None:
    if lang not in (None, "en", "zh"):
        raise InvalidValueError(f"A report is in en or zh, not in {lang!r:.20}.", path="lang")
    if last < 1 or not size > 0:
        raise InvalidValueError(
            f"A report has at least one session and some room, not {last!r} and {size!r}.",
            path="last",
        )


def _check_found(found: Collected, wanted: Sequence[str] | None) -> None:
    known = {one["session"] for one in found.shown} | {one.get("session") for one in found.left_out}
    missing = [name for name in wanted or () if name not in known]
    if missing:
        raise NotFoundError(
            f"There is no session {missing[0]!r} there; `ctxplug sessions` lists those there are."
        )


def _replace(path: Path, text: bytes) -> None:
    """Write the file whole or not at all, for its owner alone: it holds what was said."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text)
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as exc:
        raise CannotOpenError(
            f"The report cannot be written to {os.fspath(path)!r}: {exc.strerror}.",
            target=os.fspath(path),
        ) from exc
