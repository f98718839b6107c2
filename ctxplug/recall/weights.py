"""RecallWeights: how much each thing counts that speaks for a record."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ctxplug.errors import InvalidValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallWeights:
    """The weights of the parts of a score; `Recalled.why` shows the parts by these names.

    Of the text: `words` (the rarity of the query's words in the record or, less, beside
    it), `topic` (in the talk around it), `answers` (in a question just before it),
    `speaker` (it is by or about a person the query names), `date` (it is of a date the
    query names), `content` (it states something: see `traits`), `fits` (a time for "when",
    a number for "how many", a place for "where"). Of the record, bounded by its weight:
    `importance`, `recency` (halved every `half_life` days), `access`.

    With an embedder, the text's parts together count `keyword` and the similarity of the
    vectors, brought to the spread that these have, counts `semantic`.

    Fitted on the turns of two-person conversations that hold the evidence for questions,
    then rounded. Questions that confuse the two persons do better with less `speaker`.
    """

    words: float = 0.4
    topic: float = 0.7
    answers: float = 0.15
    speaker: float = 2.5
    date: float = 5.0
    content: float = 1.0
    fits: float = 1.0
    importance: float = 1.0
    recency: float = 0.3
    access: float = 0.3
    keyword: float = 0.8
    semantic: float = 0.2
    half_life: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise InvalidValueError(
                    f"The weight {field.name!r} is a number from 0 upwards, not {value!r}.",
                    path=field.name,
                )
        if not self.keyword + self.semantic:
            raise InvalidValueError(
                "One of the weights 'keyword' and 'semantic' is above 0.", path="keyword"
            )
        if not self.half_life:
            raise InvalidValueError("half_life is a number of days above 0.", path="half_life")
