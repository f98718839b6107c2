"""WordLlama: static vectors of words, averaged. Its weights are in its wheel: no network.

Words such as "the" and "did" count FUNCTION_WEIGHT as much as others in the average: on
LoCoMo's questions that finds 51.1 % instead of 48.5 % of the evidence turns in the top 10.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctxplug.errors import InvalidValueError
from ctxplug_embeddings.needs import needed
from ctxplug_embeddings.text_embedder import cut, unit

if TYPE_CHECKING:
    import numpy.typing as npt

    from ctxplug_embeddings.text_embedder import Rows

MODEL = "l2_supercat"
DIMENSIONS = (256, 128, 64)
MAX_BYTES = 100_000
FUNCTION_WEIGHT = 0.3
# Part of the embedder's name: whoever changes the words, or their weight, raises it.
POOLING = "f1"
FUNCTION_WORDS = """\
a about after again all also am an and any are as at be because been before
being but by can could did do does doing for from had has have having he her here hers him his
how i if in into is it its just me more most my no nor of off on once only or other our ours
out over own same she should so some such than that the their them then there these they this
those through to too under until up very was we were what when where which while who whom why
will with would you your yours
"""
MARKS = ".,!?'\":;()-"


class WordLlamaEmbedder:
    """WordLlama's vectors, of 256 numbers or their first 128 or 64; English in practice."""

    def __init__(self, dimension: int = DIMENSIONS[0]) -> None:
        if dimension not in DIMENSIONS:
            raise InvalidValueError(
                f"WordLlama has vectors of {', '.join(map(str, DIMENSIONS))} numbers, not of"
                f" {dimension!r}; write 'wordllama' or 'wordllama:128'."
            )
        model = _model()
        self.name = f"wordllama:{MODEL}:{dimension}:{POOLING}"
        self.dimension = dimension
        self._tokenizer = model.tokenizer
        self._table = np.ascontiguousarray(model.embedding[:, :dimension], dtype=np.float32)
        self._weights = _weights(self._tokenizer, len(self._table))

    def embed(self, texts: Sequence[str]) -> Rows:
        """Return one row of length 1 for each text, of zeros for one without words."""
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            # One by one: a batch would pad, and start threads that survive no fork.
            found = self._tokenizer.encode(cut(text, MAX_BYTES), add_special_tokens=False).ids
            ids = np.minimum(np.array(found, np.int64), len(self._table) - 1)
            if text.strip() and len(ids):
                row += self._weights[ids] @ self._table[ids]
        return unit(rows)


def wordllama(argument: str = "") -> WordLlamaEmbedder:
    """Return the embedder for "wordllama" or, with fewer numbers, "wordllama:128"."""
    if not argument:
        return WordLlamaEmbedder()
    return WordLlamaEmbedder(int(argument) if argument.isdecimal() else -1)


@cache
def _model() -> Any:
    with _root_logger_kept():  # importing it configures the root logger
        package = needed("wordllama", "'ctxplug-embeddings[wordllama]'")
    folder = Path(package.__file__).parent
    model = package.WordLlama.load(MODEL, cache_dir=folder, disable_download=True)
    model.tokenizer.no_padding()
    return model


def _weights(tokenizer: Any, size: int) -> npt.NDArray[np.float32]:
    weights = np.ones(size, np.float32)
    forms = [
        form for word in FUNCTION_WORDS.split() for form in (word, word.capitalize(), f" {word}")
    ]
    for form in (*forms, *MARKS, *(f"x{mark}" for mark in MARKS)):
        ids = tokenizer.encode(form, add_special_tokens=False).ids
        if len(ids) == 1 or form[1:] in MARKS:
            weights[ids[-1]] = FUNCTION_WEIGHT
    return weights


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
