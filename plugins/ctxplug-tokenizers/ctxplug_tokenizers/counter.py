"""Count with HuggingFace's `tokenizers`, from a file that is already on this machine."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from ctxplug import Message
from ctxplug.errors import InvalidValueError, PluginError, UnknownComponentError
from ctxplug.tokens import MessageCounter
from ctxplug_tokenizers.framing import TEMPLATES, Framing, measured, recognised

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
OPTIONS = frozenset({"framing", "message", "request"})
EXAMPLE = "'tokenizers:models/qwen3/tokenizer.json'"
_BLANK = Message("user", "")

_lock = threading.Lock()
_made: dict[str, TokenizersCounter] = {}  # by name: one copy of a tokenizer in a process


class TokenizersCounter:
    """Count as the tokenizer of an open model does.

    Text is counted exactly; special tokens in it count as the text they are. A message costs
    `framing.message` more, its tool calls and results what ctxplug's `MessageCounter` says, and
    a request `framing.request` more. Never changes after it is made; usable from any thread.
    """

    estimated = False
    margin = 0.0

    def __init__(self, name: str, tokenizer: Tokenizer, framing: Framing) -> None:
        self.name = name
        self.framing = framing
        self.request_tokens = framing.request
        self._tokenizer = tokenizer
        self._messages = MessageCounter(name, self.count_text)
        self._difference = framing.message - self._messages.count(_BLANK)

    def count(self, message: Message) -> int:
        """Return the tokens of one message, its framing included; sums over messages hold."""
        return self._messages.count(message) + self._difference

    def count_text(self, text: str) -> int:
        """Return the tokens of bare text, without any framing."""
        return _count(self._tokenizer, text)


def tokenizers_counter(argument: str) -> TokenizersCounter:
    """Return the counter for "tokenizers:FILE[?framing=NAME]"; FILE may be its folder.

    Its name holds a hash of the file instead of its path; within a process that name is a spec
    too. Raises UnknownComponentError where there is no file, PluginError for a file that is no
    tokenizer, InvalidValueError for options that make no sense.
    """
    known = _made.get(f"tokenizers:{argument}")
    if known is not None:
        return known
    place, options = _options(argument)
    file = _file(place)
    content = file.read_bytes()
    folder = file.absolute().parent.name if file.name == FILE else file.stem
    digest = hashlib.sha256(content).hexdigest()[:12]
    tokenizer = _tokenizer(content, place)
    framing, label = _framing(tokenizer, options)
    name = f"tokenizers:{folder or 'tokenizer'}:{digest}:{label}"
    with _lock:
        if name not in _made:
            tokenizer.encode_special_tokens = True  # from here on, text is nothing but text
            _made[name] = TokenizersCounter(name, tokenizer, framing)
        return _made[name]


def _options(argument: str) -> tuple[str, dict[str, str]]:
    place, _, query = argument.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    numbers = [options[key] for key in ("message", "request") if key in options]
    sound = len(options) == len(pairs) and not options.keys() - OPTIONS
    if not place or not sound or not all(n.isdecimal() and len(n) < 6 for n in numbers):
        raise InvalidValueError(
            f"'tokenizers:{argument}' names no file, or has options that make no sense; write"
            f" {EXAMPLE}, and at need '?framing=NAME' or '?message=5&request=3' behind it."
        )
    framing = options.get("framing")
    if framing is not None and (framing not in TEMPLATES or len(options) > 1):
        raise InvalidValueError(
            f"'tokenizers:{argument}' asks for a framing that is not known; choose one of"
            f" {', '.join(TEMPLATES)}, or give the numbers alone: '?message=5&request=3'."
        )
    return place, options


def _file(place: str) -> Path:
    path = Path(place).expanduser()
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise UnknownComponentError(
            f"There is no tokenizer file {str(file)!r}, and nothing is downloaded. An open"
            f" model's repository holds it as {FILE!r}: save it, and write {EXAMPLE}.",
            kind="token counter",
            name=f"tokenizers:{place}",
            known=tuple(sorted(_made)),
        )
    return file


def _tokenizer(content: bytes, place: str) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer: Tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as exc:  # the library raises nothing narrower
        raise PluginError(
            f"{place!r} is no file of the tokenizers library ({str(exc)[:200]}). It must be a"
            f" {FILE!r}; files such as 'tokenizer_config.json', 'vocab.json' or 'tokenizer.model'"
            " are something else.",
            plugin="tokenizers",
        ) from exc
    tokenizer.no_truncation()  # a file may ask for both, and a counter wants neither
    tokenizer.no_padding()
    return tokenizer


def _framing(tokenizer: Tokenizer, options: dict[str, str]) -> tuple[Framing, str]:
    """Return the framing, and what to call it in the counter's name."""
    if "message" in options or "request" in options:
        given = {key: int(options[key]) for key in ("message", "request") if key in options}
        framing = Framing(**given)
        return framing, f"{framing.message}+{framing.request}"
    name = options.get("framing") or recognised(tokenizer.get_vocab(with_added_tokens=True))
    if name is None:
        return Framing(), "plain"
    return measured(TEMPLATES[name], lambda text: _count(tokenizer, text)), name


def _count(tokenizer: Tokenizer, text: str) -> int:
    # Lone surrogates have no bytes: they count as the "?" that a client would send.
    clean = text.encode("utf-8", "replace").decode()
    return len(tokenizer.encode(clean, add_special_tokens=False))
