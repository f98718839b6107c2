"""Count with tiktoken, from encoding files that are already on this machine.

tiktoken downloads an encoding that it does not find, without a timeout. Here a cached
file is found and verified first, so that tiktoken never needs the network; without one
the counter is refused with an error that says how to get it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ctxplug.errors import PluginError, UnknownComponentError
from ctxplug.tokens.counter import MessageCounter

if TYPE_CHECKING:
    import tiktoken

_SITE = "https://openaipublic.blob.core.windows.net/encodings/"
_CL100K = ("cl100k_base", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7")
_O200K = ("o200k_base", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d")
_P50K = ("p50k_base", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069")
_R50K = ("r50k_base", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930")
# Encoding -> its file at _SITE and the SHA-256 that tiktoken itself demands of it.
_FILES = {
    "o200k_base": _O200K,
    "o200k_harmony": _O200K,
    "cl100k_base": _CL100K,
    "p50k_base": _P50K,
    "p50k_edit": _P50K,
    "r50k_base": _R50K,
}
_CACHE_VARIABLE = "TIKTOKEN_CACHE_DIR"

# tiktoken's time grows faster than a long run without a boundary, so texts are cut.
PIECE = 8_000
# Places where every encoding begins a new token anyway: cutting there changes no count.
_CUT = re.compile(r"(?<=\S) (?=\S)|(?<=\n)(?=\w)|(?<=[^\W_])(?=[,.;:，。！？；：、])")

_lock = threading.Lock()
_loaded: dict[str, tiktoken.Encoding] = {}


def tiktoken_counter(argument: str = "") -> MessageCounter:
    """Return the counter for a tiktoken encoding; "" is o200k_base.

    Exact for text; in a text of over 8,000 characters without a space or punctuation
    mark, each cut may add a token. Raises UnknownComponentError for an unknown encoding
    and PluginError where tiktoken or a cached encoding file is missing.
    """
    encoding = argument or "o200k_base"
    if encoding not in _FILES:
        raise UnknownComponentError(
            f"There is no tiktoken encoding {argument!r}; the encodings are {', '.join(_FILES)}.",
            kind="token counter",
            name=f"tiktoken:{argument}",
            known=[f"tiktoken:{name}" for name in _FILES],
        )
    return MessageCounter(f"tiktoken:{encoding}", partial(_count, _encoding(encoding)))


def _count(encoding: tiktoken.Encoding, text: str) -> int:
    if len(text) <= PIECE:
        return len(encoding.encode_ordinary(text))
    return sum(len(encoding.encode_ordinary(piece)) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + PIECE
        if end < len(text):
            cut = _CUT.search(text, end - PIECE // 2, end)
            end = cut.start() if cut else end
        yield text[start:end]
        start = end


def _encoding(name: str) -> tiktoken.Encoding:
    """Return the process's one copy of an encoding, from the application's if it has one."""
    with _lock:
        if name not in _loaded:
            _loaded[name] = _load(name)
        return _loaded[name]


def _load(name: str) -> tiktoken.Encoding:
    try:
        import tiktoken
        from tiktoken.registry import ENCODINGS
    except ImportError as exc:
        raise PluginError(
            f"The token counter 'tiktoken:{name}' needs the package tiktoken: pip install"
            " tiktoken, or count with 'estimate'.",
            plugin="ctxplug",
        ) from exc
    if name in ENCODINGS:
        return ENCODINGS[name]
    with _cache_directory(_find(name)):
        return tiktoken.get_encoding(name)


def _find(name: str) -> Path:
    """Return the directory that holds a good copy of the encoding's file."""
    stem, sha256 = _FILES[name]
    url = f"{_SITE}{stem}.tiktoken"
    file = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    searched = list(dict.fromkeys(_directories()))
    for directory in searched:
        if _sha256(directory / file) == sha256:  # tiktoken deletes a file that differs
            return directory
    raise PluginError(
        f"The encoding {name!r} is not on this machine, and ctxplug does not download it."
        f" Searched for a file {file!r} in {', '.join(map(repr, map(str, searched)))}."
        " To cache it, set TIKTOKEN_CACHE_DIR to a folder and, once with a network, call"
        f" tiktoken.get_encoding({name!r}), and keep TIKTOKEN_CACHE_DIR set;"
        " or pip install llama-index-core, which carries cl100k_base and o200k_base; or"
        " count with 'estimate'.",
        plugin="ctxplug",
    )


def _directories() -> Iterator[Path]:
    for variable in (_CACHE_VARIABLE, "DATA_GYM_CACHE_DIR"):
        if os.environ.get(variable):
            yield Path(os.environ[variable])
    yield Path(tempfile.gettempdir(), "data-gym-cache")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    yield Path(cache, "tiktoken")
    yield Path(cache, "data-gym-cache")
    try:
        package = importlib.util.find_spec("llama_index.core")
    except ImportError:  # not installed: the parent package is missing
        return
    for location in (package and package.submodule_search_locations) or ():
        yield Path(location, "_static", "tiktoken_cache")


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # absent or unreadable: the next directory may do
        return None


@contextmanager
def _cache_directory(directory: Path) -> Iterator[None]:
    """Point tiktoken at `directory`; it reads only the environment. Callers hold the lock."""
    before = os.environ.get(_CACHE_VARIABLE)
    os.environ[_CACHE_VARIABLE] = str(directory)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CACHE_VARIABLE]
        else:
            os.environ[_CACHE_VARIABLE] = before
