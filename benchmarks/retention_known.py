"""Does the window hold what the question is about? `python benchmarks/retention_known.py`.

The turns of a LoCoMo conversation are one session. A question is added to it as the user's
next message, and `memory.context(query=question)` makes a window of 5, 10, 20 and 30 % of the
conversation's tokens, the question and all framing included. Reported is the share of the
evidence turns (categories 1 to 4, the mean over questions) that are in the window: as a
message, word for word, or as a line of the recalled block. The lines of a block that is filled
are, after the first twentieth of it, without the words that carry no content (articles, copulas,
greetings), and count all the same: each says who said it and when, and names nothing else than
the turn does. What a digest keeps of a turn does not count.

`question` is a policy that gives recall the window; `balanced` is the default, which keeps
most of it for the talk and shows up to twenty memories word for word. `newest turns` is what
trimming would keep. With --embedder SPEC, recall goes by meaning too.

    python benchmarks/retention_known.py [--embedder SPEC] [--json] [--data DIR]

The data are `locomo-dev/*.json` in the folder CTXPLUG_DATA or ../shared/data beside the
checkout.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

from recall_data import Conversation, Question, read_conversations
from recorded_data import data_folder

from ctxplug import AgentMemory, Message
from ctxplug.context.policy import PRESETS, ContextPolicy
from ctxplug.plugins import installed
from ctxplug.recall.embedder import Embedder
from ctxplug.registry import Registry
from ctxplug.tokens import TokenCounter

SHARES = (0.05, 0.1, 0.2, 0.3)
GOALS = (0.88, 0.93, 0.97, 0.98)
POLICIES = {name: PRESETS[name] for name in ("question", "balanced")}


def main() -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the folder with locomo-dev")
    parser.add_argument("--policy", choices=POLICIES, action="append", help="only this one")
    parser.add_argument("--embedder", metavar="SPEC")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth question")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = data_folder(options.data)
    conversations = read_conversations(data / "locomo-dev") if data else []
    if data is None or not conversations:
        print("There is no LoCoMo conversation; set CTXPLUG_DATA or --data.", file=sys.stderr)
        return 1
    conversations = [replace(c, questions=c.questions[:: options.every]) for c in conversations]
    embedder = Registry(installed()).resolve("embedder", options.embedder)
    rows = {"newest turns": [newest(conversations, share) for share in SHARES]}
    for name in options.policy or POLICIES:
        label = f"{name} + {options.embedder}" if options.embedder else name
        rows[label] = [retained(conversations, POLICIES[name], share, embedder) for share in SHARES]
    if options.json:
        print(json.dumps({"shares": SHARES, "goals": GOALS, "rows": rows}, indent=1))
        return 0
    print("| policy |" + "".join(f" {share:.0%} |" for share in SHARES))
    print("|---|" + "---:|" * len(SHARES))
    for name, values in (*rows.items(), ("goal", GOALS)):
        print(f"| {name} |" + "".join(f" {value:.1%} |" for value in values))
    return 0


def retained(
    conversations: Sequence[Conversation],
    policy: ContextPolicy,
    share: float,
    embedder: Embedder | None = None,
) -> float:
    """Return the mean share of a question's evidence that is in its window."""
    found: list[float] = []
    for conversation in conversations:
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder, "memory.db")
            with _open(store, conversation, policy, 8_000, embedder) as memory:
                memory.extend(conversation.messages)
                if embedder is not None:
                    memory.reindex()  # waits for what is made in the background
                budget = int(share * tokens(conversation.messages, memory.counter))
            with _open(store, conversation, policy, budget) as memory:
                memory.context()  # a session that has long been windowed, as in use
            for question in conversation.questions:
                if question.category != 5:
                    copy = store.with_name(f"asked-{len(found)}.db")
                    shutil.copy(store, copy)
                    with _open(copy, conversation, policy, budget, embedder) as memory:
                        found.append(_asked(memory, conversation, question))
    return mean(found)


def _asked(memory: AgentMemory, conversation: Conversation, question: Question) -> float:
    memory.add("user", question.text)
    window = memory.context(question.text)
    assert window.tokens <= memory.budget
    held = {message.id for message in window.messages}
    session = memory.scope.session
    versions = {f"{session}@{n}": m.id for n, m in enumerate(conversation.messages, 1)}
    held |= {versions[id] for id in window.report.recalled if id in versions}
    return sum(id in held for id in question.evidence) / len(question.evidence)


def newest(conversations: Sequence[Conversation], share: float) -> float:
    """Return the mean share of a question's evidence in the newest turns."""
    found: list[float] = []
    for conversation in conversations:
        with _open(Path("memory:"), conversation, PRESETS["balanced"], 8_000) as memory:
            left = share * tokens(conversation.messages, memory.counter)
            held = set()
            for message in reversed(conversation.messages):
                left -= memory.counter.count(message)
                if left < 0:
                    break
                held.add(message.id)
        found += [
            sum(id in held for id in question.evidence) / len(question.evidence)
            for question in conversation.questions
            if question.category != 5
        ]
    return mean(found)


def tokens(messages: Sequence[Message], counter: TokenCounter) -> int:
    """Return what the messages take in a request."""
    return sum(map(counter.count, messages))


def _open(
    place: Path,
    conversation: Conversation,
    policy: ContextPolicy,
    budget: int,
    embedder: Embedder | None = None,
) -> AgentMemory:
    target = "memory:" if str(place) == "memory:" else f"sqlite:///{place}?synchronous=normal"
    return AgentMemory.open(
        target,
        namespace="u",
        session=conversation.name,
        budget=budget,
        policy=policy,
        embedder=embedder,
    )


if __name__ == "__main__":
    sys.exit(main())
