"""CtxplugMemory in place of the classic memories, beside them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from langchain_classic.chains import ConversationChain, LLMChain
from langchain_classic.memory import (
    ConversationBufferMemory,
    ConversationBufferWindowMemory,
    ConversationTokenBufferMemory,
)
from langchain_core._api import LangChainDeprecationWarning
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.prompts import PromptTemplate
from langchain_ctxplug.chat_message_histories import CtxplugChatMessageHistory
from langchain_ctxplug.memory import CtxplugMemory

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError

TURNS = [("hi, I am Ann", "hello Ann"), ("我住在里斯本", "好的，里斯本"), ("what is new?", "much")]


def classic(kind: Any, **fields: Any) -> Any:
    """Make something of langchain-classic, all of which says that it is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LangChainDeprecationWarning)
        return kind(**fields)


def filled(memory: Any, turns: Any = TURNS) -> Any:
    for said, answer in turns:
        memory.save_context({"input": said}, {"output": answer})
    return memory


class CountingModel(FakeListChatModel):
    """A model that counts a token for each character."""

    responses: list[str] = ["x"]  # noqa: RUF012 - a pydantic field

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Any = None) -> int:
        return sum(len(str(message.content)) for message in messages)


# -- beside the classes it stands for ------------------------------------------------------------


@pytest.mark.parametrize("return_messages", [False, True])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"memory_key": "past", "human_prefix": "人", "ai_prefix": "机"},
        {"input_key": "input", "output_key": "output"},
    ],
)
def test_a_short_conversation_reads_as_with_buffer_memory(
    fields: dict[str, Any], return_messages: bool
) -> None:
    stock = classic(ConversationBufferMemory, return_messages=return_messages, **fields)
    ours = CtxplugMemory(return_messages=return_messages, **fields)
    for memory in (stock, ours):
        filled(memory)
    assert ours.load_memory_variables({}) == stock.load_memory_variables({})
    assert ours.memory_variables == stock.memory_variables
    assert (ours.buffer, ours.buffer_as_str) == (stock.buffer, stock.buffer_as_str)
    assert ours.buffer_as_messages == stock.buffer_as_messages
    ours.clear()
    stock.clear()
    assert ours.load_memory_variables({}) == stock.load_memory_variables({})


@pytest.mark.parametrize("k", [0, 1, 2, 5])
def test_the_last_turns_as_with_window_memory(k: int) -> None:
    stock = filled(classic(ConversationBufferWindowMemory, k=k))
    ours = filled(CtxplugMemory(k=k))
    assert ours.buffer == stock.buffer
    ours.chat_memory.add_messages([SystemMessage("a note"), AIMessage("by the way")])
    last = ours.buffer_as_messages[-3:]
    assert not k or [m.content for m in last] == ["much", "a note", "by the way"]


def test_a_token_limit_holds_where_the_stock_class_does_not_prune(tmp_path: Path) -> None:
    """It pops from the list that `messages` returned, which is a copy with most histories."""
    turns = [(f"question {n} about the trip " * 5, f"answer {n} " * 10) for n in range(30)]
    with AgentMemory.open(tmp_path / "m.db", namespace="acme") as memory:
        history = CtxplugChatMessageHistory(memory)
        stock = classic(
            ConversationTokenBufferMemory,
            llm=CountingModel(),
            max_token_limit=600,
            chat_memory=history,
        )
        filled(stock, turns)
        assert len(stock.buffer_as_messages) == 60
        ours = CtxplugMemory(history, max_token_limit=600, return_messages=True)
        seen = ours.buffer
        assert 0 < len(seen) < 30
        assert sum(memory.counter.count(m) for m in memory.messages()[-2:]) < 600
        assert str(seen[-1].content) == turns[-1][1] and str(seen[-2].content) == turns[-1][0]
        window = history.window(600)
        assert window.tokens <= 600 and len(window.messages) == len(seen)
        assert "<earlier_conversation" in str(seen[0].content)  # a digest, as of a summary
        assert len(history.messages) == 60


def test_a_limit_below_the_last_turn_gives_what_of_it_fits() -> None:
    ours = filled(CtxplugMemory(max_token_limit=12, return_messages=True))
    ours.save_context({"input": "long " * 100}, {"output": "short"})
    assert [m.content for m in ours.buffer] == ["short"]
    ours.save_context({"input": "long " * 100}, {"output": "long " * 100})
    assert ours.buffer == [] and len(ours.chat_memory.messages) == 10


def test_recall_in_place_of_a_vector_store_retriever_memory() -> None:
    ours = filled(CtxplugMemory(recall=2))
    found = ours.load_memory_variables({"input": "里斯本"})["history"]
    assert "我住在里斯本" in found and "what is new?" not in found
    with pytest.raises(ValueError, match="One input key"):
        ours.load_memory_variables({"a": "1", "b": "2"})


async def test_async_twins() -> None:
    ours = CtxplugMemory()
    await ours.asave_context({"input": "q"}, {"output": "a"})
    assert await ours.aload_memory_variables({}) == {"history": "Human: q\nAI: a"}
    assert await ours.abuffer() == await ours.abuffer_as_str() == "Human: q\nAI: a"
    assert await ours.abuffer_as_messages() == [HumanMessage("q"), AIMessage("a")]
    await ours.aclear()
    assert await ours.aload_memory_variables({}) == {"history": ""}


# -- keys ----------------------------------------------------------------------------------------


def test_which_keys_are_remembered() -> None:
    ours = CtxplugMemory()
    ours.save_context({"input": "q", "history": "x", "stop": ["y"]}, {"text": "a"})
    assert ours.buffer == "Human: q\nAI: a"
    with pytest.raises(ValueError, match="One input key"):
        ours.save_context({"input": "q", "other": "x"}, {"text": "a"})
    with pytest.warns(UserWarning, match="output_key='output'"):
        ours.save_context({"input": "q"}, {"output": "a", "sources": "b"})
    with pytest.raises(ValueError, match="output_key"):
        ours.save_context({"input": "q"}, {"answer": "a", "sources": "b"})
    chosen = CtxplugMemory(input_key="question", output_key="answer")
    chosen.save_context({"question": "q", "other": 1}, {"answer": "a", "sources": "b"})
    assert chosen.buffer == "Human: q\nAI: a"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"llm": CountingModel()}, "takes no 'llm'.*without a model"),
        ({"max_tokens": 5}, "takes no 'max_tokens'.*max_token_limit"),
        ({"session_id": "s"}, "session='...'"),
        ({"chat_memory": None}, "give the history first"),
        ({"k": 2, "max_token_limit": 5}, "give one of them"),
        ({"k": -1}, "greater than or equal to 0"),
    ],
)
def test_keywords_that_nobody_takes_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CtxplugMemory(**options)


def test_a_file_needs_a_namespace_and_an_open_history_no_keywords(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="namespace"):
        CtxplugMemory(tmp_path / "m.db")
    history = CtxplugChatMessageHistory()
    with pytest.raises(InvalidValueError, match="open already"):
        CtxplugMemory(history, namespace="acme")


# -- in chains -------------------------------------------------------------------------------------


async def test_in_a_conversation_chain_and_after_a_restart(tmp_path: Path) -> None:
    for start in range(2):
        memory = CtxplugMemory(tmp_path / "m.db", namespace="acme/ann", session="talk")
        llm = FakeListChatModel(responses=[f"answer {start}.{n}" for n in range(2)])
        chain = classic(ConversationChain, llm=llm, memory=memory)
        assert chain.invoke({"input": f"q{start}.0"})["response"] == f"answer {start}.0"
        out = await chain.ainvoke({"input": f"q{start}.1"})
        assert f"AI: answer {start}.0" in out["history"]
        memory.chat_memory.close()
    assert "Human: q0.0\nAI: answer 0.0" in out["history"]


def test_in_an_llm_chain() -> None:
    prompt = PromptTemplate.from_template("{chat_history}\nQ: {question} ({style})")
    memory = CtxplugMemory(memory_key="chat_history", input_key="question", human_prefix="Q")
    llm = FakeListChatModel(responses=["one", "二"])
    chain = classic(LLMChain, llm=llm, prompt=prompt, memory=memory)
    chain.invoke({"question": "first", "style": "brief"})
    out = chain.invoke({"question": "第二", "style": "brief"})
    assert out["chat_history"] == "Q: first\nAI: one"
    assert memory.buffer == "Q: first\nAI: one\nQ: 第二\nAI: 二"


def test_without_the_extra_it_says_which_one_to_install() -> None:
    code = (
        "import sys; sys.modules['langchain_classic'] = None\n"
        "from langchain_ctxplug import CtxplugMemory\n"
        "try:\n    CtxplugMemory('memory:')\n"
        "except ImportError as exc:\n    print(exc)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'langchain-ctxplug[classic]'" in done.stdout, done.stderr
