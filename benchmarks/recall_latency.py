"""How long recall takes as a namespace grows: `python benchmarks/recall_latency.py`.

N messages of about 20 words, in sessions of 200, are added to an SQLite store through
`AgentMemory.extend`. Nine in ten are of words drawn from a Zipf distribution over 60,000, the
tenth of two-character Chinese words drawn alike. A query is five words of one message, as
they come: rare and common, as in a question. Its answer is that message; the share of
queries that find it among the first ten is printed beside the times, so that speed is not
bought with blindness. One core is used if the system lets a process be bound to one.

Chroma, where it is installed, holds the same texts under random unit vectors of 64
dimensions and is asked for the ten nearest: it makes no vectors of its own here, which
would take it longer still.

`add` is measured apart: single durable adds, each waiting for its commit, with the index and
without it, in turns.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from ctxplug import AgentMemory, Message
from ctxplug.recall.indexing import index_form
from ctxplug.sessions.log import SessionLog
from ctxplug.storage import Stream
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.tokens.estimate import estimate

SIZES = (10_000, 100_000)
SESSION = 200
VOCABULARY = 60_000
DIMENSION = 64
START = datetime(2026, 3, 9, tzinfo=UTC)
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "ar", "en")]
HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 1_200)]


@dataclass(frozen=True)
class Row:
    """One size of one store: messages a second, milliseconds, shares and megabytes."""

    store: str
    messages: int
    build_per_second: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    found_at_10: float | None
    rss_mb: int
    disk_mb: int


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--adds", type=int, default=500, help="adds measured with and without")
    parser.add_argument("--dir", default=".", help="a folder on the disk to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    stores: list[Callable[[Path, int, int], Row]] = [ctxplug_row]
    try:
        import chromadb  # noqa: F401

        stores.append(chroma_row)
    except ImportError:
        pass
    rows = []
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        for size, measure in itertools.product(options.sizes, stores):
            inside = Path(folder, f"{measure.__name__}-{size}")
            inside.mkdir()
            with processes.Pool(1) as alone:  # so that the memory it holds is its own
                rows.append(alone.apply(measure, (inside, size, options.queries)))
        adding = add_ratio(Path(folder), options.adds)
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "add": adding}, indent=1))
        return
    print(
        "| store | messages | build /s | p50 ms | p95 ms | p99 ms | found @10 | RSS MB | disk MB |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        found = "-" if row.found_at_10 is None else f"{row.found_at_10:.1%}"
        print(
            f"| {row.store} | {row.messages:,} | {row.build_per_second:,} | {row.p50_ms:.2f}"
            f" | {row.p95_ms:.2f} | {row.p99_ms:.2f} | {found} | {row.rss_mb} | {row.disk_mb} |"
        )
    print(
        f"\nadd with indexing {adding['with_ms']:.2f} ms, without {adding['without_ms']:.2f} ms:"
        f" {adding['ratio']:.2f} times (medians)"
    )


def texts(size: int) -> Iterator[str]:
    """Yield `size` texts, the same for the same `size`."""
    rng = random.Random(size)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(VOCABULARY)]
    pairs = ["".join(rng.choices(HAN, k=2)) for _ in range(VOCABULARY // 4)]
    zipf = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(VOCABULARY)))
    for number in range(size):
        length = max(4, int(rng.lognormvariate(2.9, 0.5)))
        if number % 10 == 9:
            chosen = rng.choices(pairs, cum_weights=zipf[: len(pairs)], k=length)
            yield "，".join("".join(chosen[i : i + 3]) for i in range(0, length, 3))
        else:
            yield " ".join(rng.choices(words, cum_weights=zipf, k=length)) + "."


def messages(size: int) -> Iterator[Message]:
    """Yield the texts as messages of two speakers, a minute apart."""
    for number, text in enumerate(texts(size)):
        at = START + timedelta(minutes=number)
        yield Message(("user", "assistant")[number % 2], text, created_at=at)


def questions(size: int, count: int) -> list[tuple[int, str]]:
    """Return `count` queries with the number of the message that each is of."""
    rng = random.Random(-size)
    wanted = set(rng.sample(range(size), min(size, count)))
    found = []
    for number, text in enumerate(texts(size)):
        if number in wanted:
            words = text.rstrip(".").replace("，", " ").split()
            found.append((number, " ".join(rng.sample(words, min(5, len(words))))))
    rng.shuffle(found)
    return found


def ctxplug_row(folder: Path, size: int, queries: int) -> Row:
    """Fill a store, open it afresh, and recall."""
    path = folder / "memory.db"
    began = perf_counter()
    with closing(SqliteBackend(path)) as backend:
        said = messages(size)
        for number in range(0, size, SESSION):
            session = AgentMemory.open(backend, namespace="u", session=f"s{number}")
            session.extend(itertools.islice(said, SESSION))
    built = perf_counter() - began
    times, hits = [], 0
    with AgentMemory.open(str(path), namespace="u") as memory:
        for number, query in questions(size, queries):
            began = perf_counter()
            found = memory.recall(query)
            times.append(perf_counter() - began)
            wanted = f"s{number - number % SESSION}@{number % SESSION + 1}"
            hits += wanted in [one.record.id for one in found]
    return row("ctxplug", size, built, times, hits / len(times), folder)


def chroma_row(folder: Path, size: int, queries: int) -> Row:
    """Fill a Chroma collection with the texts and given vectors, and query it."""
    import chromadb
    import numpy as np
    from chromadb.config import Settings

    client = chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))
    collection: Any = client.create_collection("texts", embedding_function=None)
    rng = np.random.default_rng(size)
    said = texts(size)
    began = perf_counter()
    for number in range(0, size, 1_000):
        batch = list(itertools.islice(said, 1_000))
        rows = rng.standard_normal((len(batch), DIMENSION), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        ids = [str(number + i) for i in range(len(batch))]
        collection.add(ids=ids, documents=batch, embeddings=rows)
    built = perf_counter() - began
    times = []
    for _ in range(queries):
        vector = rng.standard_normal((1, DIMENSION), dtype=np.float32)
        began = perf_counter()
        collection.query(query_embeddings=vector, n_results=10)
        times.append(perf_counter() - began)
    return row("chroma", size, built, times, None, folder)


def row(
    store: str, size: int, built: float, times: list[float], found: float | None, folder: Path
) -> Row:
    """Return the row of what was measured."""
    cuts = quantiles(times, n=100)
    disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Row(
        store=store,
        messages=size,
        build_per_second=round(size / built),
        p50_ms=median(times) * 1e3,
        p95_ms=cuts[94] * 1e3,
        p99_ms=cuts[98] * 1e3,
        found_at_10=found,
        rss_mb=resident(),
        disk_mb=round(disk / 1e6),
    )


def resident() -> int:
    """Return the megabytes this process holds now, 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


def add_ratio(folder: Path, count: int) -> dict[str, float]:
    """Return the medians of a durable add with and without indexing, and their ratio."""
    said = messages(10_000)
    with closing(SqliteBackend(folder / "add.db")) as backend:
        stream = Stream(("u",), "s")
        log = SessionLog(backend, stream, estimate())
        for _ in range(20):
            backend.write(*map(log.append, itertools.islice(said, 100)))
        spent: dict[bool, list[float]] = {True: [], False: []}
        for number in range(2 * count):
            message, indexed = next(said), number % 2 == 0
            op = log.append(message)
            began = perf_counter()
            if indexed:
                terms, traits = index_form(message.text)
                backend.write(replace(op, terms=terms, traits=traits))
            else:
                backend.write(replace(op, terms=None))
            spent[indexed].append(perf_counter() - began)
    with_ms, without_ms = median(spent[True]) * 1e3, median(spent[False]) * 1e3
    return {"with_ms": with_ms, "without_ms": without_ms, "ratio": with_ms / without_ms}


if __name__ == "__main__":
    main()
