"""CtxplugCompressor: documents in a budget, by what is asked, and a record of what was cut."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import Document
from langchain_ctxplug.compressor import GAP, CtxplugCompressor
from langchain_ctxplug.counting import counter_of
from langchain_ctxplug.retrievers import CtxplugRetriever

from ctxplug import AgentMemory

ENGLISH = (
    "The company was founded in 1987 in Oslo. Its first product was a compass for skiers."
    " The refund period is 30 days from delivery. Staff meet on Fridays at noon. The canteen"
    " serves soup."
)
CHINESE = "公司成立于1987年。食堂周五供应汤。退款须在收货后三十天内提出。员工每周五中午开会。"
ROWS = json.dumps([{"id": n, "name": f"item {n}", "price": n * 7} for n in range(60)], indent=2)


def documents() -> list[Document]:
    return [
        Document(page_content=ENGLISH, id="a", metadata={"source": "handbook"}),
        Document(page_content=CHINESE, id="b", metadata={"source": "手册"}),
        Document(page_content="It was mild in Oslo. Nothing happened on Tuesday.", id="c"),
    ]


def tokens(found: list[Document]) -> int:
    return sum(counter_of().count_text(one.page_content) for one in found)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("How long is the refund period?", "30 days from delivery"),
        ("What does the canteen serve?", "canteen serves soup"),
        ("退款期限多久", "退款须在收货后三十天内提出。"),
        ("食堂供应什么", "食堂周五供应汤。"),
    ],
)
def test_what_is_asked_for_stays(query: str, kept: str) -> None:
    found = CtxplugCompressor(budget=30).compress_documents(documents(), query)
    assert any(kept in one.page_content for one in found)
    assert tokens(found) <= 30


def test_what_fits_comes_back_as_it_is() -> None:
    given = documents()
    found = CtxplugCompressor(budget=1_000).compress_documents(given, "refund")
    assert found == given and all(new is old for new, old in zip(found, given, strict=True))
    assert CtxplugCompressor().compress_documents([], "refund") == []


def test_what_was_cut_is_recorded_and_what_is_left_is_word_for_word() -> None:
    given = documents()
    found = CtxplugCompressor(budget=60).compress_documents(given, "refund period")
    by_id = {one.id: one for one in given}
    left_out = found[0].metadata["compression"].get("left_out", [])
    assert {one.id for one in found} | {gone["id"] for gone in left_out} == set(by_id)
    for one in found:
        old, note = by_id[one.id], one.metadata.get("compression", {})
        assert {k: v for k, v in one.metadata.items() if k != "compression"} == old.metadata
        if "cut" in note:
            rest = "".join(
                " " if any(a <= i < b for a, b in note["cut"]) else c
                for i, c in enumerate(old.page_content)
            )
            shown = one.page_content.replace(GAP.strip(), " ")
            assert shown.split() == rest.split()
            assert note["tokens"][1] == counter_of().count_text(one.page_content)


def test_data_is_written_shorter_and_not_cut_into_sentences() -> None:
    given = [Document(page_content=ROWS, id="rows"), *documents()]
    found = CtxplugCompressor(budget=700).compress_documents(given, "refund period")
    [rows] = [one for one in found if one.id == "rows"]
    assert rows.metadata["compression"]["cut"] is None
    assert "59,item 59,413" in rows.page_content and tokens(found) <= 700
    assert rows.page_content.endswith("[see rows]")


def test_a_budget_too_small_for_any_sentence_gives_nothing() -> None:
    assert CtxplugCompressor(budget=1).compress_documents(documents(), "refund") == []
    with pytest.raises(ValueError, match="budget"):
        CtxplugCompressor(budget=0)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=300), max_size=5),
    st.text(max_size=30),
    st.integers(min_value=1, max_value=200),
)
def test_the_budget_holds_for_any_text(texts: list[str], query: str, budget: int) -> None:
    given_ = [Document(page_content=text, id=str(i)) for i, text in enumerate(texts)]
    found = CtxplugCompressor(budget=budget).compress_documents(given_, query)
    assert tokens(found) <= budget
    assert [one.id for one in found] == sorted((one.id or "" for one in found), key=int)
    assert found == CtxplugCompressor(budget=budget).compress_documents(given_, query)


def test_it_works_behind_a_retriever_and_async() -> None:
    memory = AgentMemory.open("memory:", namespace="acme/alice", session="manual")
    for document in documents():
        memory.remember(document.page_content, kind="document", origin="document")
    retriever = ContextualCompressionRetriever(
        base_compressor=CtxplugCompressor(budget=40),
        base_retriever=CtxplugRetriever(memory, k=3),
    )
    found = retriever.invoke("refund period")
    assert "30 days" in found[0].page_content and tokens(found) <= 40
    assert found[0].metadata["kind"] == "document" and found[0].metadata["compression"]
    again = asyncio.run(retriever.ainvoke("refund period"))
    assert [one.page_content for one in again] == [one.page_content for one in found]


def test_the_counter_may_be_named() -> None:
    exact = CtxplugCompressor(budget=30, counter="estimate:claude")
    found = exact.compress_documents(documents(), "退款期限")
    counter = counter_of(counter="estimate:claude")
    assert sum(counter.count_text(one.page_content) for one in found) <= 30
