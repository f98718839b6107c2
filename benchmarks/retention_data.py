"""The transcripts of the retention benchmark: LoCoMo with its questions, MADial with its events."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from snowballstemmer.english_stemmer import EnglishStemmer  # type: ignore[import-untyped]

from ctxplug.compression import Unit
from ctxplug.messages import Logged, Message
from ctxplug.recall.text import STOP_WORDS
from ctxplug.tokens import TokenCounter
from ctxplug.transcripts.locomo import read_locomo

Words = frozenset[str]


@dataclass(frozen=True)
class Question:
    """The answer's words, and the versions of the turns that hold the evidence."""

    words: Words
    evidence: tuple[int, ...]


@dataclass(frozen=True)
class Conversation:
    name: str
    units: tuple[Unit, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Dialogue:
    """The versions of one dialogue, and the bigrams of the events that it is about."""

    versions: range
    about: Words


def read_conversation(file: Path, counter: TokenCounter) -> Conversation:
    data = json.loads(file.read_text("utf-8"))
    messages, _ = read_locomo(data)
    units = tuple(
        Unit((Logged(i, message, counter.count(message)),)) for i, message in enumerate(messages, 1)
    )
    versions = {m.metadata["dia_id"]: i for i, m in enumerate(messages, 1)}
    questions = []
    for row in data["qa"]:
        if row["category"] == 5:
            continue
        named = re.findall(r"D:?(\d+):(\d+)", str(row["evidence"]))
        ids = (f"D{int(a)}:{int(b)}" for a, b in named)
        evidence = tuple(dict.fromkeys(versions[i] for i in ids if i in versions))
        questions.append(Question(frozenset(words(str(row["answer"]))), evidence))
    return Conversation(file.stem, units, tuple(questions))


_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words(text: str) -> set[str]:
    """Return the stems of the content words of `text`."""
    found = _WORD.findall(text.replace("’", "'").lower())
    bare = (word.removesuffix("'s") for word in found if not word.endswith("n't"))
    return {_stem(word.replace("'", "")) for word in bare if word not in STOP_WORDS}


_STEMMER = EnglishStemmer()


@cache
def _stem(word: str) -> str:
    return str(_STEMMER.stemWord(word))


_HAN = re.compile("[\u4e00-\u9fff]+")
_EMPTY = frozenset("的了着过吧啊呢吗是在有和与就都也很这那你我他她它个不把被给到从感到非常")


def bigrams(text: str) -> set[str]:
    """Return the pairs of Han characters without the commonest function characters."""
    pairs = {a + b for run in _HAN.findall(text) for a, b in pairwise(run)}
    return {pair for pair in pairs if not _EMPTY & set(pair)}


def read_dialogues(folder: Path, counter: TokenCounter) -> tuple[list[Unit], list[Dialogue]]:
    events: dict[int, str] = {}
    for row in (folder / "memory.jsonl").read_text("utf-8").splitlines():
        events |= {int(key): event["event"] for key, event in json.loads(row).items()}
    units: list[Unit] = []
    dialogues: list[Dialogue] = []
    for row in (folder / "dialogue.jsonl").read_text("utf-8").splitlines():
        data = json.loads(row)
        first = len(units) + 1
        for said in data["dialogue"]:
            if turn := re.fullmatch(r'<([^>]+)>:\s*"?(.*?)"?\s*', said, re.DOTALL):
                units.append(_chinese_unit(len(units) + 1, turn[1], turn[2], counter))
        about = {pair for i in data["relevant-id"] for pair in bigrams(events.get(i, ""))}
        dialogues.append(Dialogue(range(first, len(units) + 1), frozenset(about)))
    return units, dialogues


def _chinese_unit(version: int, who: str, text: str, counter: TokenCounter) -> Unit:
    role = "assistant" if who == "Assistant" else "user"
    name = None if who == "Assistant" else who
    message = Message(role, text, name=name, created_at="2024-01-01", id=f"zh-{version}")
    return Unit((Logged(version, message, counter.count(message)),))
