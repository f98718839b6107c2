"""Vectors are made in the background, by one embedder, and its failure stays its own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="vectors need the extra ctxplug[vectors]")

from ctxplug.errors import EmbedderChangedError, PluginError  # noqa: E402
from ctxplug.recall import Embedder  # noqa: E402
from ctxplug.recall.embedding_queue import EmbeddingQueue, queue_of  # noqa: E402
from ctxplug.recall.guarded_embedder import GuardedEmbedder  # noqa: E402
from ctxplug.storage import Backend, Put, VectorState, Where  # noqa: E402
from ctxplug.storage.in_memory import InMemoryBackend  # noqa: E402
from ctxplug.storage.sqlite import SqliteBackend  # noqa: E402
from ctxplug.testing.backend_data import NS, memory, said  # noqa: E402
from ctxplug.testing.embedder_suite import EmbedderSuite  # noqa: E402

OTHER = ("other",)
WAIT = 60.0  # far beyond what is needed: it is never waited out


class Words:
    """Hashed words; real and small. It does what `before` does first."""

    def __init__(self, name: str = "words:16", dimension: int = 16) -> None:
        self.name = name
        self.dimension = dimension
        self.before: Callable[[Sequence[str]], object] = lambda texts: None
        self.batches: list[int] = []

    def embed(self, texts: Sequence[str]) -> Any:
        self.before(texts)
        self.batches.append(len(texts))
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
                row[digest[0] % self.dimension] += 1 if digest[1] % 2 else -1
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths, lengths, 1)


class TestWords(EmbedderSuite):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return Words()


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made: Backend = InMemoryBackend()
    if request.param == "sqlite":
        made = SqliteBackend(tmp_path / "agent.db", synchronous="normal")
    with made:
        yield made


def nearest(backend: Backend, queue: EmbeddingQueue, text: str) -> list[str]:
    query = queue.query(text)
    assert query is not None
    hits = backend.search(Where(NS), vector=query, embedder=queue.embedder.name, limit=1)
    return [hit.record.id for hit in hits]


def fill(backend: Backend, count: int = 10) -> None:
    backend.write(*[Put(memory(f"{i}", f"note number{i}"), "note") for i in range(count)])


# -- in the background ---------------------------------------------------------------------


def test_what_waits_gets_its_vector_in_batches(backend: Backend) -> None:
    embedder = Words()
    queue = EmbeddingQueue(backend, embedder, batch=4)
    fill(backend)
    backend.write(said("Lisbon is warm", "lisbon warm"))
    queue.notify(NS)
    assert queue.flush(WAIT)
    assert backend.vector_state(NS) == VectorState("words:16", 16, 0)
    assert embedder.batches == [4, 4, 3]
    assert nearest(backend, queue, "warm lisbon is") == ["trip@1"]
    queue.close()


def test_a_writer_never_waits_for_the_embedder(backend: Backend) -> None:
    go, embedder = threading.Event(), Words()
    embedder.before = lambda texts: go.wait(WAIT)
    queue = EmbeddingQueue(backend, embedder)
    fill(backend, 1)
    queue.notify(NS)
    backend.write(Put(memory("later", "found by keyword"), "keyword"))
    queue.notify(NS)
    assert not queue.flush(0.01)
    assert backend.vector_state(NS).pending == 2
    assert len(backend.search(Where(NS), terms=["keyword"])) == 1
    go.set()
    assert queue.flush(WAIT)
    assert backend.vector_state(NS).pending == 0
    queue.close()


def test_what_an_ended_process_left_is_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as before:
        fill(before)
    with SqliteBackend(path) as backend:
        queue = EmbeddingQueue(backend, Words())
        queue.notify(NS)
        assert queue.flush(WAIT)
        assert nearest(backend, queue, "number7") == ["7"]


def test_each_namespace_gets_its_turn(backend: Backend) -> None:
    turns: list[str] = []
    embedder = Words()
    embedder.before = lambda texts: turns.append(texts[0][0])
    queue = EmbeddingQueue(backend, embedder, batch=2)
    for label in ("a", "b"):
        space = (label,)
        backend.write(*[Put(memory(f"{i}", label, namespace=space), "w") for i in range(4)])
    embedder.before = lambda texts: (turns.append(texts[0]), queue.notify(("b",)))
    queue.notify(("a",))
    assert queue.flush(WAIT)
    assert turns == ["a", "b", "a", "b"]
    queue.close()


def test_a_record_that_changes_meanwhile_gets_the_vector_of_what_it_holds(
    backend: Backend,
) -> None:
    embedder = Words()
    queue = EmbeddingQueue(backend, embedder)

    def change(texts: Sequence[str]) -> None:
        embedder.before = lambda texts: None
        backend.write(Put(memory("m", "porto"), "porto"))

    backend.write(Put(memory("m", "lisbon"), "lisbon"))
    embedder.before = change
    queue.notify(NS)
    assert queue.flush(WAIT)
    query = queue.query("porto")
    hits = backend.search(Where(NS), vector=query, embedder="words:16")
    assert [(hit.record.content, hit.score) for hit in hits] == [("porto", pytest.approx(1.0))]
    queue.close()


def test_memories_of_one_backend_share_a_queue(backend: Backend) -> None:
    assert queue_of(backend, Words()) is queue_of(backend, Words())
    assert queue_of(backend, Words()) is not queue_of(backend, Words("other:16"))


# -- an embedder that fails ------------------------------------------------------------------


def test_an_embedder_that_raises_leaves_records_waiting_and_says_why(backend: Backend) -> None:
    embedder = Words()
    embedder.before = lambda texts: 1 / 0
    queue = EmbeddingQueue(backend, GuardedEmbedder(embedder, pause_seconds=0.0))
    fill(backend)
    queue.notify(NS)
    assert queue.flush(WAIT) is False
    assert "ZeroDivisionError" in (queue.failure or "")
    assert queue.query("note") is None
    assert backend.vector_state(NS).pending == 10
    embedder.before = lambda texts: None
    assert queue.query("note") is not None  # and with it, work goes on
    assert queue.flush(WAIT)
    assert queue.failure is None
    assert backend.vector_state(NS).pending == 0
    queue.close()


def test_an_embedder_that_hangs_is_left_behind(backend: Backend) -> None:
    go, embedder = threading.Event(), Words()
    embedder.before = lambda texts: go.wait(WAIT)
    guarded = GuardedEmbedder(embedder, query_seconds=0.02, batch_seconds=0.02)
    queue = EmbeddingQueue(backend, guarded)
    fill(backend, 2)
    queue.notify(NS)
    assert queue.flush(WAIT) is False
    assert "no answer within 0.02 s" in (queue.failure or "")
    assert guarded.paused
    assert queue.query("not even asked") is None
    with pytest.raises(PluginError, match="not asked again"):
        queue.fill(NS)
    go.set()
    guarded.try_again()
    relaxed = EmbeddingQueue(backend, Words())
    assert relaxed.fill(NS) == 2


def test_a_failed_embedder_is_asked_again_after_a_pause() -> None:
    now, embedder = [0.0], Words()
    guarded = GuardedEmbedder(embedder, pause_seconds=30.0, clock=lambda: now[0])
    embedder.before = lambda texts: 1 / 0
    assert guarded.query("x") is None
    embedder.before = lambda texts: None
    assert guarded.query("x") is None
    now[0] = 31.0
    assert guarded.query("x") is not None
    assert guarded.failure is None


@pytest.mark.parametrize(
    "answer",
    [
        lambda n: None,
        lambda n: [[1.0] + [0.0] * 15] * n,
        lambda n: np.ones((n, 16), np.float32),
        lambda n: np.eye(16, dtype=np.float32)[:n, :8],
        lambda n: np.eye(16, dtype=np.float32)[: n + 1],
        lambda n: np.full((n, 16), np.nan, np.float32),
        lambda n: np.eye(16, dtype=np.int64)[:n],
    ],
    ids=["None", "lists", "too long", "narrow", "too many", "NaN", "integers"],
)
def test_garbage_is_a_failure_and_never_stored(answer: Callable[[int], Any]) -> None:
    class Garbage(Words):
        def embed(self, texts: Sequence[str]) -> Any:
            return answer(len(texts))

    backend = InMemoryBackend()
    queue = EmbeddingQueue(backend, Garbage())
    fill(backend, 2)
    queue.notify(NS)
    assert queue.flush(WAIT) is False
    assert queue.failure
    assert queue.query("x") is None
    assert backend.vector_state(NS) == VectorState(None, 0, 2)
    queue.close()


def test_one_text_that_cannot_be_embedded_does_not_hold_up_the_others(backend: Backend) -> None:
    embedder = Words()

    def choke(texts: Sequence[str]) -> None:
        if any("number3" in text for text in texts):
            raise ValueError("too spicy")

    embedder.before = choke
    queue = EmbeddingQueue(backend, GuardedEmbedder(embedder, pause_seconds=0.0))
    fill(backend)
    queue.notify(NS)
    assert queue.flush(WAIT)
    assert backend.vector_state(NS).pending == 0
    assert nearest(backend, queue, "number7") == ["7"]
    backend.write(Put(memory("only", "number3"), "note"))
    queue.notify(NS)
    assert queue.flush(WAIT)
    assert backend.vector_state(NS).pending == 0
    queue.close()


# -- a change of embedder --------------------------------------------------------------------


def test_a_change_of_embedder_is_detected_and_reindexed(backend: Backend) -> None:
    fill(backend)
    backend.write(Put(memory("m", "elsewhere", namespace=OTHER), "elsewhere"))
    old, new = EmbeddingQueue(backend, Words()), EmbeddingQueue(backend, Words("new:8", 8), batch=4)
    assert (old.fill(NS), old.fill(OTHER)) == (10, 1)
    with pytest.raises(EmbedderChangedError) as caught:
        new.require_same(NS)
    assert (caught.value.stored, caught.value.given) == ("words:16", "new:8")
    backend.write(Put(memory("late", "late"), "late"))
    new.notify(NS)
    assert new.flush(WAIT) is False
    assert "words:16" in (new.failure or "")
    assert new.query("anything") is None
    seen: list[tuple[int, int]] = []
    assert new.reindex(NS, lambda done, total: seen.append((done, total))) == 11
    assert seen == [(4, 11), (8, 11), (11, 11)]
    assert new.failure is None
    assert backend.vector_state(NS) == VectorState("new:8", 8, 0)
    assert backend.vector_state(OTHER) == VectorState("words:16", 16, 0)
    assert nearest(backend, new, "late") == ["late"]
    new.require_same(NS)
    with pytest.raises(EmbedderChangedError):
        old.require_same(NS)
    new.close()


def test_a_reindex_that_breaks_off_goes_on_where_it_was(backend: Backend) -> None:
    fill(backend)
    EmbeddingQueue(backend, Words()).fill(NS)
    embedder = Words("new:8", 8)
    queue = EmbeddingQueue(backend, GuardedEmbedder(embedder, pause_seconds=0.0), batch=4)
    embedder.before = lambda texts: len(embedder.batches) == 1 and 1 / 0
    with pytest.raises(PluginError):
        queue.reindex(NS)
    assert backend.vector_state(NS) == VectorState("new:8", 8, 6)
    embedder.before = lambda texts: None
    assert queue.reindex(NS) == 6
    assert backend.vector_state(NS) == VectorState("new:8", 8, 0)
