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
SPEC (repeatable; anything a plugin registers) vectors are searched alone and as a part of
recall.

    python benchmarks/recall.py [--embedder SPEC] [--json] [--data DIR]

The data are `locomo-dev/*.json` and `madial-zh-dev/*.jsonl` in the folder CTXPLUG_DATA or
../shared/data beside the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

from recall_data import Conversation, read_conversations, read_dialogues

from ctxplug import AgentMemory
from ctxplug.plugins import installed
from ctxplug.recall.embedder import Embedder, query_rows
from ctxplug.recall.ranking import recall
from ctxplug.recall.text import index_text, terms
from ctxplug.records import MemoryRecord
from ctxplug.registry import Registry
from ctxplug.storage import Backend, Embed, Put, Where
from ctxplug.storage.in_memory import InMemoryBackend

ROOT = Path(__file__).resolve().parents[1]
NS = ("u",)
TOPS = (5, 10, 20, 50)
FITTED = ("26", "41", "43")
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
NEAREST = 200

Search = Callable[[str, int], Sequence[MemoryRecord]]
Scores = dict[str, list[float]]


def main() -> int:
    """Measure, and print tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the folder with locomo-dev and madial-zh-dev")
    parser.add_argument("--embedder", action="append", default=[], metavar="SPEC")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = options.data or Path(os.environ.get("CTXPLUG_DATA") or ROOT.parent / "shared" / "data")
    conversations = read_conversations(data / "locomo-dev")
    if not conversations:
        print(f"There is no LoCoMo conversation in {data / 'locomo-dev'}.", file=sys.stderr)
        return 1
    registry = Registry(installed())
    embedders = [registry.resolve("embedder", spec) for spec in options.embedder]
    english = {name: _averages(scores) for name, scores in _english(conversations, embedders)}
    chinese = {name: _averages(scores) for name, scores in _chinese(data / "madial-zh-dev")}
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
        searches = [_vectors(c, embedder) for c in conversations]
        name = embedder.name
        yield name, _asked(zip(conversations, [alone for alone, _ in searches], strict=True))
        both = _asked(zip(conversations, [both for _, both in searches], strict=True))
        yield f"recall + {name}", both


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
    memory = AgentMemory.open(_filled(conversations), namespace=NS)
    return lambda query, k: [one.record for one in memory.recall(query, k=k)]


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


def _vectors(conversation: Conversation, embedder: Embedder) -> tuple[Search, Search]:
    """Return a search by vector alone, and recall with vectors as a part of it."""
    backend = _filled([conversation])
    records = backend.find(Where(NS))
    rows = embedder.embed([record.content for record in records])
    backend.write(
        *(Embed(NS, r.id, embedder.name, row) for r, row in zip(records, rows, strict=True))
    )

    def nearest(query: str, k: int) -> Any:
        return backend.search(Where(NS), vector=query_rows(embedder, query)[0], limit=k)

    def alone(query: str, k: int) -> list[MemoryRecord]:
        return [hit.record for hit in nearest(query, k)]

    def both(query: str, k: int) -> list[MemoryRecord]:
        where = Where(NS, now=datetime.now(UTC))
        found = recall(backend, query, where, k, nearest=nearest(query, NEAREST))
        return [one.record for one in found]

    return alone, both


# -- Chinese -------------------------------------------------------------------------------


def _chinese(folder: Path) -> Iterator[tuple[str, Scores]]:
    if not folder.is_dir():
        return
    memories, dialogues = read_dialogues(folder)
    for name, of_user in (("a namespace each", True), ("one namespace", False)):
        stores: dict[str, AgentMemory] = {}
        for id, memory in memories.items():
            space = f"u{memory['user-id'] if of_user else ''}"
            store = stores.setdefault(space, AgentMemory.open("memory:", namespace=space))
            store.remember(memory["event"], kind="event", metadata={"id": id})
        for method in ("BM25", "recall"):
            scores: Scores = defaultdict(list)
            for dialogue in dialogues:
                store = stores[f"u{dialogue.user if of_user else ''}"]
                found = _found(store, dialogue.text, method)
                relevant = set(dialogue.relevant)
                for k in (5, 10, 20):
                    scores[f"any @{k}"].append(float(not relevant.isdisjoint(found[:k])))
                scores["share @10"].append(len(relevant.intersection(found[:10])) / len(relevant))
            yield f"{method}, {name}", scores


def _found(memory: AgentMemory, query: str, method: str) -> list[str]:
    if method == "recall":
        return [one.record.metadata["id"] for one in memory.recall(query, k=20)]
    where = Where(memory.scope.namespace)
    hits = memory.backend.search(where, terms=list(dict.fromkeys(terms(query))), limit=20)
    return [hit.record.metadata["id"] for hit in hits]


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
