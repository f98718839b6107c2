"""Vectors beyond the laws: other writers of one file, tables of sign codes, bounded memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="vectors need the extra ctxplug[vectors]")

from ctxplug.errors import EmbedderChangedError  # noqa: E402
from ctxplug.storage import Embed, Put, Unembed, Where  # noqa: E402
from ctxplug.storage.sqlite import SqliteBackend  # noqa: E402
from ctxplug.storage.vectors import VectorTable, search, sign_codes  # noqa: E402
from ctxplug.testing.backend_data import NS, memory  # noqa: E402
from ctxplug.testing.backend_vector_data import embed, found  # noqa: E402

DIMENSION = 100


def unit_rows(count: int, seed: int = 0) -> Any:
    """Return rows that lie near a few directions, as embeddings do."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).standard_normal((8, DIMENSION))
    rows = rng.standard_normal((count, 8)) @ directions + rng.standard_normal((count, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def table_of(rows: Any, *, exact_bytes: int) -> VectorTable:
    table = VectorTable(DIMENSION, exact_bytes=exact_bytes)
    for start in range(0, len(rows), 700):
        part = rows[start : start + 700]
        table.add(range(start + 1, start + 1 + len(part)), part)
    return table


def by_hand(rows: Any, query: Any, count: int) -> list[int]:
    return [int(i) + 1 for i in np.argsort(-(rows @ query), kind="stable")[:count]]


# -- tables ------------------------------------------------------------------------------


def test_an_exact_table_finds_the_nearest() -> None:
    rows, queries = unit_rows(3000), unit_rows(5, seed=1)
    table = table_of(rows, exact_bytes=1 << 30)
    assert table.exact
    for query in queries:
        found = table.nearest(query, 10, lambda keys: pytest.fail("nothing is to be fetched"))
        assert [key for key, _ in found] == by_hand(rows, query, 10)


def test_a_large_table_holds_bits_and_scores_exactly() -> None:
    rows, queries = unit_rows(20_000), unit_rows(20, seed=1)
    table = table_of(rows, exact_bytes=1000 * 4 * DIMENSION)
    assert not table.exact
    assert table.nbytes < rows.nbytes / 8
    hits = 0
    for query in queries:
        found = table.nearest(query, 10, lambda keys: (keys, rows[keys - 1]))
        assert [score for _, score in found] == pytest.approx(
            [float(rows[key - 1] @ query) for key, _ in found]
        )
        hits += len({key for key, _ in found} & set(by_hand(rows, query, 10)))
    assert hits >= 0.9 * 10 * len(queries)


@pytest.mark.parametrize("exact_bytes", [1 << 30, 0])
def test_only_allowed_keys_are_found(exact_bytes: int) -> None:
    rows = unit_rows(2000)
    table = table_of(rows, exact_bytes=exact_bytes)
    allowed = np.array([3, 7, 1999, 5000])
    found = table.nearest(rows[6], 10, lambda keys: (keys, rows[keys - 1]), allowed)
    assert {key for key, _ in found} == {3, 7, 1999}
    assert found[0][0] == 7


def test_a_filter_that_few_pass_is_asked_about_all_rows() -> None:
    rows = unit_rows(2000)
    table, query = table_of(rows, exact_bytes=1 << 30), rows[0]
    last = by_hand(rows, query, 2000)[-2:]
    found = search(
        table,
        query,
        5,
        fetch=lambda keys: pytest.fail("nothing is to be fetched"),
        passing=lambda keys: {key for key in keys if key in last},
        every=lambda: last,
    )
    assert [key for key, _ in found] == last


def test_sign_codes_are_one_bit_for_each_dimension() -> None:
    codes = sign_codes(np.array([[1.0] * DIMENSION, [-1.0] * DIMENSION], np.float32))
    assert codes.shape == (2, 2)
    assert np.bitwise_count(codes).sum(axis=0).tolist() == [DIMENSION, 0]


# -- one file, several writers -------------------------------------------------------------

OTHER_PROCESS = """
import sys
from ctxplug.storage import Delete, Embed, Put
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.backend_data import NS, memory
with SqliteBackend(sys.argv[1]) as backend:
    backend.write(Put(memory("theirs"), "word"), Delete(NS, "gone"), Put(memory("new"), "word"))
    backend.write(Embed(NS, "theirs", "model", [0.0, 1.0]))
"""


def nearest(backend: SqliteBackend, vector: list[float], limit: int = 10) -> list[str]:
    hits = backend.search(Where(NS), vector=vector, embedder="model", limit=limit)
    return [hit.record.id for hit in hits]


def test_what_another_process_embeds_replaces_and_deletes_is_seen(tmp_path: Path) -> None:
    with SqliteBackend(tmp_path / "agent.db") as backend:
        for id in ("ours", "gone", "new"):
            backend.write(Put(memory(id), "word"), Embed(NS, id, "model", [1.0, 0.0]))
        assert set(nearest(backend, [1.0, 0.0])) == {"ours", "gone", "new"}
        subprocess.run(
            [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "agent.db")], check=True
        )
        assert nearest(backend, [0.0, 1.0]) == ["theirs", "ours"]
        assert [record.id for record in backend.unembedded(NS, 9)] == ["new"]
        assert backend.check().ok


def test_another_writers_change_of_embedder_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as one, SqliteBackend(path) as two:
        one.write(Put(memory("m"), "word"), Embed(NS, "m", "model", [1.0, 0.0]))
        assert nearest(one, [1.0, 0.0]) == ["m"]
        two.write(Unembed(NS), Embed(NS, "m", "new", [0.0, 1.0]))
        with pytest.raises(EmbedderChangedError):
            nearest(one, [1.0, 0.0])
        hits = one.search(Where(NS), vector=[0.0, 1.0], embedder="new")
        assert [hit.score for hit in hits] == [1.0]


def test_vectors_survive_reopening_and_backup(tmp_path: Path) -> None:
    with SqliteBackend(tmp_path / "agent.db") as backend:
        backend.write(Put(memory("m"), "word"), Embed(NS, "m", "model", [0.6, 0.8]))
        backend.backup(str(tmp_path / "copy.db"))
    for name in ("agent.db", "copy.db"):
        with SqliteBackend(tmp_path / name) as backend:
            assert nearest(backend, [0.0, 1.0]) == ["m"]


def test_an_erased_namespace_leaves_no_vector_in_the_file(tmp_path: Path) -> None:
    vector = np.array([0.123456789, 0.987654321], np.float32)
    with SqliteBackend(tmp_path / "agent.db") as backend:
        backend.write(Put(memory("m"), "word"), Embed(NS, "m", "model", vector))
        backend.erase(NS)
        backend.check()
    assert vector.tobytes() not in (tmp_path / "agent.db").read_bytes()


@pytest.mark.parametrize("exact_bytes", [0, 1 << 30])
def test_a_namespace_of_any_size_agrees_with_plain_numpy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact_bytes: int
) -> None:
    monkeypatch.setattr(VectorTable.__init__, "__kwdefaults__", {"exact_bytes": exact_bytes})
    rows = unit_rows(1500)
    with SqliteBackend(tmp_path / "agent.db", synchronous="normal") as backend:
        ops = [
            Put(memory(f"{i}", kind="even" if i % 2 == 0 else "odd"), "word") for i in range(1500)
        ]
        backend.write(*ops)
        backend.write(*[Embed(NS, f"{i}", "model", row) for i, row in enumerate(rows)])
        for query in unit_rows(3, seed=1):
            expected = [str(key - 1) for key in by_hand(rows, query, 700)]
            hits = backend.search(Where(NS), vector=query, embedder="model", limit=10)
            assert [hit.record.id for hit in hits] == expected[:10]
            odd = backend.search(Where(NS, kinds=["odd"]), vector=query, limit=5)
            assert [h.record.id for h in odd] == [id for id in expected if int(id) % 2][:5]


def test_a_vector_that_is_replaced_meanwhile_is_found(tmp_path: Path) -> None:
    """A search is of one moment: it finds the old vector or the new one, and never none."""
    with SqliteBackend(tmp_path / "agent.db", synchronous="off") as backend:
        backend.write(Put(memory("a"), "x"), Put(memory("b"), "x"))
        backend.write(embed("a", [1.0, 0.0, 0.0]), embed("b", [0.0, 1.0, 0.0]))
        done = threading.Event()

        def replace() -> None:
            while not done.is_set():
                backend.write(embed("a", [1.0, 0.0, 0.0]))

        thread = threading.Thread(target=replace)
        thread.start()
        try:
            for _ in range(400):
                assert set(found(backend, [1.0, 0.0, 0.0], ids=["a", "b"])) == {"a", "b"}
        finally:
            done.set()
            thread.join()
