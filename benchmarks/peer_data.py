"""What the comparisons are made on: recorded and synthetic sessions and corpora.

Recorded data are read from a folder (`locomo-dev`, `madial-zh-dev`, `tau-bench-dev`); nothing
of them is kept. The synthetic ones are made from a fixed seed, half English and half Chinese,
so that the small run needs no data. They guard against regressions; they say nothing about
which memory to choose.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recall_data import Question, read_conversations, read_dialogues

from ctxplug.messages import Message, ToolCallPart, ToolResultPart
from ctxplug.transcripts import read_transcript

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

START = datetime(2026, 3, 9, tzinfo=UTC)
PEOPLE = ("Alice", "Bruno", "Chiara", "Dmitri", "陈伟", "李娜", "王芳", "赵强")
CITIES = ("Lisbon", "Oslo", "Turin", "Kraków", "成都", "大连", "苏州", "昆明")
THINGS = {
    "violin": "小提琴", "passport": "护照", "bicycle": "自行车", "camera": "相机",
    "umbrella": "雨伞", "ladder": "梯子", "kettle": "水壶", "atlas": "地图册",
    "drum": "鼓", "telescope": "望远镜", "carpet": "地毯", "hammer": "锤子",
}  # fmt: skip
SAID = re.compile(r'<(\w+)>:"(.*)"\s*', re.DOTALL)


@dataclass(frozen=True)
class Session:
    """One conversation to be sent, call by call, within `budget` tokens."""

    name: str
    budget: int
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Item:
    """Something to be found: `text` is what a store is given, `message` what ctxplug is given.

    Without a message it is a memory of its own, which ctxplug remembers as it is.
    """

    id: str
    text: str
    message: Message | None = None
    session: str = ""


class CannotTakePart(Exception):
    """A peer is not installed or cannot run here; the message says why."""


@dataclass(frozen=True)
class Corpus:
    """Items and the questions that some of them answer, of one user."""

    name: str
    items: tuple[Item, ...]
    questions: tuple[Question, ...]


def rotated(things: Sequence[Any], n: int) -> Iterator[Any]:
    """Yield `things` from another one on for each round `n`: none is always the first."""
    start = n % len(things)
    yield from (*things[start:], *things[:start])


# -- recorded ------------------------------------------------------------------------------


def recorded_sessions(folder: Path, runs: int = 10) -> list[Session]:
    """Return an agent's session, a chat in English and one in Chinese."""
    agent: list[Message] = []
    for run in list(read_transcript(folder / "tau-bench-dev" / "airline.jsonl"))[:runs]:
        agent += [m for m in run.messages if m.role != "system" or not agent]
    (chat,) = read_transcript(folder / "locomo-dev" / "30.json")
    return [
        Session("tau-bench, an agent with tools", 8_000, tuple(agent)),
        Session("LoCoMo, a chat in English", 4_000, tuple(chat.messages)),
        Session("MADial, chats in Chinese", 4_000, tuple(_chinese_chat(folder))),
    ]


def _chinese_chat(folder: Path) -> list[Message]:
    lines = (folder / "madial-zh-dev" / "dialogue.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [SAID.fullmatch(turn) for line in lines for turn in json.loads(line)["dialogue"]]
    said = [(turn[1], turn[2].strip()) for turn in turns if turn]
    return [
        Message("assistant" if who == "Assistant" else "user", text, created_at=_at(n))
        for n, (who, text) in enumerate(said)
    ]


def english_corpora(folder: Path, every: int = 1) -> list[Corpus]:
    """Return the LoCoMo conversations, with every so many-th question of categories 1 to 4."""
    found = []
    for conversation in read_conversations(folder / "locomo-dev"):
        items = []
        for session, messages in conversation.sessions().items():
            for m in messages:
                text = f"[{m.created_at.day} {m.created_at:%B %Y}] {m.name}: {m.text}"
                items.append(Item(m.id, text, m, session))
        asked = [q for q in conversation.questions if q.category != 5][::every]
        found.append(Corpus(f"LoCoMo {conversation.name}", tuple(items), tuple(asked)))
    return found


def chinese_corpora(folder: Path) -> list[Corpus]:
    """Return MADial's memories, one corpus for each user; a dialogue is a question."""
    memories, dialogues = read_dialogues(folder / "madial-zh-dev")
    found = []
    for user in sorted({dialogue.user for dialogue in dialogues}):
        items = [
            Item(id, str(memory["event"]))
            for id, memory in memories.items()
            if memory["user-id"] == user
        ]
        asked = [Question(d.text, d.relevant, 0) for d in dialogues if d.user == user]
        found.append(Corpus(f"MADial {user}", tuple(items), tuple(asked)))
    return found


# -- synthetic -----------------------------------------------------------------------------


def synthetic_session(turns: int = 40, budget: int = 2_000) -> Session:
    """Return an agent that looks up orders and changes them, by values that tools gave it.

    Every fourth turn looks up two orders at once and changes one; the other one is changed
    three turns later, by the customer's number, which only that old result holds.
    """
    chance = random.Random(20260309)
    said = [Message("system", "You change orders. 你负责修改订单。", created_at=START)]
    customers: list[str] = []
    for turn in range(turns):
        chinese, city = turn % 2 == 1, CITIES[turn % len(CITIES)]
        orders = [f"ORD-{turn:03}-{n}" for n in range(2 if turn % 4 == 0 else 1)]
        ask = f"把订单{orders[0]}改寄到{city}。" if chinese else f"Send {orders[0]} to {city}."
        calls = [ToolCallPart(f"look_{o}", "look_up", {"order": o}) for o in orders]
        results = []
        for order in orders:
            customers.append(f"CU-{chance.randrange(10**6):06}")
            results.append(ToolResultPart(f"look_{order}", _order(order, customers[-1], chance)))
        # Three turns ago two were looked up, and the first of them was not changed.
        old = customers[-1] if turn % 4 != 3 else customers[-5]
        change = ToolCallPart(f"change_{turn}", "change", {"customer": old, "city": city})
        for role, content in (
            ("user", ask),
            ("assistant", tuple(calls)),
            *(("tool", (result,)) for result in results),
            ("assistant", (change,)),
            ("tool", (ToolResultPart(change.id, '{"changed": true}'),)),
            ("assistant", "已经改好了。" if chinese else "It is changed."),
        ):
            said.append(Message(role, content, created_at=_at(len(said))))  # type: ignore[arg-type]
    return Session("synthetic, an agent with tools", budget, tuple(said))


def _order(order: str, customer: str, chance: random.Random) -> str:
    lines = [
        {"item": chance.choice(list(THINGS)), "名称": chance.choice(list(THINGS.values())), "n": n}
        for n in range(6)
    ]
    data = {"order": order, "customer": customer, "lines": lines, "cents": chance.randrange(10**5)}
    return json.dumps(data, ensure_ascii=False, indent=1)


def synthetic_corpus(repeat: int = 3) -> Corpus:
    """Return who left what where, told in one turn or as question and answer, with noise."""
    chance = random.Random(20260310)
    facts = [(p, t) for p in PEOPLE for t in THINGS for _ in range(repeat)]
    chance.shuffle(facts)
    items: list[Item] = []
    questions: dict[tuple[str, str], Question] = {}
    for person, thing in facts:
        chinese, city = person > "z", chance.choice(CITIES)
        name = THINGS[thing] if chinese else thing
        if (person, thing) not in questions:
            ask = (
                f"{person}把{name}放在哪里了？"
                if chinese
                else f"Where did {person} leave the {name}?"
            )
            told = (
                f"我把{name}放在{city}了。"
                if chinese
                else f"I left the {name} in {city}, by the door."
            )
            if chance.random() < 0.5:
                _say(
                    items,
                    "Eva",
                    f"{person}，{name}呢？" if chinese else f"And the {name}, {person}?",
                )
                told = f"在{city}，门边。" if chinese else f"It is in {city}, by the door."
            questions[person, thing] = Question(ask, (_say(items, person, told),), 0)
        else:
            talk = (
                f"今天{city}下雨，{name}真好看。"
                if chinese
                else f"It rains in {city}; I saw a {name}."
            )
            _say(items, chance.choice(PEOPLE), talk)
    return Corpus("synthetic", tuple(items), tuple(questions.values()))


def _say(items: list[Item], who: str, text: str) -> str:
    n = len(items)
    id, at = f"t{n}", _at(n)
    message = Message("user" if n % 2 else "assistant", text, name=who, created_at=at, id=id)
    items.append(Item(id, f"[{at.day} {at:%B %Y}] {who}: {text}", message, f"s{n // 40}"))
    return id


def _at(n: int) -> datetime:
    return START + timedelta(minutes=n)


# -- vectors -------------------------------------------------------------------------------


class CharacterNgrams:
    """An embedder that needs no model: hashed words and runs of two and three characters."""

    name = "character-ngrams"
    dimension = 512

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one row of length 1 for each text."""
        import numpy as np

        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            lowered = " ".join(text.lower().split())
            parts = [lowered[i : i + n] for n in (2, 3) for i in range(len(lowered) - n + 1)]
            for part in (*parts, *lowered.split()):
                code = zlib.crc32(part.encode("utf-8", "surrogatepass"))
                row[code % self.dimension] += 1 if code & 0x8000_0000 else -1
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths == 0, 1, lengths)
