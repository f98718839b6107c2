"""CtxplugCompressor: retrieved documents in a budget of tokens, by what the query asks for.

No model is called. Prose competes by sentence, over all documents at once: a sentence counts
for its salience, for how recall ranks it for the query, and for words not said by another.
Documents that are data (JSON, JSON lines, tables) are written shorter and then cut to their
share, as tool results are. Nothing is rephrased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field

from ctxplug import AgentMemory, Message
from ctxplug.compression import salience
from ctxplug.compression.result_values import SEE, exact_value
from ctxplug.compression.selection import Candidate, Chosen, Form, fitted, ranked
from ctxplug.compression.sentences import split
from ctxplug.compression.shape_tool_results import shape
from ctxplug.plugins import Plugins
from ctxplug.recall.weights import RecallWeights
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.tokens import TokenCounter
from langchain_ctxplug.counting import counter_of

__all__ = ["CtxplugCompressor"]

GAP = "[…] "  # stands where sentences were cut
UNASKED = 0.1  # what a sentence is worth that the query does not ask for; the best has 1 more
# Of a document the words count: who said it, when, and what it answers belong to conversations.
WEIGHTS = RecallWeights(
    words=1.0,
    topic=0.1,
    answers=0.0,
    content=0.0,
    fits=0.2,
    importance=0.0,
    recency=0.0,
    access=0.0,
)


class CtxplugCompressor(BaseDocumentCompressor):
    """Cut retrieved documents to `budget` tokens; what fits comes back as it is.

    `model` picks the token counter, by a model's name or chat model; `counter` names or is one.
    Order, ids and metadata are kept. A document that lost something has `metadata
    ["compression"]`: its `place` among those given, `tokens` [before, after], and `cut`, the
    character ranges of the original that are gone (None where data was written anew). What
    was left out whole is in `left_out` of the first, with place, id and tokens.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    budget: int = Field(default=1_000, ge=1)
    model: Any = None
    counter: Any = None

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Return `documents` in at most `budget` tokens together."""
        counter = counter_of(self.model, self.counter)
        sizes = [counter.count_text(document.page_content) for document in documents]
        if sum(sizes) <= self.budget:
            return list(documents)
        texts: dict[int, _Cut] = {}
        for place, document in enumerate(documents):
            share = self.budget * sizes[place] // sum(sizes)
            if _is_data(document.page_content):
                texts[place] = _shaped(document, share, counter)
        prose = [i for i in range(len(documents)) if i not in texts]
        left = self.budget - sum(cut.tokens for cut in texts.values())
        texts |= _extracts({i: documents[i].page_content for i in prose}, query, left, counter)
        return _results(documents, sizes, {i: cut for i, cut in texts.items() if cut.text})


@dataclass(frozen=True, slots=True)
class _Cut:
    """What is left of a document, its tokens, and the ranges that are gone, if known."""

    text: str
    tokens: int
    ranges: tuple[tuple[int, int], ...] | None


def _is_data(text: str) -> bool:
    try:
        exact_value(text)
    except ValueError:
        return False
    return True


def _shaped(document: Document, limit: int, counter: TokenCounter) -> _Cut:
    """Return data written shorter; nothing where even that takes more than `limit`."""
    text = document.page_content
    whole = counter.count_text(text)
    if whole <= limit:
        return _Cut(text, whole, ())
    short = shape(text, limit, counter, document.id or "the source")
    tokens = counter.count_text(short) if short is not None else whole
    says = [row for row in (short or "").splitlines() if not row.startswith(("[...", SEE))]
    return _Cut(short or "", tokens, None) if says and tokens <= limit else _Cut("", 0, None)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence: which document it is of, where it stands there, and its words' values."""

    place: int
    start: int
    text: str
    values: dict[str, float]


def _extracts(
    texts: dict[int, str], query: str, budget: int, counter: TokenCounter
) -> dict[int, _Cut]:
    """Return what is left of each of `texts` when they share `budget` tokens."""
    places = list(texts)
    pieces = _pieces(list(texts.values()), places)
    fit = _relevance(pieces, query, counter)
    candidates = [
        Candidate(
            piece.place,
            (
                Form(
                    piece.text,
                    counter.count_text(piece.text),
                    {word: value * fit[i] for word, value in piece.values.items()},
                ),
            ),
        )
        for i, piece in enumerate(pieces)
    ]

    def written(chosen: Chosen) -> dict[int, _Cut]:
        kept: dict[int, list[_Piece]] = {}
        for i in sorted(chosen):
            kept.setdefault(pieces[i].place, []).append(pieces[i])
        return {place: _joined(texts[place], said, counter) for place, said in kept.items()}

    def measure(chosen: Chosen) -> int:
        return sum(cut.tokens for cut in written(chosen).values())

    chosen = fitted(ranked(candidates, 0), candidates, 0, budget, measure)
    return written(chosen) if chosen else {}


def _pieces(texts: Sequence[str], places: Sequence[int]) -> list[_Piece]:
    """Return the sentences of `texts` that say anything, with where they begin."""
    valued = iter(salience.sentences(texts))
    found = []
    for place, text in zip(places, texts, strict=True):
        start = 0
        for piece in split(text):
            if salience.reading(piece).words:
                found.append(_Piece(place, start, piece, next(valued).values))
            start += len(piece)
    return found


def _relevance(pieces: Sequence[_Piece], query: str, counter: TokenCounter) -> list[float]:
    """Return how well each sentence answers `query`, as recall ranks them among themselves."""
    backend, plugins = InMemoryBackend(), Plugins(load_entry_points=False)
    places: dict[str, int] = {}
    memory = None
    for place in dict.fromkeys(piece.place for piece in pieces):
        memory = AgentMemory.open(
            backend, namespace="documents", session=str(place), counter=counter, plugins=plugins
        )
        said = [(i, piece) for i, piece in enumerate(pieces) if piece.place == place]
        memory.extend([Message("user", piece.text, created_at=0) for _, piece in said])
        places |= {f"{place}@{n}": i for n, (i, _) in enumerate(said, 1)}
    fit = [UNASKED] * len(pieces)
    asked = memory is not None and query.strip()
    found = memory.recall(query, k=len(pieces), weights=WEIGHTS) if memory and asked else []
    best = max((one.score for one in found), default=0.0)
    for one in found:
        if best > 0 and one.record.id in places:  # squared: what stands beside a match fades
            fit[places[one.record.id]] += (max(0.0, one.score) / best) ** 2
    return fit


def _joined(text: str, said: Sequence[_Piece], counter: TokenCounter) -> _Cut:
    """Return the sentences of one document in order, with a mark where others stood."""
    kept = [(piece.start, piece.start + len(piece.text)) for piece in said]
    ends = [(0, 0), *kept, (len(text), len(text))]
    gone = tuple((a, b) for (_, a), (b, _) in pairwise(ends) if text[a:b].strip())
    starts = {b for _, b in gone}
    shown = "".join((GAP if start in starts else "") + text[start:end] for start, end in kept)
    shown = shown.rstrip()
    if gone and gone[-1][1] == len(text):
        shown += " […]"
    return _Cut(shown, counter.count_text(shown), gone)


def _results(
    documents: Sequence[Document], sizes: Sequence[int], cuts: dict[int, _Cut]
) -> list[Document]:
    results = []
    gone = [
        {"place": i, "id": document.id, "tokens": sizes[i]}
        for i, document in enumerate(documents)
        if i not in cuts
    ]
    for place in sorted(cuts):
        document, cut = documents[place], cuts[place]
        note: dict[str, Any] = {}
        if cut.text != document.page_content and cut.ranges != ():
            ranges = None if cut.ranges is None else [list(pair) for pair in cut.ranges]
            note = {"place": place, "tokens": [sizes[place], cut.tokens], "cut": ranges}
        if gone:
            note, gone = {"place": place, **note, "left_out": gone}, []
        if note:
            metadata = {**document.metadata, "compression": note}
            document = Document(page_content=cut.text, metadata=metadata, id=document.id)
        results.append(document)
    return results
