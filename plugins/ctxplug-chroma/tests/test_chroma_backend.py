"""The backend law over Chroma, embedded and on a real server on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chromadb
import httpx
import numpy as np
import pytest
from chromadb.config import Settings
from ctxplug_chroma.backend import ChromaBackend

from ctxplug.errors import StorageError, UnknownComponentError
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry
from ctxplug.storage import Backend, Delete, Embed, Put, Unembed, Where
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing import IsolationSuite, MemoryBackendSuite
from ctxplug.testing.backend_data import NS, memory
from ctxplug.testing.backend_vector_laws import VectorLaws

QUIET = Settings(anonymized_telemetry=False)
START_SECONDS = 60.0
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")  # of chromadb's own


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("embedded")
    client = chromadb.PersistentClient(path=str(folder), settings=QUIET)
    yield client
    client.close()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    program = str(Path(sys.executable).with_name("chroma"))
    folder = tmp_path_factory.mktemp("server")
    command = [program, "run", "--host", "127.0.0.1", "--port", f"{port}", "--path", f"{folder}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/v2/heartbeat").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the Chroma server did not start (exit code {server.poll()})")


def opened(spec: str) -> Backend:
    plugins = Plugins(environ={"CTXPLUG_PLUGINS": "chroma", "CTXPLUG_STRICT": "1"})
    backend = Registry(plugins).resolve("memory backend", spec)
    assert isinstance(backend, Backend)
    return backend


class TestEmbedded(MemoryBackendSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path, client: Any) -> Iterator[Backend]:
        with ChromaBackend(tmp_path / "agent.db", client, synchronous="normal") as backend:
            yield backend

    @pytest.fixture
    def reopen(self, tmp_path: Path, client: Any) -> Callable[[], Backend]:
        return lambda: ChromaBackend(tmp_path / "agent.db", client)


@pytest.mark.slow  # the same verbs go through SQLite in the core's own tests
class TestIsolation(IsolationSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path, client: Any) -> Iterator[Backend]:
        with ChromaBackend(tmp_path / "agent.db", client, synchronous="normal") as backend:
            yield backend


class TestServer(VectorLaws):
    """What Chroma has to do with; the rest of the law is the same code as above."""

    @pytest.fixture
    def backend(self, tmp_path: Path, port: int) -> Iterator[Backend]:
        records = tmp_path / "agent.db"
        spec = f"chroma+http://127.0.0.1:{port}?records={records}&synchronous=normal"
        with opened(spec) as backend:
            yield backend


def rows(count: int) -> Any:
    found = np.random.default_rng(count).standard_normal((count, 32)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def fill(backend: Backend, vectors: Any) -> None:
    backend.write(*[Put(memory(f"{i}"), "word") for i in range(len(vectors))])
    backend.write(*[Embed(NS, f"{i}", "model", row) for i, row in enumerate(vectors)])


def nearest(backend: Backend, vector: Any, limit: int = 5) -> list[str]:
    hits = backend.search(Where(NS), vector=vector, embedder="model", limit=limit)
    return [hit.record.id for hit in hits]


def by_hand(vectors: Any, query: Any, limit: int = 5) -> list[str]:
    return [f"{i}" for i in np.argsort(-(vectors @ query))[:limit]]


def count_in_chroma(client: Any) -> dict[str, int]:
    return {collection.name: collection.count() for collection in client.list_collections()}


def test_a_folder_is_made_and_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    vectors = rows(40)
    with opened("chroma:///memory") as backend:
        fill(backend, vectors)
        assert {path.name for path in Path("memory").iterdir()} >= {"records.db", "chroma"}
    with opened(f"chroma:///{tmp_path}/memory") as backend:
        assert nearest(backend, vectors[7]) == by_hand(vectors, vectors[7])


def test_chroma_is_what_finds_the_nearest(tmp_path: Path, client: Any) -> None:
    vectors = rows(300)
    with ChromaBackend(tmp_path / "agent.db", client) as backend:
        before = len(client.list_collections())
        fill(backend, vectors)
        assert len(client.list_collections()) == before + 1
        found = sum(
            len(set(nearest(backend, query)) & set(by_hand(vectors, query))) for query in rows(20)
        )
        assert found >= 95
        backend.erase(NS)
        assert len(client.list_collections()) == before


def test_what_was_written_without_chroma_is_indexed_at_the_first_search(
    tmp_path: Path, client: Any
) -> None:
    vectors = rows(30)
    with SqliteBackend(tmp_path / "agent.db") as plain:
        fill(plain, vectors)
    with ChromaBackend(tmp_path / "agent.db", client) as backend:
        assert nearest(backend, vectors[3]) == by_hand(vectors, vectors[3])
        with SqliteBackend(tmp_path / "agent.db") as plain:
            plain.write(Delete(NS, "3"), Put(memory("3b"), "word"))
            plain.write(Embed(NS, "3b", "model", vectors[3]))
        assert nearest(backend, vectors[3], 1) == ["3b"]


def test_a_lost_index_is_made_anew(tmp_path: Path, client: Any) -> None:
    vectors = rows(30)
    with ChromaBackend(tmp_path / "agent.db", client) as backend:
        fill(backend, vectors)
    for collection in client.list_collections():
        client.delete_collection(collection.name)
    with ChromaBackend(tmp_path / "agent.db", client) as backend:
        assert nearest(backend, vectors[3]) == by_hand(vectors, vectors[3])


def test_rows_of_the_past_are_cleared_out(tmp_path: Path, client: Any) -> None:
    vectors = rows(20)
    others = count_in_chroma(client)
    with ChromaBackend(tmp_path / "agent.db", client, synchronous="normal") as backend:
        fill(backend, vectors)
        for _ in range(10):
            backend.write(*[Embed(NS, f"{i}", "model", row) for i, row in enumerate(vectors)])
        assert nearest(backend, vectors[3]) == by_hand(vectors, vectors[3])
        mine = [n for name, n in count_in_chroma(client).items() if name not in others]
        assert mine and max(mine) < 200
        backend.write(Unembed(NS))
        backend.write(Embed(NS, "1", "short", [1.0, 0.0]))
        hits = backend.search(Where(NS), vector=[1.0, 0.0], embedder="short")
        assert [hit.record.id for hit in hits] == ["1"]


def test_two_stores_on_one_server_do_not_meet(tmp_path: Path, port: int) -> None:
    vectors = rows(10)
    specs = [f"chroma+http://127.0.0.1:{port}?records={tmp_path}/{name}.db" for name in "ab"]
    with opened(specs[0]) as one, opened(specs[1]) as two:
        fill(one, vectors)
        assert nearest(two, vectors[0]) == []
        fill(two, vectors[::-1])
        assert nearest(one, vectors[0], 1) == ["0"]
        assert nearest(two, vectors[0], 1) == ["9"]


def test_writing_and_keywords_go_on_without_the_server(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with pytest.raises(StorageError):
        opened(f"chroma+http://127.0.0.1:{port}?records={tmp_path}/a.db")

    class Gone:
        def __getattr__(self, name: str) -> Any:
            raise ConnectionError("nobody is there")

    with ChromaBackend(tmp_path / "agent.db", Gone()) as backend:
        backend.write(Put(memory("m"), "word"), Embed(NS, "m", "model", [1.0, 0.0]))
        assert len(backend.search(Where(NS), terms=["word"])) == 1
        with pytest.raises(StorageError, match="nobody is there"):
            nearest(backend, [1.0, 0.0])


@pytest.mark.parametrize(
    "spec",
    [
        "chroma:",
        "chroma:///",
        "chroma:///x?records=y",
        "chroma:///x?y=1",
        "chroma:///x?synchronous=off",
        "chroma+http://127.0.0.1:1",
        "chroma+http:?records=x",
        "chroma+http://127.0.0.1:1/path?records=x",
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_with_a_right_one(spec: str) -> None:
    with pytest.raises(UnknownComponentError, match="chroma:///FOLDER"):
        opened(spec)
