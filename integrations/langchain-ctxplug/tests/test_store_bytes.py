"""The standard suites of langchain-tests for key-value stores, and bytes in any backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.stores import BaseStore
from langchain_ctxplug.store import CtxplugStore
from langchain_ctxplug.store_bytes import CtxplugByteStore
from langchain_tests.integration_tests import BaseStoreAsyncTests, BaseStoreSyncTests

from ctxplug.errors import InvalidValueError


class TestSync(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, tmp_path: Path) -> Iterator[BaseStore[str, bytes]]:
        store = CtxplugByteStore(tmp_path / "bytes.db")
        yield store
        store.store.close()

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"", "二".encode(), bytes(range(256))


class TestAsync(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    async def kv_store(self) -> Any:
        store = CtxplugByteStore("memory:")
        yield store
        await store.store.aclose()

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"one", b"two", b"\xff\x00"


def test_paths_of_one_store_are_apart(tmp_path: Path) -> None:
    with CtxplugStore(tmp_path / "s.db") as store:
        one, below = CtxplugByteStore(store), CtxplugByteStore(store, path=("bytes", "more"))
        one.mset([("k", b"1"), ("键", b"2")])
        below.mset([("k", b"3")])
        assert one.mget(["k", "键", "no"]) == [b"1", b"2", None]
        assert sorted(one.yield_keys()) == ["k", "键"]
        assert list(one.yield_keys(prefix="键")) == ["键"]
        one.mdelete(["k"])
        assert below.mget(["k"]) == [b"3"]
        with pytest.raises(InvalidValueError, match="holds bytes"):
            one.mset([("k", b"new"), ("t", "text")])  # type: ignore[list-item]
        assert one.mget(["k"]) == [None]
