"""What a model is sent, beside what frameworks would send: `python benchmarks/peer_windows.py`.

A session is played message by message. Before each assistant message every way to keep it
within the budget is told what is new and asked what the model is sent; all ways take turns, so
that a machine that slows down slows all of them. `peer_senders.py` says how each is set up.

- over: windows of more tokens than the budget, of all windows;
- tokens: mean tokens of a window;
- invalid: windows that break a rule of Anthropic, OpenAI or Gemini, by ctxplug's checker
  (`ctxplug.context.validity`), and by `plain_faults`, a check of 25 lines that shares nothing
  with it; the row of the full history says what the transcript itself breaks;
- cost: input over the session in plain input tokens, where a cached token costs 0.1 and one
  that is written to the cache 1.25, calls of a model of its own included, by trim_messages';
- from cache: the share of the input that is read from the cache;
- values lost: argument values of later tool calls that only a tool result held, and that are
  not in the window any more;
- word for word: the mean share of past messages that are in the window unchanged;
- x ctxplug: the median time to take in what is new and say what is sent, by ctxplug's.

What is kept for later, without a question known: LoCoMo's conversations end, and of the content
words of answers to questions the share in the last window is told; for MADial, the character
pairs of events. With the question known: the share of LoCoMo's evidence turns in the window. The
peers here do not choose by a question: their window is what they would send anyway.

    python benchmarks/peer_windows.py [--small] [--json] [--data DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from peer_data import CannotTakePart, Session, recorded_sessions, synthetic_session
from peer_senders import SENDERS, Sender
from recorded_data import data_folder, default_counter
from retention_data import bigrams, words

from ctxplug.comparison.survival import Survival, text_of, tool_only
from ctxplug.context.validity import PROVIDERS, check
from ctxplug.messages import Logged, Message
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.cache_meter import CacheMeter

SMALL = ("history", "balanced", "trim_messages", "SummarizationMiddleware", "LlamaIndex Memory")
OURS, TRIM = "ctxplug, balanced", "LangChain trim_messages"
EVERY = 4  # of the questions about a conversation: each is a window of its own


@dataclass
class Track:
    """What was measured of one sender so far."""

    sender: Sender
    meter: CacheMeter = field(default_factory=CacheMeter)
    survival: Survival = field(default_factory=Survival)
    windows: int = 0
    over: int = 0
    tokens: int = 0
    invalid: int = 0
    plainly: int = 0
    broken: set[str] = field(default_factory=set)
    verbatim: float = 0.0
    failed: str = ""
    times: list[float] = field(default_factory=list)


class Book:
    """Counts and versions of messages by what they say, so that each is counted once."""

    def __init__(self, counter: TokenCounter, messages: Sequence[Message]) -> None:
        self.counter = counter
        self.tokens: dict[Any, int] = {}
        self.keys = [self._key(m) for m in messages]
        self.versions = {key: n for n, key in enumerate(self.keys, 1)}
        self.past: Counter[Any] = Counter()  # of the keys that were told so far
        self.said = [self.logged(m) for m in messages]

    def logged(self, message: Message) -> Logged:
        """Return a message with its tokens and the version it had, or 0 if it was changed."""
        key = self._key(message)
        if key not in self.tokens:
            self.tokens[key] = self.counter.count(message)
        return Logged(self.versions.get(key, 0), message, self.tokens[key])

    def verbatim(self, window: Sequence[Logged], told: int) -> int:
        """Return how many of the first `told` messages stand in a window unchanged."""
        while self.past.total() < told:
            self.past[self.keys[self.past.total()]] += 1
        return (Counter(self._key(m.message) for m in window) & self.past).total()

    @staticmethod
    def _key(message: Message) -> Any:
        return (message.role, repr(message.content))


def plain_faults(messages: Sequence[Message]) -> list[str]:
    """Return what is wrong with a message list by the rules that all providers share."""
    faults: list[str] = []
    waiting: set[str] = set()
    rest = [m for m in messages if m.role != "system"]
    if not rest or rest[0].role != "user":
        faults.append("the first message is not the user's")
    for message in rest:
        if message.role == "tool":
            for result in message.tool_results:
                if result.call_id not in waiting:
                    faults.append("a result without its call")
                waiting.discard(result.call_id)
        elif waiting:
            faults.append("a call without its result")
            waiting = set()
        if message.tool_calls:
            waiting = {call.id for call in message.tool_calls}
        if not message.tool_calls and not message.tool_results and not message.text.strip():
            faults.append("a message that says nothing")
    return [*faults, "a call without its result"] if waiting else faults


# -- a session -----------------------------------------------------------------------------


def measure(session: Session, senders: Sequence[str] = tuple(SENDERS)) -> dict[str, Any]:
    """Play a session under all senders; return `rows` and who is `absent`, with the reason."""
    counter = default_counter()
    book = Book(counter, session.messages)
    system = [m for m in session.messages if m.role == "system"]
    tracks: dict[str, Track] = {}
    absent: dict[str, str] = {}
    for name in senders:
        try:
            tracks[name] = Track(SENDERS[name](session.budget, counter, system))
        except CannotTakePart as reason:
            absent[name] = str(reason)
    _play(session, tracks, book)
    for track in tracks.values():
        track.meter.extra = track.sender.spent
    beside = tracks[TRIM].meter.cost if TRIM in tracks else None
    ours = median(tracks[OURS].times)
    return {
        "budget": session.budget,
        "messages": len(session.messages),
        "counter": counter.name,
        "rows": [_row(name, track, beside, ours) for name, track in tracks.items()],
        "absent": absent,
    }


def _play(session: Session, tracks: Mapping[str, Track], book: Book) -> None:
    """Ask everyone before each assistant message."""
    calls = [n for n, m in enumerate(session.messages) if n and m.role == "assistant"]
    for call, (before, now) in enumerate(pairwise([0, *calls])):
        needed = tool_only(session.messages[now], book.said[:now])
        new = session.messages[before:now]
        names = list(tracks)
        for name in names[call % len(names) :] + names[: call % len(names)]:
            _ask(tracks[name], new, call, session.budget, book.said[:now], needed, book)


def _ask(
    track: Track,
    new: Sequence[Message],
    call: int,
    budget: int,
    history: Sequence[Logged],
    needed: Sequence[str],
    book: Book,
) -> None:
    prepared = track.sender.prepare(new)
    began = perf_counter()
    track.sender.hear(prepared)
    if call % track.sender.every:
        return
    try:
        sent = track.sender.send()
    except Exception as error:  # a peer that raises has no window for this call
        track.failed = f"{type(error).__name__}: {error}"
        return
    track.times.append(perf_counter() - began)
    window = [book.logged(m) for m in track.sender.read(sent)]
    size = sum(m.tokens for m in window) + book.counter.request_tokens
    track.windows += 1
    track.tokens += size
    track.over += size > budget
    messages = [m.message for m in window]
    broken = {fault.rule for provider in PROVIDERS for fault in check(provider, messages)}
    track.broken |= broken
    track.invalid += bool(broken)
    track.plainly += bool(plain_faults(messages))
    track.verbatim += book.verbatim(window, len(history)) / len(history)
    track.meter.request(window)
    track.survival.look(needed, history, window)


def _row(name: str, track: Track, trim: float | None, ours: float) -> dict[str, Any]:
    n = max(1, track.windows)
    whole = track.sender.every == 1  # only then are two windows neighbours
    return {
        "sender": name,
        "windows": track.windows,
        "over": track.over / n,
        "tokens": track.tokens / n,
        "invalid": track.invalid / n,
        "plainly_invalid": track.plainly / n,
        "rules": sorted(track.broken),
        "cost": track.meter.cost / trim if trim and whole else None,
        "from_cache": track.meter.hit_share if whole else None,
        "needed": track.survival.tool_only if whole else None,
        "lost": track.survival.lost if whole else None,
        "verbatim": track.verbatim / n,
        "model_calls": track.sender.model_calls,
        "median_ms": median(track.times) * 1e3 if track.times else None,
        "x": median(track.times) / ours if track.times else None,
        "failed": track.failed,
    }


def last_window(messages: Sequence[Message], name: str, budget: int) -> list[Message]:
    """Return what a sender gives at the end of a session that it heard call by call."""
    counter = default_counter()
    system = [m for m in messages if m.role == "system"]
    sender = SENDERS[name](budget, counter, system)
    calls = [n for n, m in enumerate(messages) if n and m.role == "assistant"]
    for before, now in pairwise([0, *calls, len(messages)]):
        sender.hear(sender.prepare(messages[before:now]))
        if sender.every == 1 or now == len(messages):
            sent = sender.send()
    return sender.read(sent)


# -- what is kept for later ----------------------------------------------------------------


def kept_for_later(folder: Path, budget: int, senders: Sequence[str]) -> dict[str, Any]:
    """Return for each sender the shares of answer words, event pairs and evidence kept."""
    from recall_data import read_conversations
    from retention_data import read_conversation
    from retention_known import POLICIES, retained

    counter = default_counter()
    conversations = read_conversations(folder / "locomo-dev")
    asked = {c.name: read_conversation(f, counter) for c, f in _files(folder, conversations)}
    rows: dict[str, dict[str, float]] = {}
    for name in senders:
        try:
            rows[name] = _kept(name, conversations, asked, folder, budget)
        except CannotTakePart:
            continue
    for name in ("balanced", "question"):
        shares = []
        for conversation in conversations:
            size = sum(map(counter.count, conversation.messages))
            few = [q for q in conversation.questions if q.category != 5][::EVERY]
            asking = replace(conversation, questions=tuple(few))
            shares += [retained([asking], POLICIES[name], budget / size)] * len(few)
        row = rows.setdefault(f"ctxplug, {name}", {})
        row["known"] = sum(shares) / len(shares)
    return {"budget": budget, "rows": rows}


def _files(folder: Path, conversations: Sequence[Any]) -> Any:
    return [(c, folder / "locomo-dev" / f"{c.name}.json") for c in conversations]


def _kept(
    name: str, conversations: Sequence[Any], asked: Mapping[str, Any], folder: Path, budget: int
) -> dict[str, float]:
    held = there = pairs = left = size = 0
    counter = default_counter()
    evidence: list[float] = []
    for conversation in conversations:
        window = last_window(conversation.messages, name, budget)
        size += sum(map(counter.count, window))
        full = _words(conversation.messages)
        kept = _words(window)
        for question in asked[conversation.name].questions:
            held += len(question.words & full)
            there += len(question.words & full & kept)
        texts = {m.text for m in window}
        said = {m.id: m.text for m in conversation.messages}
        evidence += [
            sum(said[id] in texts for id in q.evidence) / len(q.evidence)
            for q in [q for q in conversation.questions if q.category != 5][::EVERY]
        ]
    chat = recorded_sessions(folder, 1)[2].messages
    now = bigrams(" ".join(map(text_of, last_window(chat, name, budget))))
    before = bigrams(" ".join(map(text_of, chat)))
    for about in _events(folder):
        pairs += len(about & before)
        left += len(about & now)
    row = {"answer_words": there / held, "event_pairs": left / pairs}
    if not name.startswith("ctxplug"):  # which chooses by the question
        row["known"] = sum(evidence) / len(evidence)
    return row | {"tokens": size / len(conversations)}


def _events(folder: Path) -> list[set[str]]:
    from recall_data import read_dialogues

    memories, dialogues = read_dialogues(folder / "madial-zh-dev")
    return [bigrams(str(memories[id]["event"])) for d in dialogues for id in d.relevant]


def _words(messages: Sequence[Message]) -> set[str]:
    return {w for m in messages for w in words(f"{m.name or ''} {m.text}")}


# -- all of it -----------------------------------------------------------------------------


def run(small: bool, data: str | None) -> dict[str, Any]:
    """Return the measurements by the name of the session."""
    if small:
        few = [n for n in SENDERS if n.endswith(SMALL)]
        session = synthetic_session()
        return {session.name: measure(session, few)}
    folder = data_folder(data)
    if folder is None:
        return {"skipped": "there are no recorded data; set CTXPLUG_DATA to their folder"}
    found = {session.name: measure(session) for session in recorded_sessions(folder)}
    senders = [name for name in SENDERS if name != "full history"]
    return {**found, "kept for later": kept_for_later(folder, 4_000, senders)}


def table(result: Mapping[str, Any]) -> str:
    """Return one session as a Markdown table, and who could not take part."""
    lines = [
        "| what is sent by | over | tokens | invalid | plain check | cost x trim | from cache"
        " | values lost | word for word | model calls | x ctxplug |",
        "|---|" + "---:|" * 10,
    ]
    for r in result["rows"]:
        lost = f"{r['lost']} of {r['needed']}" if r["needed"] else "-"
        lines.append(
            f"| {r['sender']} | {r['over']:.0%} | {r['tokens']:,.0f} | {r['invalid']:.0%}"
            f" | {r['plainly_invalid']:.0%} | {_or_dash(r['cost'], '.2f')}"
            f" | {_or_dash(r['from_cache'], '.0%')} | {lost} | {r['verbatim']:.0%}"
            f" | {r['model_calls']} | {_or_dash(r['x'], '.2f')} |"
        )
    lines += ["", *(f"- {name} took no part: {why}." for name, why in result["absent"].items())]
    lines += [f"- {r['sender']} raised {r['failed']}" for r in result["rows"] if r["failed"]]
    return "\n".join(lines).rstrip()


def kept_table(result: Mapping[str, Any]) -> str:
    """Return what is kept for later as a Markdown table."""
    columns = ("known", "answer_words", "event_pairs")
    lines = [
        "| what is sent by | tokens at the end | evidence turns, question known"
        " | answer words, none known | event pairs (Chinese), none known |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in result["rows"].items():
        cells = " | ".join(_or_dash(row.get(column), ".1%") for column in columns)
        lines.append(f"| {name} | {_or_dash(row.get('tokens'), ',.0f')} | {cells} |")
    return "\n".join(lines)


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def main() -> None:
    """Measure, and print tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a synthetic session only")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", help="the folder with the recorded data")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # two of the peers are deprecated, and say so
    result = run(options.small, options.data)
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    elif "skipped" in result:
        print(f"Skipped: {result['skipped']}.", file=sys.stderr)
    else:
        for name, part in result.items():
            if name == "kept for later":
                print(f"### Kept for later, {part['budget']:,} tokens\n\n{kept_table(part)}\n")
                continue
            print(f"### {name}: {part['messages']:,} messages in {part['budget']:,} tokens\n")
            print(f"{table(part)}\n")


if __name__ == "__main__":
    main()
