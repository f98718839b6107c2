"""LlamaIndex's way to count tokens, a function from text to a list, and ctxplug's counters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sized
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from ctxplug.tokens import TokenCounter
from ctxplug.tokens.counter import MessageCounter

Tokenizer: TypeAlias = Callable[[str], Sized]

_PROBE = "Tokenization differs: naïve café, 東京 → 你好，世界！ def f(x): return x**2\n\t0123456789"


def counter_of(tokenizer_fn: Tokenizer) -> TokenCounter:
    """Return the counter that counts text by `tokenizer_fn`.

    Its name tells one tokenizer from another, for counts are stored under it.
    """
    named = getattr(tokenizer_fn, "func", tokenizer_fn)  # of a partial
    name = getattr(named, "__qualname__", type(named).__qualname__)
    probe = f"{name} {list(map(str, tokenizer_fn(_PROBE)))}"  # type: ignore[call-overload]
    sign = hashlib.sha256(probe.encode("utf-8", "replace")).hexdigest()[:8]
    return MessageCounter(f"tokenizer_fn:{sign}", partial(_count, tokenizer_fn))


def tokenizer_of(counter: TokenCounter) -> Tokenizer:
    """Return a function whose result is as long as `counter` counts."""
    return lambda text: range(counter.count_text(text))


def _count(tokenizer_fn: Tokenizer, text: str) -> int:
    if "<|" not in text:
        with suppress(ValueError):  # lone surrogates
            return len(tokenizer_fn(text))
    # What looks like a special token is text here, whether the tokenizer refuses or reads it.
    plain = text.encode("utf-8", "replace").decode()
    first, *rest = plain.split("<|")
    return len(tokenizer_fn(first)) + sum(len(tokenizer_fn(f"| {piece}")) for piece in rest)
