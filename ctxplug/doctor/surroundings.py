"""Surroundings: the text encoding, the token encodings, the settings, and the price file."""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Iterator, Mapping

from ctxplug.doctor.finding import Finding, ok, problem, warning
from ctxplug.errors import CtxplugError
from ctxplug.settings import MEMORY, read

__all__ = ["encodings", "prices", "settings", "text"]

ENCODINGS = ("o200k_base", "cl100k_base")  # those of current OpenAI models, and of their forebears


def text() -> Iterator[Finding]:
    """Look at the encoding of the terminal and of file names."""
    preferred = locale.getpreferredencoding(False)
    shown = getattr(sys.stdout, "encoding", None) or preferred
    names = sys.getfilesystemencoding()
    for what, encoding in (("Output is", shown), ("File names are", names)):
        if encoding.lower().replace("-", "") != "utf8":
            said = f"{what} in {encoding}, which does not have every language."
            yield warning("text", said, "Set LANG=C.UTF-8, or PYTHONUTF8=1.")
            return
    yield ok("text", "Output and file names are in UTF-8.")


def encodings() -> Iterator[Finding]:
    """Look whether tokens can be counted exactly without a network."""
    from ctxplug.tokens.tiktoken_counter import tiktoken_counter

    missing = []
    for name in ENCODINGS:
        try:
            tiktoken_counter(name).count_text("里斯本 Lisbon")
        except CtxplugError:
            missing.append(name)
    if missing:
        yield warning(
            "encodings",
            f"Not on this machine: {' and '.join(missing)}. Tokens are estimated by that, and"
            " windows keep a margin for it.",
            "Once, with a network: TIKTOKEN_CACHE_DIR=FOLDER python -c 'import tiktoken;"
            f' tiktoken.get_encoding("{missing[0]}")\'; then keep TIKTOKEN_CACHE_DIR set.',
        )
    else:
        yield ok("encodings", f"{' and '.join(ENCODINGS)} are on this machine.")


def settings(environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Look at the settings of the commands: those of a server, `ctxplug serve` looks at."""
    environ = os.environ if environ is None else environ
    try:
        found = read(MEMORY, environ=environ)
    except CtxplugError as exc:
        yield problem("settings", str(exc), "Mend it, as docs/configuration.md says.")
        return
    said = ", ".join(
        f"{one.setting.name} ({one.where})"
        for one in found.given.values()
        if one.source != "default"
    )
    file = f"The file is {found.file}. " if found.file else "There is no settings file. "
    yield ok("settings", file + (f"Set: {said}." if said else "All is at its default."))


def prices() -> Iterator[Finding]:
    """Look at the price table, and at the file that is laid over it."""
    from ctxplug.tokens.prices import VARIABLE, Prices

    if not os.environ.get(VARIABLE):
        return
    try:
        Prices()
    except CtxplugError as exc:
        yield problem("prices", str(exc), f"Mend the file that {VARIABLE} names, or unset it.")
    else:
        yield ok("prices", f"The file that {VARIABLE} names can be read.")
