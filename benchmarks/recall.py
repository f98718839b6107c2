"""Is what answers a question among the first ten? `python benchmarks/recall.py`.

English: each LoCoMo conversation is a namespace; its sessions are sessions, its turns are
added with their speaker and date, and each question goes to `memory.recall`. Reported is the
share of a question's evidence turns in the first 5, 10, 20 and 50 results (the mean over
questions of categories 1 to 4; category 5, which swaps the speakers on purpose, apart), and
the share of the sessions with evidence among the first ten sessions of the ranking ("any": at
least one). `all in one` asks the same with all conversations in one namespace. The weights
were fitted on conversations 26, 41 and 43 and rounded; 30 and 42 were held out.

Chinese: MADial's memories are remembered, and the dialogue before the test turn is the query.
Reported is how often a relevant memory is among the first 5, 10 and 20, and the share of the
relevant ones in the first ten; with a namespace for each user, and with one for both.

`BM25` is the same run with plain BM25 over "[day month year] speaker: text". With --embedder
SPEC (repeatable; anything a plugin registers) vectors are searched alone (as one would plainly:
the whole question against each turn), as a part of recall, as its greater part (0.7 of the
score), and as all of it.

    python benchmarks/recall.py [--embedder SPEC] [--json] [--data DIR]

The data are `locomo-dev/*.json` and `madial-zh-dev/*.jsonl` in the folder CTXPLUG_DATA or
../shared/data beside the checkout.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from recall_data import Conversation, Dialogue, read_conversations, read_dialogues
from recorded_data import data_folder

from ctxplug import AgentMemory
from ctxplug.plugins import installed
from ctxplug.recall.embedder import Embedder, query_rows
from ctxplug.recall.text import index_text, terms
from ctxplug.recall.weights import RecallWeights
from ctxplug.records import MemoryRecord
from ctxplug.registry import Registry
from ctxplug.storage import Backend, Put, Where
from ctxplug.storage.in_memory import InMemoryBackend

NS = ("u",)
TOPS = (5, 10, 20, 50)
FITTED = ("26", "41", "43")
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
SEMANTIC = RecallWeights(semantic=0.7, keyword=0.3)
ONLY = RecallWeights(semantic=1, keyword=0)

Search = Callable[[str, int], Sequence[MemoryRecord]]
Scores = dict[str, list[float]]


def main() -> int:
    """Measure, and print tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the folder with locomo-dev and madial-zh-dev")
    parser.add_argument("--embedder", action="append", default=[], metavar="SPEC")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = data_folder(options.data)
    conversations = read_conversations(data / "locomo-dev") if data else []
    if data is None or not conversations:
        print("There is no LoCoMo conversation; set CTXPLUG_DATA or --data.", file=sys.stderr)
        return 1
    registry = Registry(installed())
    embedders = [registry.resolve("embedder", spec) for spec in options.embedder]
    english = {name: _averages(scores) for name, scores in _english(conversations, embedders)}
    folder = data / "madial-zh-dev"
    chinese = {name: _averages(scores) for name, scores in _chinese(folder, embedders)}
    if options.json:
        print(json.dumps({"english": english, "chinese": chinese}, indent=1, ensure_ascii=False))
        return 0
    _print(english, [f"@{k}" for k in TOPS] + ["sessions", "any session"])
    for part in (*CATEGORIES.values(), "fitted", "held out", "category 5"):
        print(f"\n{part}\n")
        _print(english, [f"{part} @{k}" for k in TOPS])
    print("\nChinese\n")
    _print(chinese, ["any @5", "any @10", "any @20", "share @10"])
    return 0


# -- English -------------------------------------------------------------------------------


def _english(
    conversations: Sequence[Conversation], embedders: Sequence[Embedder]
) -> Iterator[tuple[str, Scores]]:
    yield "BM25", _asked((c, _bm25([c])) for c in conversations)
    yield "recall", _asked((c, _recall([c])) for c in conversations)
    yield "BM25, all in one", _asked((c, s) for s in [_bm25(conversations)] for c in conversations)
    yield (
        "recall, all in one",
        _asked((c, s) for s in [_recall(conversations)] for c in conversations),
    )
    for embedder in embedders:
        memories = [_embedded(c, embedder) for c in conversations]
        name = embedder.name
        for label, search in (
            (name, partial(_nearest, embedder=embedder)),
            (f"recall + {name}", _recalled),
            (f"recall + {name}, 0.7", partial(_recalled, weights=SEMANTIC)),
            (f"recall, {name} only", partial(_recalled, weights=ONLY)),
        ):
            searches = [search(memory) for memory in memories]
            yield label, _asked(zip(conversations, searches, strict=True))


def _asked(searches: Iterable[tuple[Conversation, Search]]) -> Scores:
    scores: Scores = defaultdict(list)
    for conversation, search in searches:
        sessions = {m.id: str(m.metadata["session"]) for m in conversation.messages}
        half = "fitted" if conversation.name in FITTED else "held out"
        for question in conversation.questions:
            found = {k: [r.sources[0] for r in search(question.text, k)] for k in (10, 50, 1_000)}
            held = [id for id in found[1_000] if id in sessions]
            wanted = {sessions[id] for id in question.evidence}
            first = list(dict.fromkeys(sessions[id] for id in held))[:10]
            if question.category != 5:
                scores["sessions"].append(len(wanted.intersection(first)) / len(wanted))
                scores["any session"].append(float(not wanted.isdisjoint(first)))
            for k in TOPS:
                first_k = found[10 if k <= 10 else 50][:k]
                share = len(set(first_k) & set(question.evidence)) / len(question.evidence)
                if question.category == 5:
                    scores[f"category 5 @{k}"].append(share)
                    continue
                for part in ("", f"{CATEGORIES[question.category]} ", f"{half} "):
                    scores[f"{part}@{k}"].append(share)
    return scores


def _filled(conversations: Sequence[Conversation]) -> Backend:
    backend = InMemoryBackend()
    for conversation in conversations:
        for session, messages in conversation.sessions().items():
            AgentMemory.open(backend, namespace=NS, session=session).extend(messages)
    return backend


def _recall(conversations: Sequence[Conversation]) -> Search:
    return _recalled(AgentMemory.open(_filled(conversations), namespace=NS))


def _recalled(memory: AgentMemory, weights: RecallWeights | None = None) -> Search:
    def search(query: str, k: int) -> list[MemoryRecord]:
        return [one.record for one in memory.recall(query, k=k, weights=weights)]

    return search


def _bm25(conversations: Sequence[Conversation]) -> Search:
    backend = InMemoryBackend()
    for conversation in conversations:
        for message in conversation.messages:
            at = message.created_at
            text = f"[{at.day} {at:%B %Y}] {message.name}: {message.text}"
            record = MemoryRecord(
                namespace=NS, id=message.id, kind="turn", content=text, created_at=at,
                sources=(message.id,),
            )  # fmt: skip
            backend.write(Put(record, index_text(text)))

    def search(query: str, k: int) -> list[MemoryRecord]:
        hits = backend.search(Where(NS), terms=terms(query), limit=k)
        return [hit.record for hit in hits]

    return search


def _embedded(conversation: Conversation, embedder: Embedder) -> AgentMemory:
    memory = AgentMemory.open(_filled([conversation]), namespace=NS, embedder=embedder)
    memory.reindex()  # waits for what is made in the background
    return memory


def _nearest(memory: AgentMemory, embedder: Embedder) -> Search:
    def search(query: str, k: int) -> list[MemoryRecord]:
        vector = query_rows(embedder, query)[0]
        return [hit.record for hit in memory.backend.search(Where(NS), vector=vector, limit=k)]

    return search


# -- Chinese -------------------------------------------------------------------------------


def _chinese(folder: Path, embedders: Sequence[Embedder]) -> Iterator[tuple[str, Scores]]:
    if not folder.is_dir():
        return
    memories, dialogues = read_dialogues(folder)
    for name, of_user in (("a namespace each", True), ("one namespace", False)):
        stores: dict[str, AgentMemory] = {}
        for id, memory in memories.items():
            space = f"u{memory['user-id'] if of_user else ''}"
            store = stores.setdefault(space, AgentMemory.open("memory:", namespace=space))
            store.remember(memory["event"], kind="event", metadata={"id": id})
        spaces = [stores[f"u{dialogue.user if of_user else ''}"] for dialogue in dialogues]
        yield f"BM25, {name}", _fitting(zip(dialogues, map(_bm25_of, spaces), strict=True))
        for embedder in (None, *embedders):
            label = "recall"
            if embedder is not None:
                label = f"recall + {embedder.name}"
                for store in stores.values():
                    store.reindex(embedder)
            searches = zip(dialogues, map(_recalled, spaces), strict=True)
            yield f"{label}, {name}", _fitting(searches)


def _fitting(searches: Iterable[tuple[Dialogue, Search]]) -> Scores:
    scores: Scores = defaultdict(list)
    for dialogue, search in searches:
        found = [record.metadata["id"] for record in search(dialogue.text, 20)]
        relevant = set(dialogue.relevant)
        for k in (5, 10, 20):
            scores[f"any @{k}"].append(float(not relevant.isdisjoint(found[:k])))
        scores["share @10"].append(len(relevant.intersection(found[:10])) / len(relevant))
    return scores


def _bm25_of(memory: AgentMemory) -> Search:
    def search(query: str, k: int) -> list[MemoryRecord]:
        where = Where(memory.scope.namespace)
        hits = memory.backend.search(where, terms=list(dict.fromkeys(terms(query))), limit=k)
        return [hit.record for hit in hits]

    return search


# -- printing ------------------------------------------------------------------------------


def _averages(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: mean(values) for name, values in scores.items()}


def _print(rows: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> None:
    heads = [column.rpartition(" ")[2] if "@" in column else column for column in columns]
    if all(column.startswith(("any @", "share @")) for column in columns):
        heads = list(columns)
    print(f"| method | {' | '.join(heads)} |")
    print("|---|" + "---:|" * len(columns))
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(f'{values[column]:.1%}' for column in columns)} |")


if __name__ == "__main__":
    sys.exit(main())
