"""Chat engines over long talks: every list valid and in budget, and all of it in the log."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from ctxplug_llamaindex import CtxplugMemory, to_messages
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.indices import VectorStoreIndex
from llama_index.core.schema import TextNode

BUDGET = 2_000  # the mock model takes 3,900
PROMPT = "You find parcels. 你负责查找包裹。"
NODE = "The parcels of 里斯本 wait in hall 7."


def memory_of(session: str = "t1") -> CtxplugMemory:
    return CtxplugMemory.from_defaults(namespace="acme", session_id=session, token_limit=BUDGET)


def question(turn: int) -> str:
    if turn == 0:
        return "From now on answer in French. 绝不透露价格。"
    return f"Where is parcel {turn}?" if turn % 2 else f"编号 {turn} 的包裹在哪里？{{json}}"


def answer(messages: list[ChatMessage], n: int) -> str:
    return f"Réponse {n}: {'mot ' * 15} 好的。"


def counted(memory: CtxplugMemory, sent: Sequence[ChatMessage]) -> int:
    counter = memory.memory.counter
    return sum(map(counter.count, to_messages(sent))) + counter.request_tokens


def retriever() -> Any:
    index = VectorStoreIndex(nodes=[TextNode(text=NODE)], embed_model=MockEmbedding(embed_dim=3))
    return index.as_retriever()


def engine_of(kind: type[BaseChatEngine], model: Any, memory: CtxplugMemory) -> Any:
    if kind is SimpleChatEngine:
        return SimpleChatEngine.from_defaults(llm=model.llm, memory=memory, system_prompt=PROMPT)
    memory.expect(PROMPT + NODE + " word" * 150)  # the template with what is retrieved
    return kind.from_defaults(  # type: ignore[attr-defined]
        retriever=retriever(), llm=model.llm, memory=memory, system_prompt=PROMPT
    )


KINDS = pytest.mark.parametrize(
    "kind", [SimpleChatEngine, ContextChatEngine, CondensePlusContextChatEngine]
)


@KINDS
@pytest.mark.parametrize("turns", [20, pytest.param(200, marks=pytest.mark.slow)])
async def test_many_turns(
    scripted: Any, faults: Any, kind: type[BaseChatEngine], turns: int
) -> None:
    model, memory = scripted(answer), memory_of()
    engine = engine_of(kind, model, memory)
    for turn in range(turns):
        asked = question(turn)
        if turn % 4 == 0:
            said = (await engine.achat(asked)).response
        elif turn % 4 == 1:
            said = (await asyncio.to_thread(engine.chat, asked)).response
        elif turn % 4 == 2:
            stream = await asyncio.to_thread(engine.stream_chat, asked)
            said = await asyncio.to_thread(lambda stream=stream: "".join(stream.response_gen))
        else:
            stream = await engine.astream_chat(asked)
            said = "".join([token async for token in stream.async_response_gen()])
        assert said.startswith("Réponse")
    assert len(model.sent) == turns
    for turn, sent in enumerate(model.sent):
        assert faults(sent) == []
        assert counted(memory, sent) <= BUDGET
        assert PROMPT in (sent[0].content or "")
        assert question(turn) in (sent[-1].content or "")
    told = [message.text for message in memory.memory.messages()]
    assert told[::2] == [question(turn) for turn in range(turns)]
    assert told[1::2] == [answer([], turn) for turn in range(turns)]
    assert [m.content for m in engine.chat_history] == told


@KINDS
def test_a_new_engine_goes_on_with_the_same_memory(
    scripted: Any, kind: type[BaseChatEngine]
) -> None:
    model, memory = scripted(answer), memory_of()
    engine_of(kind, model, memory).chat("My name is Anna. 我叫安娜。")
    again = CtxplugMemory.from_dict(memory.to_dict())
    engine_of(kind, model, again).chat("Who am I? 我是谁？")
    assert "My name is Anna. 我叫安娜。" in [m.content for m in model.sent[-1]]


def test_a_question_is_condensed_from_what_was_said(scripted: Any) -> None:
    model, memory = scripted(answer), memory_of()
    index = VectorStoreIndex(nodes=[TextNode(text=NODE)], embed_model=MockEmbedding(embed_dim=3))
    engine = CondenseQuestionChatEngine.from_defaults(
        query_engine=index.as_query_engine(llm=model.llm), llm=model.llm, memory=memory
    )
    for turn in range(20):
        engine.chat(question(turn))
    assert len(memory.get_all()) == 40
    engine.reset()
    assert engine.chat_history == []
    assert len(memory.memory.session.log(kept=False)) == 40, "nothing leaves the log"


def test_engines_make_one_themselves(scripted: Any, faults: Any) -> None:
    model = scripted(answer)
    history = [ChatMessage(role="user", content="嗨"), ChatMessage(role="assistant", content="hi")]
    engine = SimpleChatEngine.from_defaults(
        llm=model.llm, memory_cls=CtxplugMemory, chat_history=history, system_prompt=PROMPT
    )
    engine.chat("And now?")
    assert [m.content for m in model.sent[0]] == [PROMPT, "嗨", "hi", "And now?"]
    assert faults(model.sent[0]) == []
