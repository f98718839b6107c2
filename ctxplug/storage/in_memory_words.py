"""The word index of one namespace of the in-memory backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ctxplug.storage.backend import COMMON, Occurrences


class SpaceWords:
    """Which terms stand at which places."""

    def __init__(self) -> None:
        self._others = 0
        self._ids: dict[int, str] = {}
        self._held: dict[str, tuple[int, Counter[str]]] = {}
        self._places: dict[str, dict[int, None]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def put(self, id: str, words: Counter[str], place: int | None) -> None:
        """Index the record `id` at `place`, or, where it is no message, at one of its own."""
        self.drop(id)
        if place is None:
            self._others += 1
            place = -16 * self._others
        self._ids[place] = id
        self._held[id] = place, words
        for word in words:
            self._places.setdefault(word, {})[place] = None

    def drop(self, id: str) -> None:
        """Take the record `id` out, if it is there."""
        place, words = self._held.pop(id, (0, Counter[str]()))
        self._ids.pop(place, None)
        for word in words:
            places = self._places[word]
            del places[place]
            if not places:
                del self._places[word]

    def place(self, id: str) -> int:
        """Return where the record `id` is."""
        return self._held[id][0]

    def ids(self, places: Iterable[int]) -> list[str]:
        """Return the ids of the records at `places`."""
        return [self._ids[place] for place in places if place in self._ids]

    def occurrences(
        self, terms: Sequence[str], limit: int, counts: Callable[[str], bool] | None
    ) -> Occurrences:
        """Return where `terms` occur among records for whose ids `counts` is true."""
        wanted = {part: term for term in terms for part in term.split()}
        held = {part: self._places[part] for part in wanted if part in self._places}
        whole: dict[int, None] = {}
        rest, common = limit, 0
        found: dict[str, Sequence[int]] = {}
        for part in sorted(held, key=lambda part: (len(held[part]), part)):
            places = held[part]
            if len(places) <= rest:
                rest -= len(places)
                whole |= places
                listed = list(places)
            elif common == COMMON:
                break
            else:
                rest, common = 0, common + 1
                listed = [place for place in whole if place in places]
                if not whole:
                    listed = list(places)[-limit:] if limit > 0 else []
                    whole = dict.fromkeys(listed)
            found[wanted[part]] = [p for p in listed if counts is None or counts(self._ids[p])]
        sizes = {wanted[part]: len(places) for part, places in held.items()}
        return Occurrences(len(self._held), sizes, found)
