"""What a server writes to its log: text for people, or one JSON object to a line.

Neither holds a path, a stack trace or anybody's text; a namespace is told by the id of the key
that opens it.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from ctxplug.errors import InvalidValueError
from ctxplug_server.problems import failed_at

__all__ = ["FORMATS", "LEVELS", "LogSettings", "begin", "fields_of", "log", "requests"]

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
FIELDS = "ctxplug_fields"  # the attribute of a record that holds what `fields_of` was given
log = logging.getLogger("ctxplug.server")
requests = logging.getLogger("ctxplug.server.requests")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How a server logs: the form, the least level, and whether requests have lines."""

    format: str = "text"
    level: str = "warning"
    requests: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (("format", self.format, FORMATS), ("level", self.level, LEVELS)):
            if value not in known:
                raise InvalidValueError(
                    f"The log's {name} is one of {', '.join(known)}, not {value!r}.",
                    path=f"log.{name}",
                )


def fields_of(event: str, **fields: Any) -> Mapping[str, Any]:
    """Return the `extra` of a record: what happened, and facts that a machine may read."""
    return {FIELDS: {"event": event, **fields}}


def begin(settings: LogSettings) -> None:
    """Let this process log as `settings` say; only a program does this, never the library.

    JSON goes to stdout, where containers are read, with Python's warnings in it; text to stderr.
    """
    as_json = settings.format == "json"
    handler = _Current("stdout" if as_json else "stderr")
    handler.setFormatter(_Json() if as_json else _Text())
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    requests.setLevel(logging.INFO if settings.requests else logging.CRITICAL)
    # That it began and ended is told, unless errors alone are wanted.
    log.setLevel(logging.INFO if as_json and settings.level != "error" else logging.NOTSET)
    if as_json:
        warnings.showwarning = _warned


def _warned(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Log a warning of Python's without the path that it came from."""
    log.warning("%s", message, extra=fields_of("warning", category=category.__name__))


class _Current(logging.StreamHandler[TextIO]):
    """Writes to what sys.stdout or sys.stderr is by then, which a test may have put back."""

    def __init__(self, name: str) -> None:
        self._place = name
        super().__init__(getattr(sys, name))

    @property
    def stream(self) -> TextIO:
        """The stream that is written to."""
        found: TextIO = getattr(sys, self._place)
        return found

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        pass


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatException(self, ei: Any) -> str:
        """Say what failed and where in the code, without values."""
        return "" if ei[1] is None else failed_at(ei[1])


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON, ASCII alone: nothing can forge a line."""
        told = dict(getattr(record, FIELDS, {}))
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": told.pop("event", "log"),
            "message": record.getMessage(),
            **told,
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["failed_at"] = failed_at(record.exc_info[1])
        return json.dumps(line, default=str)
