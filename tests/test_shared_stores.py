"""Memories of one process on one store share its backend, and the last one closes it."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest

from ctxplug import AgentMemory
from ctxplug.access.guarding import beneath
from ctxplug.errors import CannotOpenError, ClosedError, ForeignFileError
from ctxplug.storage import Backend, Where
from ctxplug.storage.in_memory import InMemoryBackend


def opened(target: object, user: str = "alice") -> AgentMemory:
    return AgentMemory.open(target, namespace=f"acme/{user}", session="s")  # type: ignore[arg-type]


def is_closed(backend: Backend) -> bool:
    try:
        backend.namespaces()
    except ClosedError:
        return True
    except CannotOpenError:  # its file is gone, but it is open
        return False
    return False


def test_memories_on_one_file_share_its_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "agent.db"
    os.symlink(tmp_path, tmp_path / "link")
    targets = [path, "agent.db", "./agent.db", "sqlite:///agent.db", f"sqlite:///{path}"]
    memories = [opened(target, str(i)) for i, target in enumerate([*targets, "link/agent.db"])]
    assert len({id(beneath(memory.backend)) for memory in memories}) == 1
    for memory in memories:
        memory.add("user", "hello")
        memory.close()


def test_the_last_one_to_close_closes_the_store(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "agent.db"), opened(tmp_path / "agent.db", "bob")
    backend = first.backend
    first.close()
    first.close()
    assert not is_closed(backend)
    second.add("user", "still here")
    second.close()
    assert is_closed(backend)
    assert [path.name for path in tmp_path.iterdir()] == ["agent.db"]
    with opened(tmp_path / "agent.db", "bob") as again:
        assert beneath(again.backend) is not beneath(backend)
        assert [message.text for message in again.messages()] == ["still here"]


def test_a_memory_that_is_forgotten_lets_go(tmp_path: Path) -> None:
    memory = opened(tmp_path / "agent.db")
    backend = memory.backend
    del memory
    gc.collect()
    assert is_closed(backend)


def test_other_options_are_another_backend(tmp_path: Path) -> None:
    with opened(tmp_path / "agent.db") as writer:
        writer.add("user", "hello")
        with opened(f"sqlite:///{tmp_path}/agent.db?mode=ro") as reader:
            assert beneath(reader.backend) is not beneath(writer.backend)
            assert [message.text for message in reader.messages()] == ["hello"]
        assert not is_closed(writer.backend)


def test_memories_in_memory_share_nothing() -> None:
    with opened("memory:") as first, opened("memory:") as second:
        first.add("user", "mine")
        assert beneath(first.backend) is not beneath(second.backend)
        assert second.messages() == []


def test_a_backend_that_was_given_stays_open() -> None:
    with InMemoryBackend() as backend:
        opened(backend).close()
        assert not is_closed(backend)


def test_a_deleted_and_recreated_file_is_another_store(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    old, older = opened(path), opened(path)
    old.add("user", "in the old file")
    for file in tmp_path.iterdir():
        file.unlink()
    new = opened(path)
    assert beneath(new.backend) is not beneath(old.backend)
    assert new.messages() == []
    new.add("user", "in the new file")
    with pytest.raises(CannotOpenError, match="deleted or replaced"):
        old.add("user", "lost")
    old.close()
    assert not is_closed(older.backend), "closed under one who still uses it"
    older.close()
    assert is_closed(older.backend)
    new.add("user", "and again")
    new.close()
    with opened(path) as again:
        texts = [message.text for message in again.messages()]
        assert texts == ["in the new file", "and again"]
        assert again.check().ok


def test_a_store_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    path.write_text("a diary")
    for _ in range(2):
        with pytest.raises(ForeignFileError):
            opened(path)
    path.unlink()
    with opened(path) as memory:
        memory.add("user", "hello")


def test_many_threads_may_open_and_close_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(8)

    def use(number: int) -> None:
        start.wait()
        try:
            for i in range(5):
                with opened(tmp_path / "agent.db", f"user{number}") as memory:
                    memory.add("user", f"{i}")
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with opened(tmp_path / "agent.db", "user3") as memory:
        assert [message.text for message in memory.messages()] == list("01234")
        assert len(memory.backend.namespaces()) == 8
        assert memory.backend.count(Where(("acme", "user5"))) == 5
