"""What survives compression when no question is known yet? Without a model.

A LoCoMo conversation is compressed to 10, 20, 30 and 50 % of its tokens (cl100k, every
message counted with its name and framing), and then asked about. An *answer word* is a
content word of the answer to a question of category 1 to 4: stop words dropped, stemmed.

- anywhere: of the answer words that the full conversation holds, the share still there;
- absolute: the same of all answer words (the full conversation does not hold all);
- in evidence: of the answer words that the turns marked as evidence hold, the share still
  there in what was kept *of those turns*.

A turn is its speaker, its day (as day, month and year) and its text with the caption of a
picture. What a line is kept of is told by the version it begins with. Salience weights
were fitted on conversations 26, 30 and 41; 42 and 43 were held out.

The Chinese check compresses all MADial dialogues as one session: of the content bigrams of
the events a dialogue is about that the dialogue holds, the share still in its lines.

    python benchmarks/retention.py [--json] [--data DIR]

The data are `locomo-dev/*.json` and `madial-zh-dev/*.jsonl` in the folder CTXPLUG_DATA or
../shared/data beside the checkout.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorded_data import data_folder, default_counter
from retention_data import Conversation, Words, bigrams, read_conversation, read_dialogues, words

from ctxplug.compression import CompressionTools, Unit, block, total
from ctxplug.compression.digest import Digest
from ctxplug.compression.extractive import Extractive
from ctxplug.compression.sentences import split
from ctxplug.messages import Logged, Message
from ctxplug.tokens import TokenCounter

SHARES = (0.1, 0.2, 0.3, 0.5)
FITTED = ("26", "30", "41")
HIGH_WATER = 1.5  # of the target: where the fed digest compacts
MONTHS = "January February March April May June July August September October November December"

Method = Callable[[Sequence[Unit], int, CompressionTools], Sequence[Unit]]


@dataclass
class Score:
    """Counts of answer words, summed over conversations."""

    asked: int = 0
    held: int = 0
    kept: int = 0
    evidence_held: int = 0
    evidence_kept: int = 0

    def percent(self) -> dict[str, float]:
        return {
            "anywhere": _percent(self.kept, self.held),
            "absolute": _percent(self.kept, self.asked),
            "in_evidence": _percent(self.evidence_kept, self.evidence_held),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--data", help="the folder with locomo-dev and madial-zh-dev")
    args = parser.parse_args()
    data = data_folder(args.data)
    files = sorted((data / "locomo-dev").glob("*.json")) if data else []
    if data is None or not files:
        print("Skipped: no locomo-dev/*.json; set CTXPLUG_DATA or --data.", file=sys.stderr)
        return 0
    counter = default_counter("cl100k_base")
    tools = CompressionTools(counter, _ref)
    conversations = [read_conversation(file, counter) for file in files]
    result: dict[str, Any] = {"counter": counter.name, "tokens": _tokens(conversations)}
    result["rows"] = [row for name in METHODS for row in _rows(name, conversations, tools)]
    result["kilobytes_per_second"] = _speed(conversations, tools)
    chinese = data / "madial-zh-dev"
    if chinese.is_dir():
        result["chinese"] = _chinese(chinese, tools)
    print(json.dumps(result, ensure_ascii=False, indent=1) if args.json else _table(result))
    return 0


# The methods


def _full(units: Sequence[Unit], target: int, tools: CompressionTools) -> Sequence[Unit]:
    return units


def _recent(units: Sequence[Unit], target: int, tools: CompressionTools) -> Sequence[Unit]:
    kept = list(units)
    left = total(kept)
    while left > target:
        left -= kept.pop(0).tokens
    return kept


def _random(units: Sequence[Unit], target: int, tools: CompressionTools) -> Sequence[Unit]:
    """Sentences in random order until the target; a message pays its framing once."""
    rng = random.Random(0)
    count = tools.counter.count_text
    sentences = [(i, s) for i, u in enumerate(units) for s in split(u.items[0].message.text)]
    kept: dict[int, list[str]] = {}
    for i, sentence in rng.sample(sentences, len(sentences)):
        message = units[i].items[0].message
        frame = 0 if i in kept else units[i].tokens - count(message.text)
        target -= count(sentence) + frame
        if target < 0:
            break
        kept.setdefault(i, []).append(sentence)
    return [_with_text(units[i], " ".join(kept[i]), tools.counter) for i in sorted(kept)]


def _fed(units: Sequence[Unit], target: int, tools: CompressionTools) -> Sequence[Unit]:
    """The digest as an agent meets it: compacted whenever the window is full again."""
    strategy = Digest()
    window: list[Unit] = []
    for unit in units:
        window.append(unit)
        if total(window) > HIGH_WATER * target:
            window = list(strategy.compress(window, target, tools))
    return strategy.compress(window, target, tools)


METHODS: dict[str, Method] = {
    "full text": _full,
    "most recent": _recent,
    "random sentences": _random,
    "extractive": lambda units, target, tools: Extractive().compress(units, target, tools),
    "digest": lambda units, target, tools: Digest().compress(units, target, tools),
    "digest, compacted as it grows": _fed,
    "digest(chain=1.0)": lambda u, target, tools: Digest(chain=1.0).compress(u, target, tools),
}


# What is measured


def _rows(
    name: str, conversations: Sequence[Conversation], tools: CompressionTools
) -> Iterable[dict[str, Any]]:
    for share in SHARES:
        groups = {"all": Score(), "fitted": Score(), "held out": Score()}
        used = 0
        for conversation in conversations:
            target = int(share * total(conversation.units))
            kept = METHODS[name](conversation.units, target, tools)
            used += total(kept)
            turns = _by_version(kept)
            for group in ("all", "fitted" if conversation.name in FITTED else "held out"):
                _add(groups[group], conversation, turns)
        whole = sum(total(c.units) for c in conversations)
        scores = {group: score.percent() for group, score in groups.items()}
        yield {"method": name, "share": share, "used": round(used / whole, 4), **scores}
        if name == "full text":
            return


def _add(score: Score, conversation: Conversation, kept: dict[int, Words]) -> None:
    full = _by_version(conversation.units)
    held_anywhere = frozenset().union(*full.values())
    kept_anywhere = frozenset().union(*kept.values())
    for question in conversation.questions:
        held = question.words & held_anywhere
        score.asked += len(question.words)
        score.held += len(held)
        score.kept += len(held & kept_anywhere)
        evidence = question.words & frozenset().union(*(full[v] for v in question.evidence))
        there = frozenset().union(*(kept.get(v, frozenset()) for v in question.evidence))
        score.evidence_held += len(evidence)
        score.evidence_kept += len(evidence & there)


def _by_version(units: Iterable[Unit]) -> dict[int, Words]:
    """Return for each version the words of what the units keep of it."""
    return {version: frozenset(words(text)) for version, text in _texts(units).items()}


def _texts(units: Iterable[Unit]) -> dict[int, str]:
    found: dict[int, str] = {}
    for unit in units:
        (item,) = unit.items
        message = item.message
        if unit.sources and block.is_block(message.text):
            for line in block.parse(message.text):
                said = f"{line.who} {_day(line.day)} {line.text}"
                found[line.version] = f"{found.get(line.version, '')} {said}"
        else:
            day = _day(message.created_at.date().isoformat())
            found[item.version] = f"{message.name or ''} {day} {message.text}"
    return found


def _day(iso: str) -> str:
    if not iso:
        return ""
    year, month, day = iso.split("-")
    return f"{int(day)} {MONTHS.split()[int(month) - 1]} {year}"


def _speed(conversations: Sequence[Conversation], tools: CompressionTools) -> int:
    """Return the kilobytes of text a second that the digest compresses to 30 %."""
    size = sum(len(u.items[0].message.text.encode()) for c in conversations for u in c.units)
    start = time.perf_counter()
    for c in conversations:
        Digest(chain=0.99).compress(c.units, int(0.3 * total(c.units)), tools)
    return round(size / 1_000 / (time.perf_counter() - start))


# Chinese


def _chinese(folder: Path, tools: CompressionTools) -> list[dict[str, Any]]:
    units, dialogues = read_dialogues(folder, tools.counter)
    full = _texts(units)
    rows = []
    for name, method in METHODS.items():
        for share in SHARES:
            kept = _texts(method(units, int(share * total(units)), tools))
            held = survived = 0
            for dialogue in dialogues:
                said = " ".join(full[v] for v in dialogue.versions)
                there = dialogue.about & bigrams(said)
                held += len(there)
                left = " ".join(kept.get(v, "") for v in dialogue.versions)
                survived += len(there & bigrams(left))
            rows.append({"method": name, "share": share, "kept": _percent(survived, held)})
    return rows


def _with_text(unit: Unit, text: str, counter: TokenCounter) -> Unit:
    (item,) = unit.items
    m = item.message
    message = Message(m.role, text, name=m.name, created_at=m.created_at, id=m.id)
    return Unit((Logged(item.version, message, counter.count(message)),))


def _ref(unit: Unit) -> str:
    first, last = unit.versions[0], unit.versions[-1]
    return f"talk@{first}" if first == last else f"talk@{first}-{last}"


def _tokens(conversations: Sequence[Conversation]) -> dict[str, int]:
    return {c.name: total(c.units) for c in conversations}


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 100.0


def _table(result: dict[str, Any]) -> str:
    out = ["| method | share | anywhere | absolute | in evidence | held out: anywhere / evidence |"]
    out.append("|---|---|---|---|---|---|")
    for row in result["rows"]:
        share = "100 %" if row["method"] == "full text" else f"{100 * row['share']:.0f} %"
        al, held = row["all"], row["held out"]
        out.append(
            f"| {row['method']} | {share} | {al['anywhere']} | {al['absolute']} |"
            f" {al['in_evidence']} | {held['anywhere']} / {held['in_evidence']} |"
        )
    out.append("")
    speed = result["kilobytes_per_second"]
    out.append(f"Tokens by {result['counter']}. The digest to 30 % took in {speed} kB a second.")
    if "chinese" in result:
        out += ["", "| Chinese: method | " + " | ".join(f"{s:.0%}" for s in SHARES) + " |"]
        out.append("|---|" + "---|" * len(SHARES))
        for name in METHODS:
            kept = [str(r["kept"]) for r in result["chinese"] if r["method"] == name]
            out.append(f"| {name} | {' | '.join(kept)} |")
    return "\n".join(out)


if __name__ == "__main__":
    raise SystemExit(main())
