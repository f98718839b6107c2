"""What is found, and how soon, beside other stores: `python benchmarks/peer_recall.py`.

Every store is given the same texts ("[day month year] speaker: text" for a turn, the text
itself for a memory) and, where it takes vectors, the same vectors: WordLlama's, or hashed runs of
characters where it is not installed. ctxplug is given the same turns as messages. Then all are
asked the same questions, in turn, so that a machine that slows down slows all of them; the time
of a search includes the embedding of its question.

- share: the share of the items with evidence that are among the first ten, mean over questions;
- any: how often at least one of them is;
- processor ms, and x ctxplug: the median processor time of a search, all threads of the process,
  and by ctxplug's without vectors; median ms: its time by the clock, which neighbours lengthen.

Each peer is set up as its documentation does: Chroma with cosine distance and given vectors;
LangGraph's stores with an `index` (dims, embed); LlamaIndex with `VectorStoreIndex` in memory and
with `VectorMemoryBlock` on Chroma, a turn a node; mem0 with `infer=False`, Qdrant in a folder and
an embedder of LangChain's form; rank-bm25 as in its README, lower case and split at spaces.

    python benchmarks/peer_recall.py [--small] [--every N] [--json] [--data DIR]

Who is not installed, or cannot run offline, is named with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean, median
from time import perf_counter, process_time
from typing import Any

from peer_data import (
    START,
    CannotTakePart,
    CharacterNgrams,
    Corpus,
    chinese_corpora,
    english_corpora,
    rotated,
    synthetic_corpus,
)
from recorded_data import data_folder

from ctxplug import AgentMemory
from ctxplug.plugins import installed
from ctxplug.recall.embedder import Embedder, query_rows
from ctxplug.recall.text import index_text, terms
from ctxplug.records import MemoryRecord
from ctxplug.registry import Registry
from ctxplug.storage import Put, Where
from ctxplug.storage.in_memory import InMemoryBackend

TOP = 10
OURS = "ctxplug"

Search = Callable[[str], Sequence[str]]


@dataclass
class Row:
    """One store on one language; shares are 0.0 to 1.0, `x` is by ctxplug without vectors."""

    store: str
    share: float = 0.0
    any: float = 0.0
    median_ms: float = 0.0
    cpu_ms: float = 0.0
    x: float = 0.0
    shares: list[float] = field(default_factory=list, repr=False)
    times: list[float] = field(default_factory=list, repr=False)
    cpu: list[float] = field(default_factory=list, repr=False)

    def finish(self, ours: float) -> dict[str, Any]:
        """Return the means as JSON data, with the processor time by `ours`, milliseconds."""
        self.share = mean(self.shares)
        self.any = mean(float(share > 0) for share in self.shares)
        self.median_ms = median(self.times) * 1e3
        self.cpu_ms = median(self.cpu) * 1e3
        self.x = self.cpu_ms / ours
        return {k: v for k, v in asdict(self).items() if not isinstance(v, list)}


# -- the stores ----------------------------------------------------------------------------


def ours(corpus: Corpus, embedder: Embedder, folder: Path, vectors: bool = False) -> Search:
    """Recall as it comes, with the embedder or without any."""
    embed = embedder if vectors else None
    store = f"sqlite:///{folder / f'ctxplug-{vectors}.db'}?synchronous=normal"
    memory = AgentMemory.open(store, namespace="u", embedder=embed)
    sessions: dict[str, list[Any]] = {}
    ids: dict[str, str] = {}
    for item in corpus.items:
        if item.message is None:
            ids[memory.remember(item.text, kind="event").id] = item.id
        else:
            sessions.setdefault(item.session, []).append(item.message)
    for session, messages in sessions.items():
        memory.beside(session=session).extend(messages)
    if vectors:
        memory.reindex()  # waits for what is made in the background

    def search(query: str) -> list[str]:
        found = (one.record for one in memory.recall(query, k=TOP))
        return [ids.get(record.id) or record.sources[0] for record in found]

    return search


def plain_bm25(corpus: Corpus, embedder: Embedder, folder: Path) -> Search:
    """BM25 over the texts, with ctxplug's words: stems, and pairs of Chinese characters."""
    backend = InMemoryBackend()
    for item in corpus.items:
        record = MemoryRecord(
            namespace=("u",), id=item.id, kind="turn", content=item.text, created_at=START
        )
        backend.write(Put(record, index_text(item.text)))

    def search(query: str) -> list[str]:
        words = list(dict.fromkeys(terms(query)))
        return [hit.record.id for hit in backend.search(Where(("u",)), terms=words, limit=TOP)]

    return search


def rank_bm25(corpus: Corpus, embedder: Embedder, folder: Path) -> Search:
    """The package rank-bm25, as its README splits texts."""
    okapi = _module("rank_bm25").BM25Okapi
    ids = [item.id for item in corpus.items]
    index = okapi([item.text.lower().split(" ") for item in corpus.items])
    return lambda query: index.get_top_n(query.lower().split(" "), ids, n=TOP)


def chroma(corpus: Corpus, embedder: Embedder, folder: Path) -> Search:
    """A Chroma collection with given vectors."""
    collection = _collection(folder / "chroma", "items")
    texts = [item.text for item in corpus.items]
    ids = [item.id for item in corpus.items]
    collection.add(ids=ids, documents=texts, embeddings=embedder.embed(texts))

    def search(query: str) -> list[str]:
        found = collection.query(query_embeddings=query_rows(embedder, query), n_results=TOP)
        return found["ids"][0]

    return search


def langgraph(corpus: Corpus, embedder: Embedder, folder: Path, sqlite: bool = False) -> Search:
    """A LangGraph store with an index."""
    index = {
        "dims": embedder.dimension,
        "embed": lambda texts: embedder.embed(list(texts)).tolist(),
        "fields": ["text"],
    }
    if sqlite:
        connection = sqlite3.connect(
            folder / "langgraph.db", check_same_thread=False, isolation_level=None
        )
        if not hasattr(connection, "enable_load_extension"):
            raise CannotTakePart(
                "it searches by the extension sqlite-vec, and this Python's sqlite3 loads none"
            )
        store = _module("langgraph.store.sqlite").SqliteStore(connection, index=index)
        store.setup()
    else:
        store = _module("langgraph.store.memory").InMemoryStore(index=index)
    ops = _module("langgraph.store.base")
    texts = dict((item.text, item.id) for item in corpus.items)  # two equal ones make it raise
    store.batch([ops.PutOp(("u",), id, {"text": text}) for text, id in texts.items()])
    return lambda query: [hit.key for hit in store.search(("u",), query=query, limit=TOP)]


def llamaindex(corpus: Corpus, embedder: Embedder, folder: Path) -> Search:
    """LlamaIndex's VectorStoreIndex in memory, with a node for each item."""
    core, schema = _module("llama_index.core"), _module("llama_index.core.schema")
    nodes = [schema.TextNode(id_=item.id, text=item.text) for item in corpus.items]
    index = core.VectorStoreIndex(nodes, embed_model=_llamaindex_embedding(embedder))
    retriever = index.as_retriever(similarity_top_k=TOP)
    return lambda query: [hit.node.node_id for hit in retriever.retrieve(query)]


def llamaindex_block(corpus: Corpus, embedder: Embedder, folder: Path) -> Search:
    """LlamaIndex's VectorMemoryBlock on Chroma: each turn is put alone, the text comes back."""
    memory = _module("llama_index.core.memory")
    types = _module("llama_index.core.base.llms.types")
    vector_store = _module("llama_index.vector_stores.chroma", "llama-index-vector-stores-chroma")
    block = memory.VectorMemoryBlock(
        vector_store=vector_store.ChromaVectorStore(_collection(folder / "block", "turns")),
        embed_model=_llamaindex_embedding(embedder),
        similarity_top_k=TOP,
    )
    loop = asyncio.new_event_loop()
    for item in corpus.items:
        loop.run_until_complete(block.aput([types.ChatMessage(role="user", content=item.text)]))
    wrapped = {f"<message role='user'>{item.text}</message>": item.id for item in corpus.items}

    def search(query: str) -> list[str]:
        asked = [types.ChatMessage(role="user", content=query)]
        text = loop.run_until_complete(block.aget(asked))
        return [wrapped[part] for part in text.split("\n\n") if part in wrapped]

    return search


def mem0(corpus: Corpus, embedder: Embedder, folder: Path) -> Search:
    """mem0 without inference: what is added is kept as it is, and no model is called."""
    memory = mem0_memory(embedder, folder)
    ids = {}
    for item in corpus.items:
        added = memory.add(item.text, user_id="u", infer=False)
        ids[added["results"][0]["id"]] = item.id

    def search(query: str) -> list[str]:
        found = memory.search(query, top_k=TOP, filters={"user_id": "u"}, threshold=0.0)
        return [ids[hit["id"]] for hit in found["results"]]

    return search


def mem0_memory(embedder: Embedder, folder: Path) -> Any:
    """Return a mem0 memory that asks no model and no network."""
    os.environ["MEM0_TELEMETRY"] = "False"  # these two are read when it is imported
    os.environ["MEM0_DIR"] = str(folder / "mem0")
    module = _module("mem0")
    logging.getLogger("mem0").setLevel(logging.ERROR)  # what it lacks is said in the table
    places = {"path": str(folder / "qdrant"), "on_disk": True}
    vectors = {**places, "embedding_model_dims": embedder.dimension}
    config = {
        "vector_store": {"provider": "qdrant", "config": vectors},
        "embedder": {"provider": "langchain", "config": {"model": _langchain_embedding(embedder)}},
        "llm": {"provider": "openai", "config": {"api_key": "never used"}},
        "history_db_path": str(folder / "history.db"),
    }
    return module.Memory.from_config(config)


STORES: Mapping[str, Callable[[Corpus, Embedder, Path], Search]] = {
    OURS: ours,
    "ctxplug + vectors": partial(ours, vectors=True),
    "plain BM25": plain_bm25,
    "rank-bm25": rank_bm25,
    "Chroma": chroma,
    "LangGraph InMemoryStore": langgraph,
    "LangGraph SqliteStore": partial(langgraph, sqlite=True),
    "LlamaIndex VectorStoreIndex": llamaindex,
    "LlamaIndex VectorMemoryBlock": llamaindex_block,
    "mem0, infer=False": mem0,
}


def _module(name: str, package: str | None = None) -> Any:
    try:
        return __import__(name, fromlist=["_"])
    except ImportError as error:
        raise CannotTakePart(f"{package or name} is not installed ({error})") from None


def _collection(folder: Path, name: str) -> Any:
    client = _module("chromadb").PersistentClient(
        str(folder), _module("chromadb.config").Settings(anonymized_telemetry=False)
    )
    return client.create_collection(
        name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )


def _llamaindex_embedding(embedder: Embedder) -> Any:
    base = _module("llama_index.core.embeddings").BaseEmbedding

    class Embedding(base):  # type: ignore[misc, valid-type]
        def _get_text_embedding(self, text: str) -> list[float]:
            return embedder.embed([text])[0].tolist()

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return embedder.embed(texts).tolist()

        def _get_query_embedding(self, query: str) -> list[float]:
            return query_rows(embedder, query)[0].tolist()

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

    return Embedding()


def _langchain_embedding(embedder: Embedder) -> Any:
    base = _module("langchain_core.embeddings").Embeddings

    class Embedding(base):  # type: ignore[misc, valid-type]
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return embedder.embed(texts).tolist()

        def embed_query(self, text: str) -> list[float]:
            return query_rows(embedder, text)[0].tolist()

    return Embedding()


# -- measuring -----------------------------------------------------------------------------


def measure(
    corpora: Sequence[Corpus], embedder: Embedder, stores: Sequence[str] = tuple(STORES)
) -> dict[str, Any]:
    """Ask every store every question, and return `rows` and who is `absent`, with the reason."""
    rows = {name: Row(name) for name in stores}
    absent: dict[str, str] = {}
    for corpus in corpora:
        searches: dict[str, Search] = {}
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for name in stores:
                try:
                    searches[name] = STORES[name](corpus, embedder, Path(folder))
                except CannotTakePart as reason:
                    absent[name] = str(reason)
            for search in searches.values():
                search(corpus.questions[0].text)  # what is made at the first question
            for n, question in enumerate(corpus.questions):
                for name in rotated(list(searches), n):
                    began, used = perf_counter(), process_time()
                    found = searches[name](question.text)
                    rows[name].times.append(perf_counter() - began)
                    rows[name].cpu.append(process_time() - used)
                    wanted = set(question.evidence)
                    rows[name].shares.append(len(wanted & set(found[:TOP])) / len(wanted))
    beside = median(rows[OURS].cpu) * 1e3
    taken = [row.finish(beside) for row in rows.values() if row.times]
    return {
        "embedder": embedder.name,
        "items": sum(len(corpus.items) for corpus in corpora),
        "questions": sum(len(corpus.questions) for corpus in corpora),
        "rows": taken,
        "absent": absent,
    }


def run(small: bool, data: str | None, every: int) -> dict[str, Any]:
    """Return the measurements by the name of what is searched."""
    if small:
        few = [name for name in STORES if name not in ("rank-bm25", "mem0, infer=False")]
        few.remove("LlamaIndex VectorMemoryBlock")
        return {"synthetic": measure([synthetic_corpus()], CharacterNgrams(), few)}
    folder = data_folder(data)
    if folder is None:
        return {"skipped": "there are no recorded data; set CTXPLUG_DATA to their folder"}
    try:
        embedder = Registry(installed()).resolve("embedder", "wordllama")
        embedder.embed(["你好"])
    except Exception:  # the plugin or the package is not there
        embedder = CharacterNgrams()
    return {
        "English": measure(english_corpora(folder, every), embedder),
        "Chinese": measure(chinese_corpora(folder), embedder),
    }


def table(result: Mapping[str, Any]) -> str:
    """Return one Markdown table, best share first, and who could not take part."""
    lines = [
        "| store | share @10 | any @10 | processor ms | x ctxplug | median ms |",
        "|---|" + "---:|" * 5,
    ]
    for row in sorted(result["rows"], key=lambda row: -row["share"]):
        lines.append(
            f"| {row['store']} | {row['share']:.1%} | {row['any']:.1%}"
            f" | {row['cpu_ms']:.2f} | {row['x']:.2f} | {row['median_ms']:.2f} |"
        )
    lines += ["", *(f"- {name} took no part: {why}." for name, why in result["absent"].items())]
    return "\n".join(lines).rstrip()


def main() -> None:
    """Measure, and print tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="synthetic data only")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth question")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", help="the folder with locomo-dev and madial-zh-dev")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    result = run(options.small, options.data, options.every)
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
        return
    if "skipped" in result:
        print(f"Skipped: {result['skipped']}.", file=sys.stderr)
        return
    for name, part in result.items():
        print(f"### {name}: {part['items']:,} items, {part['questions']:,} questions,", end=" ")
        print(f"vectors of {part['embedder']}\n\n{table(part)}\n")


if __name__ == "__main__":
    main()
