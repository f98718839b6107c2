"""Nearest vectors by dot product, in memory, for backends that keep the vectors elsewhere.

Up to EXACT_BYTES a table holds the vectors themselves and is exact. A larger one holds one
bit per dimension (the sign), a 32nd of the memory: those near by Hamming distance are compared
with the query's own numbers, and the best of them are fetched from the store and ordered by
their dot product. Scores are always exact; what may be missed is a neighbour whose signs
differ much (measured: 1 of 300 of the nearest 10 among 100,000 correlated ones). Needs NumPy 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ctxplug.errors import EmbedderChangedError, InvalidValueError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float32]
    Keys: TypeAlias = npt.NDArray[np.int64]
    Codes: TypeAlias = npt.NDArray[np.uint64]

CAPABILITY: frozenset[str] = frozenset({"vector"} if find_spec("numpy") else ())
EXACT_BYTES = 32 * 2**20
RESCORED = 600  # at least; 8 for each neighbour wanted
SIEVED = 8  # times as many are compared with the query's own numbers first
FIRST_LOOK = 32  # neighbours looked at beyond twice the limit before every row is filtered
_BLOCK = 1 << 16

Scored: TypeAlias = list[tuple[int, float]]
Fetch: TypeAlias = "Callable[[Keys], tuple[Keys, Floats]]"
Passing: TypeAlias = "Callable[[list[int]], set[int]]"


def to_vector(vector: Any) -> Floats:
    """Return `vector` as float32; raise InvalidValueError if it is no list of finite numbers."""
    import numpy as np

    try:
        row = np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError) as exc:
        raise InvalidValueError(f"A vector is a list of numbers, not {vector!r:.60}.") from exc
    if row.ndim != 1 or not row.size:
        raise InvalidValueError(f"A vector has one dimension, not the shape {row.shape!r}.")
    if not np.isfinite(row).all():
        raise InvalidValueError("A vector holds NaN or infinity; its embedder is at fault.")
    return row


def require_same(
    stored: str | None, dimension: int, given: str | None, vector: Floats, *, target: str = ""
) -> None:
    """Raise EmbedderChangedError unless `vector` of `given` fits what is stored (rule 10)."""
    if stored is None or (given in (None, stored) and len(vector) == dimension):
        return
    raise EmbedderChangedError(
        f"This namespace holds vectors of {stored!r} with {dimension} dimensions, and these are"
        f" of {given or 'an unnamed embedder'!r} with {len(vector)}. Use the embedder of before,"
        " or re-index, which replaces all vectors.",
        stored=stored,
        given=given or "",
        target=target,
    )


class VectorIndex(Protocol):
    """What finds near vectors: derived from the store, and made anew from it at any time.

    It may hold keys that are gone, and miss a neighbour, but scores are dot products.
    """

    @property
    def dimension(self) -> int:
        """The length of each vector."""

    @property
    def size(self) -> int:
        """How many keys it holds."""

    @property
    def last(self) -> int:
        """The highest key, 0 if there is none."""

    @property
    def nbytes(self) -> int:
        """The bytes of this process's memory that it takes."""

    def add(self, keys: Sequence[int] | Keys, rows: Floats) -> None:
        """Add `rows`, of shape (len(keys), dimension), under ascending `keys`."""

    def nearest(
        self, query: Floats, count: int, fetch: Fetch, allowed: Keys | None = None
    ) -> Scored:
        """Return the `count` keys with the highest dot products, best first, and these.

        `fetch` gives the rows of keys that are in the store; `allowed` limits the search.
        """


class VectorIndexes(Protocol):
    """Where a backend keeps an index for each of its namespaces, by a name that stands for it."""

    def open(self, name: str, dimension: int) -> VectorIndex:
        """Return the index `name`, with what it holds if its dimension is the same."""

    def drop(self, name: str) -> None:
        """Remove the index `name`, if there is one."""


class VectorTables:
    """Indexes in this process's memory."""

    def open(self, name: str, dimension: int) -> VectorTable:
        """Return an empty table."""
        return VectorTable(dimension)

    def drop(self, name: str) -> None:
        """Do nothing: a table goes when nobody holds it."""


class VectorTable:
    """The vectors of one namespace under integer keys, which are added in ascending order.

    Readers may go on while one thread adds. Rows are never taken out: whoever searches
    says which keys still count, and makes a new table when many do not.
    """

    def __init__(self, dimension: int, *, exact_bytes: int = EXACT_BYTES) -> None:
        import numpy as np

        self.dimension = dimension
        self.size = 0
        self._exact_rows = exact_bytes // (4 * dimension)
        self._words = -(-dimension // 64)
        self._keys: Keys = np.empty(0, np.int64)
        self._rows: Floats | None = np.empty((0, dimension), np.float32)
        self._codes: Codes | None = None

    @property
    def last(self) -> int:
        """The highest key, 0 if there is none."""
        return int(self._keys[self.size - 1]) if self.size else 0

    @property
    def exact(self) -> bool:
        """Whether the vectors themselves are held, so that nothing is fetched."""
        return self._rows is not None

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return sum(a.nbytes for a in (self._keys, self._rows, self._codes) if a is not None)

    def add(self, keys: Sequence[int] | Keys, rows: Floats) -> None:
        """Add `rows`, of shape (len(keys), dimension), under ascending `keys`."""
        import numpy as np

        end = self.size + len(keys)
        self._keys = _room(self._keys, self.size, end, axis=0)
        self._keys[self.size : end] = np.asarray(keys, np.int64)
        if self._rows is not None and end > self._exact_rows:
            self._codes = sign_codes(self._rows[: self.size])
            self._rows = None
        if self._rows is not None:
            self._rows = _room(self._rows, self.size, end, axis=0)
            self._rows[self.size : end] = rows
        elif self._codes is not None:
            self._codes = _room(self._codes, self.size, end, axis=1)
            self._codes[:, self.size : end] = sign_codes(rows)
        self.size = end

    def nearest(
        self, query: Floats, count: int, fetch: Fetch, allowed: Keys | None = None
    ) -> Scored:
        """Return the `count` keys with the highest dot products, best first, and these.

        `fetch` gives the rows of keys that are not held here; `allowed` limits the search.
        """
        import numpy as np

        size, keys, rows, codes = self.size, self._keys, self._rows, self._codes
        keys = keys[:size]
        places = None if allowed is None else _places(keys, allowed)
        if rows is not None:
            chosen = rows[:size] if places is None else rows[places]
            kept = keys if places is None else keys[places]
        elif codes is not None:
            chosen_codes = codes[:, :size] if places is None else codes[:, places]
            near = _nearest_codes(chosen_codes, query, SIEVED * max(RESCORED, 8 * count))
            near = _sieved(chosen_codes, query, near, max(RESCORED, 8 * count))
            kept, chosen = fetch(keys[near] if places is None else keys[places[near]])
        scores = chosen @ query
        if len(scores) > count:
            best = np.argpartition(-scores, count - 1)[:count] if count else np.empty(0, int)
            kept, scores = kept[best], scores[best]
        order = np.lexsort((-kept, -scores))  # equal ones: the newest first
        return [(int(kept[i]), float(scores[i])) for i in order]


def search(
    table: VectorIndex,
    query: Floats,
    limit: int,
    *,
    fetch: Fetch,
    passing: Passing | None,
    every: Callable[[], Sequence[int]],
) -> Scored:
    """Return the `limit` nearest rows that count, best first.

    `passing` says which of some keys count; `every` gives all that do. Filters that let
    most rows pass are asked about the nearest few; if too few of these pass (or `passing`
    is None, because few will), the rows are filtered first.
    """
    import numpy as np

    if limit <= 0 or not table.size:
        return []
    if passing is not None:
        look = 2 * limit + FIRST_LOOK
        near = table.nearest(query, look, fetch)
        counting = passing([key for key, _ in near])
        found = [(key, score) for key, score in near if key in counting]
        if len(found) >= limit or len(near) >= table.size:
            return found[:limit]
    allowed = np.sort(np.asarray(every(), dtype=np.int64))
    return table.nearest(query, limit, fetch, allowed)


def sign_codes(rows: Floats) -> Codes:
    """Return the signs of `rows` (n, d) as bits, of shape (ceil(d / 64), n)."""
    import numpy as np

    words = -(-rows.shape[1] // 64)
    bits = np.zeros((len(rows), 8 * words), np.uint8)
    packed = np.packbits(rows > 0, axis=1)
    bits[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(bits.view(np.uint64).T)


def _nearest_codes(codes: Codes, query: Floats, count: int) -> npt.NDArray[np.intp]:
    """Return the places of the `count` codes of least Hamming distance, and of ties."""
    import numpy as np

    wanted = sign_codes(query[None, :])[:, 0]
    distances = np.empty(codes.shape[1], np.uint16)
    for start in range(0, codes.shape[1], _BLOCK):
        block = codes[:, start : start + _BLOCK]
        total = np.bitwise_count(block[0] ^ wanted[0]).astype(np.uint16)
        for word in range(1, len(wanted)):
            total += np.bitwise_count(block[word] ^ wanted[word])
        distances[start : start + _BLOCK] = total
    if len(distances) <= count:
        return np.arange(len(distances))
    radius = int(np.searchsorted(np.cumsum(np.bincount(distances)), count))
    near = np.flatnonzero(distances <= radius)
    if len(near) > 2 * count:  # many ties at the rim
        near = near[np.argsort(distances[near], kind="stable")[: 2 * count]]
    return near


def _sieved(
    codes: Codes, query: Floats, near: npt.NDArray[np.intp], count: int
) -> npt.NDArray[np.intp]:
    """Return those `count` of `near` whose signs fit the query's own numbers best."""
    import numpy as np

    if len(near) <= count:
        return near
    packed = np.ascontiguousarray(codes[:, near].T).view(np.uint8)
    signs = np.unpackbits(packed, axis=1, count=len(query)).astype(np.float32)
    best: npt.NDArray[np.intp] = near[np.argpartition(-(signs @ query), count)[:count]]
    return best


def _places(keys: Keys, allowed: Keys) -> npt.NDArray[np.intp]:
    """Return where those of `allowed` that are among the sorted `keys` stand."""
    import numpy as np

    allowed = allowed[allowed <= keys[-1]]
    places = np.searchsorted(keys, allowed)
    present: npt.NDArray[np.intp] = places[keys[places] == allowed]
    return present


def _room(array: Any, used: int, needed: int, *, axis: int) -> Any:
    """Return `array` or a larger copy of its used part, with room for `needed` along `axis`."""
    import numpy as np

    if needed <= array.shape[axis]:
        return array
    shape = list(array.shape)
    shape[axis] = max(needed, used + used // 2, 64)
    larger = np.empty(shape, array.dtype)
    part = tuple(slice(0, used) if a == axis else slice(None) for a in range(array.ndim))
    larger[part] = array[part]
    return larger
