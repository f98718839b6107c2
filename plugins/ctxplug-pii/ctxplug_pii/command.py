"""`ctxplug pii`: whether the redactor is on, and what it does to a text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ctxplug.errors import InvalidValueError
from ctxplug_pii import environment


def command() -> Callable[..., None]:
    """Return the command, for `register_commands`."""
    return pii


def pii(
    file: Annotated[
        str | None, typer.Argument(help="Text to redact and print; '-' reads standard input.")
    ] = None,
) -> None:
    """Say whether personal data is redacted, or show what redaction does to a text.

    Example: echo "Call +86 138 0013 8000" | ctxplug pii -
    """
    settings = environment.redactor(os.environ)
    if file is not None:
        sys.stdout.write(settings.clean(_read(file)))
        return
    kinds = ", ".join(settings.kinds)
    if environment.is_on(os.environ):
        print(f"Redaction is on. It takes out: {kinds}.")
    else:
        print(f"Redaction is off. Set {environment.SWITCH}=on to take out: {kinds}.")


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidValueError(f"{file!r} cannot be read as text: {exc}.", path="file") from exc
