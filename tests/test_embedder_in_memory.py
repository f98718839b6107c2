"""A memory with an embedder: recall by meaning, in the background, and what if it fails."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

np = pytest.importorskip("numpy", reason="vectors need the extra ctxplug[vectors]")

from typer.testing import CliRunner  # noqa: E402

from ctxplug import AgentMemory, hookimpl  # noqa: E402
from ctxplug.access.guarding import beneath  # noqa: E402
from ctxplug.cli.app import app  # noqa: E402
from ctxplug.errors import (  # noqa: E402
    EmbedderChangedError,
    InvalidValueError,
    PluginError,
    StorageError,
    UnknownComponentError,
    UnsupportedError,
)
from ctxplug.plugins import Plugins  # noqa: E402
from ctxplug.recall.meaning import without_names  # noqa: E402
from ctxplug.recall.weights import RecallWeights  # noqa: E402
from ctxplug.storage import Backend, Where  # noqa: E402
from ctxplug.storage.in_memory import InMemoryBackend  # noqa: E402

NS = ("home", "ann")
MEANT = RecallWeights(semantic=0.7, keyword=0.3)
TOPICS = (
    ("cat", "kitten", "feline", "pet", "猫", "宠物"),
    ("money", "revenue", "sales", "profit", "收入", "销售"),
    ("sea", "ocean", "beach", "sailing", "海", "航海"),
)


class Topics:
    """Knows which words mean the same; every other word pulls to an axis of its own."""

    def __init__(self, name: str = "topics", dimension: int = 16) -> None:
        self.name = name
        self.dimension = dimension
        self.fault: Exception | None = None
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        if self.fault is not None:
            raise self.fault
        self.asked += texts
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for axis, words in enumerate(TOPICS):
                row[axis] = sum(text.lower().count(word) for word in words)
            row[len(TOPICS) + len(text) % 5] += 0.1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def opened(target: Any = "memory:", embedder: Any = None, **options: Any) -> AgentMemory:
    options = {"namespace": NS, "session": "s", "budget": 2_000, **options}
    return AgentMemory.open(target, embedder=embedder, **options)


def apart(memory: AgentMemory, *texts: str) -> None:
    """Remember texts: unlike messages, memories are nobody's neighbours."""
    for text in texts:
        memory.remember(text)


def contents(memory: AgentMemory, query: str, **options: Any) -> list[str]:
    return [one.record.content for one in memory.recall(query, **options)]


@pytest.fixture(params=["memory", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "sqlite":
        yield tmp_path / "agent.db"
    else:
        with InMemoryBackend() as backend:
            yield backend


# -- by meaning ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("What does the feline do?", "The kitten sleeps on the sofa."),
        ("宠物在哪里？", "小猫在沙发上睡觉。"),
        ("How did profit develop?", "Revenue grew in March."),
    ],
)
def test_recall_finds_by_meaning_what_shares_no_word(target: Any, query: str, best: str) -> None:
    with opened(target, Topics()) as memory:
        texts = [best, "It rained all day.", "The train was late.", "昨天下雨了。"]
        apart(memory, *texts)
        memory.reindex()
        found = memory.recall(query)
        assert found[0].record.content == best
        assert found[0].why["semantic"] > 0
        assert all("semantic" not in one.why for one in memory.recall(query, weights=_words()))


def _words() -> RecallWeights:
    return RecallWeights(semantic=0.0, keyword=1.0)


def test_the_weights_of_meaning_and_words_can_be_told_apart(target: Any) -> None:
    with opened(target, Topics()) as memory:
        apart(memory, "the zeppelin", "a feline and a kitten", "a zeppelin over the sea")
        apart(memory, *(f"day {i} was quiet" for i in range(8)))
        memory.reindex()
        query = "which zeppelin had a pet cat?"
        assert contents(memory, query, weights=RecallWeights(semantic=0, keyword=1))[0] != (
            "a feline and a kitten"
        )
        only = RecallWeights(semantic=1, keyword=0, recency=0, importance=0)
        found = memory.recall(query, weights=only)
        assert found[0].record.content == "a feline and a kitten"
        assert all(one.why.keys() <= {"semantic"} for one in found)
        mixed = {one.record.content: one.why for one in memory.recall(query, weights=MEANT)}
        plain = {one.record.content: one.why for one in memory.recall(query, weights=_words())}
        words = mixed["the zeppelin"]["words"]
        assert words == pytest.approx(0.3 * plain["the zeppelin"]["words"])


@settings(deadline=None, max_examples=30)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(["cat", "sea", "猫", "Mara", "soon?"]), max_size=5).map(" ".join),
        min_size=1,
        max_size=10,
    ),
    query=st.lists(st.sampled_from(["kitten", "cat", "Mara", "海"]), max_size=4).map(" ".join),
    semantic=st.floats(0, 1),
)
def test_why_sums_to_the_score_with_vectors_too(
    texts: list[str], query: str, semantic: float
) -> None:
    with opened(embedder=Topics()) as memory:
        for i, text in enumerate(texts):
            memory.add("user", text, name="Mara" if i % 2 else None)
        memory.reindex()
        weights = RecallWeights(semantic=semantic, keyword=1.01 - semantic)
        found = memory.recall(query, weights=weights)
    for one in found:
        assert math.isclose(one.score, sum(one.why.values()), abs_tol=1e-9)
    assert [one.score for one in found] == sorted((o.score for o in found), reverse=True)


def test_what_is_said_beside_a_turn_counts_for_its_meaning(target: Any) -> None:
    with opened(target, Topics()) as memory:
        for text in ("Have you got a kitten?", "Miso.", *["hm"] * 6, "Tofu.", *["oh"] * 6):
            memory.add("user", text)
        memory.reindex()
        found = contents(memory, "feline")
        assert found.index("Miso.") < found.index("Tofu.") if "Tofu." in found else "Miso." in found


def test_names_of_speakers_are_left_out_of_what_is_embedded(target: Any) -> None:
    embedder = Topics()
    with opened(target, embedder) as memory:
        memory.add("user", "My kitten sleeps.", name="Mara")
        memory.add("user", "你好", name="王小明")
        memory.reindex()
        _flush(memory)
        embedder.asked.clear()
        memory.recall("What is Mara's feline called?")
        memory.recall("王小明的猫叫什么？")
        memory.recall("Mara")
        assert embedder.asked == ["What is  feline called?", "的猫叫什么？", "Mara"]


@given(st.text(max_size=60), st.sets(st.sampled_from(["mara", "joe", "小明"])))
@settings(deadline=None)
def test_a_query_without_names_is_never_empty(query: str, names: set[str]) -> None:
    rest = without_names(query, names)
    assert len(rest) <= len(query)
    assert rest or not query


def test_both_stores_rank_alike(tmp_path: Path) -> None:
    ranked = []
    for target in ("memory:", tmp_path / "agent.db"):
        with opened(target, Topics()) as memory:
            for i, text in enumerate(["A kitten.", "The sea is calm.", "小猫", "Hm.", "Sales?"]):
                at = datetime(2024, 3, 1 + i, tzinfo=UTC)
                memory.add("user", text, name="Mara" if i % 2 else "Joe", created_at=at)
            memory.reindex()
            since = datetime(2024, 3, 1, tzinfo=UTC)
            found = [memory.recall(q, since=since) for q in ("feline", "Joe's ocean", "收入")]
            ranked.append([[(o.record.id, round(o.score, 4)) for o in each] for each in found])
    assert ranked[0] == ranked[1]
    assert all(ranked[0])


def test_filters_hold_for_what_is_found_by_meaning(target: Any) -> None:
    with opened(target, Topics()) as memory:
        memory.remember("The kitten sleeps.", kind="note", tags=["home"])
        memory.remember("The feline purrs.", kind="fact", tags=["away"])
        memory.reindex()
        assert contents(memory, "pet", kinds="note") == ["The kitten sleeps."]
        assert contents(memory, "pet", tags=["away"]) == ["The feline purrs."]
        assert contents(memory, "pet", kinds="wish") == []
        with opened(memory.backend, Topics(), namespace="home/bob") as other:
            assert contents(other, "pet") == []


# -- in the background ---------------------------------------------------------------------


def test_what_was_just_added_is_found_by_keyword_at_once(target: Any) -> None:
    with opened(target, Topics()) as memory:
        for i in range(20):
            memory.add("user", f"walnut{i} and 核桃")
            assert contents(memory, f"walnut{i}", k=1) == [f"walnut{i} and 核桃"]


def test_what_was_written_without_the_embedder_gets_its_vector(tmp_path: Path) -> None:
    with opened(tmp_path / "agent.db") as memory:
        memory.add("user", "The kitten sleeps.")
        memory.remember("Revenue grew.")
        assert memory.backend.vector_state(NS).pending == 2
        with opened(tmp_path / "agent.db", Topics()) as other:
            other.reindex()
            assert memory.backend.vector_state(NS).pending == 0
            assert "The kitten sleeps." in contents(other, "feline")


def _flush(memory: AgentMemory) -> None:
    """Wait for the background, as whoever uses the queue of this store would."""
    for queue in vars(beneath(memory.backend))["_embedding_queues"].values():
        assert queue.flush(60.0)


def test_adding_wakes_the_embedder(target: Any) -> None:
    with opened(target, Topics()) as memory:
        memory.add("user", "The kitten sleeps.")
        memory.remember("The sea is calm.")
        _flush(memory)
        assert memory.backend.vector_state(NS).pending == 0
        assert memory.backend.vector_state(NS).embedder == "topics"


def test_memories_of_one_store_share_what_makes_vectors(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with opened(path, Topics()) as one, opened(path, Topics(), session="t") as two:
        store = beneath(one.backend)
        assert store is beneath(two.backend)
        assert len(vars(store)["_embedding_queues"]) == 1
        one.close()
        two.add("user", "The kitten sleeps.")
        two.reindex()
        assert contents(two, "feline") == ["The kitten sleeps."]


def test_a_store_opened_for_reading_only_is_searched_by_meaning(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with opened(path, Topics()) as memory:
        apart(memory, "The kitten sleeps.", "It rained.")
        memory.reindex()
        memory.add("user", "no vector yet")
    with opened(f"sqlite:///{path}?mode=ro", Topics()) as memory:
        assert contents(memory, "feline")[0] == "The kitten sleeps."


# -- windows -------------------------------------------------------------------------------


def test_a_window_recalls_by_meaning(target: Any) -> None:
    with opened(target, Topics()) as memory:
        apart(memory, "The kitten is called Miso.")
        apart(memory, *(f"Day {i} was quiet." for i in range(30)))
        memory.reindex()
        memory.add("user", "How is my feline called?")
        window = memory.context(query="How is my feline called?")
        assert "Miso" in window.messages[-1].text
        assert not window.report.notes


# -- another embedder ----------------------------------------------------------------------


def test_a_changed_embedder_is_refused_and_can_be_indexed_anew(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with opened(path, Topics("old", 16)) as memory:
        apart(memory, "The sea.", *(f"kitten {i}" for i in range(149)))
        memory.reindex()
    with pytest.raises(EmbedderChangedError, match="ctxplug reindex") as caught:
        opened(path, Topics("new", 24))
    assert (caught.value.stored, caught.value.given) == ("old", "new")
    with opened(path) as memory:
        steps: list[tuple[int, int]] = []
        assert memory.reindex(Topics("new", 24), lambda *step: steps.append(step)) == 150
        assert steps[-1] == (150, 150)
        assert steps == sorted(steps)
        assert memory.backend.vector_state(NS).embedder == "new"
        assert memory.recall("feline")[0].why["semantic"] > 0
    with opened(path, Topics("new", 24)) as memory:
        assert memory.recall("feline")


def test_vectors_exchanged_by_another_process_degrade_recall_and_say_so(target: Any) -> None:
    with opened(target, Topics("old")) as memory:
        apart(memory, "The kitten sleeps.")
        memory.reindex()
        with opened(memory.backend) as other:
            other.reindex(Topics("new", 24))
        assert contents(memory, "kitten") == ["The kitten sleeps."]
        memory.add("user", "kitten?")
        assert any("'new'" in note for note in memory.context(query="kitten").report.notes)


def test_two_embedders_at_once_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with opened(path, Topics("old")) as memory:
        apart(memory, *(f"kitten {i}" for i in range(200)))  # still being embedded
        with opened(path) as other:
            assert other.reindex(Topics("new", 24)) == 200
        memory.remember("one more")
        state = memory.backend.vector_state(NS)
        assert (state.embedder, state.dimension, state.pending) == ("new", 24, 1)


def test_reindexing_needs_an_embedder() -> None:
    with opened() as memory, pytest.raises(InvalidValueError, match="no embedder"):
        memory.reindex()


def test_the_command_makes_vectors_anew(tmp_path: Path) -> None:
    pytest.importorskip("ctxplug_embeddings")
    pytest.importorskip("wordllama")
    path = tmp_path / "agent.db"
    with opened(path, Topics()) as memory:
        apart(memory, "The kitten sleeps.")
        memory.reindex()
    done = CliRunner().invoke(app, ["reindex", str(path), "--embedder", "wordllama:64"])
    assert (done.exit_code, done.stdout) == (0, "Made 1 vectors by wordllama:64 for home/ann.\n")
    with opened(path, "wordllama:64") as memory:
        assert memory.backend.vector_state(NS).dimension == 64
        assert contents(memory, "Where does the cat nap?") == ["The kitten sleeps."]


# -- what may go wrong ---------------------------------------------------------------------


class Watcher:
    """A plugin that keeps the events."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    def on_event(self, event: Any) -> None:
        self.seen.append(event)


def test_a_failing_embedder_degrades_recall_and_says_so(target: Any) -> None:
    embedder, watcher = Topics(), Watcher()
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(watcher, "watcher")
    with opened(target, embedder, plugins=plugins, counter="estimate") as memory:
        memory.remember("The kitten sleeps.")
        memory.reindex()
        embedder.fault = RuntimeError("out of tokens")
        assert contents(memory, "kitten") == ["The kitten sleeps."]
        assert contents(memory, "kitten") == ["The kitten sleeps."]
        memory.add("user", "Where is the kitten?")
        window = memory.context(query="Where is the kitten?")
        assert "The kitten sleeps." in window.messages[-1].text
        (note,) = window.report.notes
        assert "by keyword alone" in note
        assert "out of tokens" in note
        assert note in str(window.report)
    kinds = [event for event in watcher.seen if event.kind == "recall.degraded"]
    assert [event.data["why"] for event in kinds] == ["raised RuntimeError: out of tokens"]


class Unreachable(InMemoryBackend):
    """A store whose vectors are elsewhere, and that cannot be reached."""

    def search(self, where: Where, **options: Any) -> Any:
        if options.get("vector") is not None:
            raise StorageError("The vectors' server is down.")
        return super().search(where, **options)


def test_vectors_that_cannot_be_reached_degrade_recall_and_say_so() -> None:
    with opened(Unreachable(), Topics()) as memory:
        apart(memory, "The kitten sleeps.")
        assert contents(memory, "kitten") == ["The kitten sleeps."]
        memory.add("user", "kitten?")
        (note,) = memory.context(query="kitten").report.notes
        assert "server is down" in note


class Wordless(InMemoryBackend):
    """A store without vectors."""

    capabilities = InMemoryBackend.capabilities - {"vector"}


@pytest.mark.parametrize(
    ("backend", "embedder", "error"),
    [
        (None, 42, InvalidValueError),
        (None, object(), InvalidValueError),
        (None, "no-such-embedder", UnknownComponentError),
        (Wordless, Topics(), UnsupportedError),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_opened(
    backend: type[Backend] | None, embedder: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        opened(backend() if backend else "memory:", embedder)


def test_reindexing_tells_when_the_embedder_fails() -> None:
    embedder = Topics()
    with opened(embedder=embedder) as memory:
        embedder.fault = RuntimeError("out of tokens")
        memory.remember("The kitten sleeps.")
        with pytest.raises(PluginError, match="out of tokens"):
            memory.reindex()


def test_every_verb_has_its_twin() -> None:
    async def use() -> list[str]:
        async with await AgentMemory.aopen(
            "memory:", namespace=NS, session="s", embedder=Topics()
        ) as memory:
            await memory.aremember("The kitten sleeps.")
            await memory.areindex()
            await memory.aadd("user", "feline?")
            window = await memory.acontext("feline?")
            assert "kitten" in window.messages[-1].text
            return [one.record.content for one in await memory.arecall("feline", weights=MEANT)]

    assert "The kitten sleeps." in asyncio.run(use())


def test_without_an_embedder_numpy_is_not_imported() -> None:
    code = """
import sys
from ctxplug import AgentMemory
with AgentMemory.open("memory:", namespace="n", session="s") as memory:
    memory.add("user", "The kitten sleeps.")
    assert memory.recall("kitten")
    memory.context(query="kitten")
print("numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_nearest_names_what_a_search_by_vector_finds(target: Any) -> None:
    embedder = Topics()
    with opened(target, embedder) as memory:
        apart(memory, "The kitten sleeps.", "The sea is calm.", "Revenue grew.", "A pet 猫.")
        memory.reindex()
        backend, vector = memory.backend, embedder.embed(["feline sales"])[0]
        for where in (Where(NS), Where(NS, ids=[r.id for r in backend.find(Where(NS))[:2]])):
            hits = backend.search(where, vector=vector, embedder="topics", limit=3)
            pairs = backend.nearest(where, vector, embedder="topics", limit=3)
            assert pairs == [(hit.record.id, hit.score) for hit in hits]
            assert len(pairs) == min(3, len(where.ids or range(3)))
        with pytest.raises(EmbedderChangedError):
            backend.nearest(Where(NS), vector, embedder="other")
