"""TextEmbedder: whatever turns texts into lists of numbers, made to obey the law.

Lone surrogates become "?", long texts are cut between characters, blank texts (which many
services refuse) give rows of zeros, and every other row is brought to length 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows: TypeAlias = npt.NDArray[np.float32]

Documents: TypeAlias = Callable[[list[str]], Any]
Query: TypeAlias = Callable[[str], Any]
BATCH = 32
MAX_BYTES = 8_000  # at most that many tokens, for byte-level tokenizers: most take 8,191


class TextEmbedder:
    """An embedder made of a function on texts and, where it differs, one on a question."""

    def __init__(
        self,
        name: str,
        documents: Documents,
        query: Query | None = None,
        *,
        dimension: int | None = None,
        max_bytes: int = MAX_BYTES,
        batch: int = BATCH,
    ) -> None:
        self.name = name
        self._documents = documents
        self._query = query
        self._max_bytes = max_bytes
        self._batch = batch
        if dimension is None:
            dimension = np.asarray(documents(["dimension"])).shape[1]
        self.dimension = dimension

    def embed(self, texts: Sequence[str]) -> Rows:
        """Return one row of length 1, or of zeros for a blank text, for each text."""
        rows = np.zeros((len(texts), self.dimension), np.float32)
        said = [(i, cut(text, self._max_bytes)) for i, text in enumerate(texts) if text.strip()]
        for start in range(0, len(said), self._batch):
            part = said[start : start + self._batch]
            given = np.asarray(self._documents([text for _, text in part]), np.float32)
            rows[[i for i, _ in part]] = unit(given)
        return rows

    def embed_query(self, text: str) -> Rows:
        """Return the row for a question."""
        if self._query is None or not text.strip():
            rows = self.embed([text])
        else:
            rows = unit(np.asarray([self._query(cut(text, self._max_bytes))], np.float32))
        row: Rows = rows[0]
        return row


def cut(text: str, max_bytes: int) -> str:
    """Return `text` as valid Unicode of at most `max_bytes` UTF-8 bytes."""
    encoded = text[:max_bytes].encode("utf-8", "replace")
    return encoded[:max_bytes].decode("utf-8", "ignore")


def unit(rows: Rows) -> Rows:
    """Return `rows` brought to length 1; zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
