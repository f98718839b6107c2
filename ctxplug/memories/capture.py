"""Automatic capture: what a message says that is worth remembering, found by rules.

No model is asked. A sentence is captured when it has the form of a statement about the
speaker or an instruction to the agent (`capture_rules`), and is no question, supposition,
quotation, code or pasted text. It keeps the speaker's words, negations included. The
user is listened to in full; of an assistant's words only promises with a time. Tool
results and recalled text are never captured: what is in them is not the user's word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from ctxplug.access.guarding import is_hidden, rule_classes
from ctxplug.compression.sentences import split
from ctxplug.errors import GuardError
from ctxplug.memories.capture_rules import Rule, leaning, pasted, rules, vetoes
from ctxplug.memories.likeness import Texts, normal, text_of
from ctxplug.messages import Message, TextPart
from ctxplug.recall.indexing import index_form
from ctxplug.records import MemoryRecord
from ctxplug.scope import Scope, new_id
from ctxplug.storage import Backend, Op, Put, Touch, Where

Guarded: TypeAlias = Callable[[MemoryRecord], MemoryRecord]
Make: TypeAlias = Callable[..., MemoryRecord]

MADE_BY = "capture:"
READ = 4_000  # characters of a message: what is longer was hardly typed
LONGEST = 400  # characters of one captured sentence, a Chinese one counting as two
SHORTEST = 3  # words; Chinese characters count as half of one
MOST = 8  # memories of one message
ASSISTANT_RULES = frozenset({"promise"})
KINDS = ("fact", "preference", "decision", "instruction", "commitment", "goal")
KNOWN = 2_000  # memories, the newest, that a new one is compared with
SIMILARITY = 0.8
MASK = "¤"  # stands for what is quoted

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_SHORT_FORM = re.compile(r"\b(?:I|We)['’](?:m|re|ve)\b", re.IGNORECASE)  # two words in one
_LATIN = re.compile("[A-Za-z]")
_QUOTED = re.compile('"[^"\n]+"|“[^”\n]+”|「[^」\n]+」|『[^』\n]+』|‘[^’\n]{12,}’')
_CODE = re.compile(r"^\s*(?:```|~~~|>|\||\$ |#!|<\w|[{}\[\]]|(?:def|class|import|from|SELECT) )")
_MAY_ANNOUNCE = re.compile("[:：]|---|orwarded")  # a quick look before a slow one
_SPACE = re.compile(r"\s+")
_ENDS_OPEN = re.compile(r"[:：]\s*$")


@dataclass(frozen=True, slots=True)
class Found:
    """A sentence worth remembering and the rule that found it."""

    text: str
    rule: Rule


def statements(text: str) -> list[Found]:
    """Return what of `text` is worth remembering, in order, each with its rule."""
    found: list[Found] = []
    before = ""
    for sentence in split(text[:READ]):
        clean = _SPACE.sub(" ", sentence).strip()
        announces = _MAY_ANNOUNCE.search(sentence) and pasted().search(sentence) is not None
        if announces and not _quotes_end(sentence):
            break  # from here on it is another's text
        rule = None if announces or _CODE.match(sentence) else _rule(clean)
        if rule is not None:
            whole = f"{before} {clean}" if _stands(before) and leaning().search(clean) else clean
            found.append(Found(whole if len(whole) <= LONGEST else clean, rule))
        before = clean
        if len(found) == MOST:
            break
    return found


@dataclass(frozen=True, slots=True)
class Captured:
    """What is to be written with the messages, and whom a guard refused (rule and reason)."""

    ops: tuple[Op, ...]
    records: tuple[MemoryRecord, ...]
    refused: tuple[tuple[str, GuardError], ...]

    def tell(self, tell: Callable[..., None]) -> None:
        """Report to observers what was captured, and what a guard refused."""
        for one in self.records:
            tell("memory.captured", id=one.id, kind=one.kind, tier=one.tier, made_by=one.made_by)
        for made_by, error in self.refused:
            tell("memory.refused", made_by=made_by, reason=str(error))


class Capture:
    """Captures for `scope`: each memory through `guarded`, none that is known already.

    What says no more than a memory of the namespace is counted as an access to that one.
    """

    def __init__(self, backend: Backend, scope: Scope, guarded: Guarded, make: Make) -> None:
        self._backend = backend
        self._scope = scope
        self._guarded = guarded
        self._make = make
        self._known: _Known | None = None

    def __call__(self, messages: Sequence[Message]) -> Captured:
        """Return what to write for what is worth remembering in `messages`."""
        touches: list[Op] = []
        fresh = _Known([])
        refused = []
        records: list[MemoryRecord] = []
        for record in (one for message in messages for one in self._candidates(message)):
            try:
                record = self._guarded(record)
            except GuardError as exc:  # the memory is dropped, never the message
                refused.append((record.made_by, exc))
                continue
            record = record.evolve(id=_id_of(record))
            same = self._backend.get(record.namespace, record.id)  # once: another may write it
            stored = self._stored(record, same)
            if stored is not None:
                touches.append(Touch(record.namespace, (stored.id,), record.created_at))
            elif not fresh.like(record):
                if same is not None or is_hidden(self._backend, record):
                    record = record.evolve(id=new_id())  # it held before, or is another's
                fresh.add(record)
                records.append(record)
        puts = [Put(record, *index_form(record.content)) for record in records]
        return Captured((*puts, *touches), tuple(records), tuple(refused))

    def written(self, captured: Captured) -> None:
        """Know what was written from now on."""
        for record in captured.records if self._known else ():
            self._known.add(record)  # type: ignore[union-attr]

    def _candidates(self, message: Message) -> Iterator[MemoryRecord]:
        for one in said_by(message):
            yield self._make(
                one.text,
                self._scope,
                message.created_at,
                kind=one.rule.kind,
                importance=one.rule.importance,
                metadata={"name": message.name} if message.name else None,
                sources=(message.id,),
                origin=message.role,
                made_by=f"{MADE_BY}{one.rule.name}",
            )

    def _stored(self, record: MemoryRecord, same: MemoryRecord | None) -> MemoryRecord | None:
        """Return a memory that holds and says all that `record` says, if there is one.

        `same` is the one that is stored under its id.
        """
        namespace, now = self._scope.namespace, datetime.now(UTC)
        if self._known is None:
            where = Where(namespace, kinds=KINDS, now=now, valid_at=now)
            self._known = _Known(self._backend.find(where, limit=KNOWN))
        known = [] if same is None else [same]
        known += filter(None, (self._backend.get(namespace, id) for id in self._known.like(record)))
        if not known:
            return None
        rules = rule_classes(self._backend, namespace)  # others may not see what says the same
        held = (one for one in known if _holds(one, now) and rules(one) == rules(record))
        return next(held, None)  # by now it may be forgotten, or past


class _Known:
    """The newest memories as this process knows them, by their words.

    Those of other processes since are found by their ids, if they say exactly the same.
    """

    def __init__(self, records: Sequence[MemoryRecord]) -> None:
        self._texts = Texts()
        self._records: list[MemoryRecord] = []
        for record in records:
            self.add(record)

    def add(self, record: MemoryRecord) -> None:
        self._texts.add(len(self._records), text_of(record.content))
        self._records.append(record)

    def like(self, record: MemoryRecord) -> list[str]:
        """Return the ids of those that say all that `record` says, of the same person."""
        found = self._texts.with_all_of(text_of(record.content), SIMILARITY)
        return [one.id for one in map(self._records.__getitem__, found) if _same(one, record)]


def said_by(message: Message) -> Iterator[Found]:
    """Yield what in `message` is worth remembering."""
    if message.role not in ("user", "assistant"):
        return
    own = (p.text for p in message.content if isinstance(p, TextPart) and "ctxplug" not in p.extra)
    for one in statements("\n".join(own)):
        if message.role == "user" or one.rule.name in ASSISTANT_RULES:
            yield one


def _holds(record: MemoryRecord, now: datetime) -> bool:
    ended = [time for time in (record.expires_at, record.valid_to) if time is not None]
    return all(time > now for time in ended)


def _same(one: MemoryRecord, other: MemoryRecord) -> bool:
    names = {one.metadata.get("name"), other.metadata.get("name")} - {None}
    return len(names) < 2 and one.origin == other.origin


def _id_of(record: MemoryRecord) -> str:
    """Return the id of what `record` says: two processes that capture it write one memory."""
    name = record.metadata.get("name") or ""
    said = f"{record.origin}\n{name}\n{normal(record.content)}"
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _rule(sentence: str) -> Rule | None:
    """Return the rule that a sentence meets, if it states something."""
    if _words(sentence) < SHORTEST or len(sentence) + len(_HAN.findall(sentence)) > LONGEST:
        return None
    masked = _QUOTED.sub(lambda m: m[0][0] + MASK * (len(m[0]) - 2) + m[0][-1], sentence)
    masked = masked.replace("’", "'")
    chinese = len(_HAN.findall(masked)) * 2 > len(_LATIN.findall(masked))
    if vetoes()[chinese].search(masked):
        return None
    for rule in rules():
        if (rule.chinese if chinese else rule.english).search(masked):
            return rule
    return None


def _stands(sentence: str) -> bool:
    """Say whether a sentence can stand before another to explain it."""
    return _words(sentence) >= SHORTEST and not sentence.endswith(("?", "？"))


def _quotes_end(sentence: str) -> bool:
    """Say whether what a sentence announces is in quotation marks within it."""
    return bool(_QUOTED.search(sentence)) and not _ENDS_OPEN.search(sentence)


def _words(sentence: str) -> float:
    words = len(sentence.split()) + len(_SHORT_FORM.findall(sentence))
    return words + len(_HAN.findall(sentence)) / 2
