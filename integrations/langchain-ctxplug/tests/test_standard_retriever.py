"""LangChain's own suite for retrievers."""

from __future__ import annotations

from typing import Any

from langchain_ctxplug.retrievers import CtxplugRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests

from ctxplug import AgentMemory


class TestRetriever(RetrieversIntegrationTests):
    """Over memories and messages in English and Chinese."""

    @property
    def retriever_constructor(self) -> type[CtxplugRetriever]:
        return CtxplugRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        memory = AgentMemory.open("memory:", namespace="acme/alice", session="trip")
        memory.add("user", "I drink coffee at seven.")
        memory.add("user", "我早上喝coffee，不加糖。")
        for kind in ("oat", "black", "iced"):
            memory.remember(f"Likes {kind} coffee", kind="preference")
        return {"memory": memory, "k": 2}

    @property
    def retriever_query_example(self) -> str:
        return "coffee"
