"""The law of embedders.

1. `embed(texts)` returns a NumPy array of shape (len(texts), `dimension`), float32, one row
   for each text in order. No texts give an array of no rows.
2. Every row has length 1, except that a text in which the embedder finds nothing (the empty
   one, say) may give a row of zeros, which is near to nothing.
3. It takes any text: of any script and length, with lone surrogates and control characters.
   What is too long is cut by the embedder, not refused.
4. It is deterministic, and a text's row does not depend on its neighbours: a batch gives
   what its texts give one by one, up to rounding.
5. `name` says which vectors can be compared: two embedders of one name and `dimension` give
   the same row for the same text. Whatever changes the rows (model, revision, pooling)
   belongs in it. It is stored with the vectors and is never a secret.
6. An embedder that treats questions otherwise than documents has `embed_query(text)` too,
   which returns one row.
7. It may be called from any thread. What fails raises; ctxplug then searches by keyword.

Importing this needs no NumPy; calling an embedder does (`pip install 'ctxplug[vectors]'`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ctxplug.errors import PluginError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]

TOLERANCE = 1e-3  # of a row's length; a service that rounds to 3 digits is still an embedder


@runtime_checkable
class Embedder(Protocol):
    """What turns texts into vectors; see the law above."""

    @property
    def name(self) -> str:
        """Which vectors can be compared with these."""

    @property
    def dimension(self) -> int:
        """The length of each row."""

    def embed(self, texts: Sequence[str]) -> Rows:
        """Return one row for each text."""


def query_rows(embedder: Embedder, text: str) -> Rows:
    """Return the row for a question as an array of shape (1, dimension), unchecked (rule 6)."""
    import numpy as np

    embed_query = getattr(embedder, "embed_query", None)
    return np.atleast_2d(np.asarray(embed_query(text) if embed_query else embedder.embed([text])))


def checked(rows: Any, count: int, embedder: Embedder) -> Rows:
    """Return `rows` as float32 of length 1, or raise PluginError if they break the law."""
    import numpy as np

    expected = (count, embedder.dimension)
    fault = ""
    if not isinstance(rows, np.ndarray) or rows.dtype.kind != "f":
        fault = f"{type(rows).__name__} instead of a float32 array"
    elif rows.shape != expected:
        fault = f"an array of shape {rows.shape} instead of {expected}"
    elif not np.isfinite(rows).all():
        fault = "NaN or infinity"
    else:
        rows = rows.astype(np.float32, copy=False)
        lengths = np.linalg.norm(rows, axis=1)
        off = ~((np.abs(lengths - 1) < TOLERANCE) | (lengths == 0))
        if off.any():
            fault = f"a row of length {lengths[off][0]:.4g} instead of 1"
    if fault:
        raise PluginError(
            f"The embedder {embedder.name!r} gave {fault}.", plugin=str(embedder.name)
        )
    return rows  # type: ignore[no-any-return]
