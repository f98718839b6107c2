"""reference: a message is needed when a later one uses a value that it introduced first.

Values are ids, numbers and codes of at least 4 characters, names and identifiers of at
least 5, and in Chinese (where two characters may be a name) pairs standing alone and runs
of three. The index over a history is made once, in one pass over its text.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ctxplug.messages import Message
from ctxplug.scoring.said import arguments, shortened, spoken
from ctxplug.scoring.scorer import History, Item

MIN_CODE, MIN_NAME, MAX_VALUE = 4, 5, 200
COMMON = 4  # a word in more messages than this, and in over a fifth of them, tells nothing
COMMON_SHARE = 0.2
# What one use of a value is worth, by the best place it is used in; 1.0 in all scores 0.5.
IN_CALL, IN_WORDS, IN_RESULT = 1.0, 0.5, 0.2
HAN_SHARE = 0.7  # runs of three overlap, and some are phrases rather than names

_HAN = "\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[^\W{_HAN}](?:[^\W{_HAN}]|[-.,@+/:#'](?=[^\W{_HAN}]))*|[{_HAN}]{{2,}}")
_KEY = re.compile(r'"[^"\\\n]{1,64}"\s*:')  # in a result, a field's name is no value
_DIGIT = re.compile("[0-9]")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}\Z")
_PIECES = re.compile(r"[/:#,]+")
# Characters that are grammar nearly always: a Chinese run is cut at them.
_GRAMMAR = re.compile(
    "[的了是在我你您他她它们这那哪个和与或就都也还把被给对从到去来往为吗呢吧啊呀嘛不没有要会能可以请说问"
    "一两几些很最更再又才只将已经着过得所但如果什么怎样谁多少]+"
)


@dataclass(frozen=True)
class Reference:
    """1 - 0.5 ** (the worth of the values that were introduced here and used later).

    A value that a later tool call takes as argument is worth 1.0, one that is said again
    0.5, one that only another tool result repeats 0.2. What is not in the history, and
    what nobody refers to, scores 0.0.
    """

    name: str = field(default="reference", init=False)

    def score(self, item: Item, now: datetime, history: History) -> float:
        """Return how much later messages rely on `item`."""
        position = history.position(item)
        if position is None:
            return 0.0
        return 1.0 - math.pow(0.5, history.derived(_worths)[position])


def _worths(history: History) -> list[float]:
    """Return for each message the worth of what it introduced, in one pass."""
    uses = [_uses(message) for message in history.messages]
    holders = Counter(value for one in uses for value in one)
    common = max(COMMON, COMMON_SHARE * len(uses))
    origin: dict[str, int] = {}
    worth: dict[str, float] = {}
    for i, one in enumerate(uses):
        for value, weight in one.items():
            if value not in origin:
                origin[value] = i
            else:
                worth[value] = max(worth.get(value, 0.0), weight)
    found = [0.0] * len(uses)
    for value, weight in worth.items():
        if holders[value] <= common or _DIGIT.search(value):  # an id is none the worse for it
            found[origin[value]] += weight
    return found


def _uses(message: Message) -> Mapping[str, float]:
    """Return the values in `message`, each with the worth of being used there."""
    text = spoken(message)
    if message.role == "tool":
        found = {value: IN_RESULT * share for value, share in _values(_KEY.sub(" ", text))}
    else:
        found = {value: IN_WORDS * share for value, share in _values(text)}
    called = shortened("\n".join(leaf for call in message.tool_calls for leaf in arguments(call)))
    found.update((value, IN_CALL * share) for value, share in _values(called))
    return found


def _values(text: str) -> Iterator[tuple[str, float]]:
    """Yield the values in `text`, each with the share of a whole value it counts for."""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if "\u3400" <= token[0] <= "\u9fff" or "\uf900" <= token[0] <= "\ufaff":
            yield from ((value, HAN_SHARE) for value in _han(token))
            continue
        if len(token) > MAX_VALUE:
            continue
        for value in {token, *_PIECES.split(token)}:
            if _is_value(value):
                yield value.replace(",", "").casefold(), 1.0


def _is_value(token: str) -> bool:
    if _DIGIT.search(token):
        return len(token) >= MIN_CODE and not _YEAR.match(token)
    if len(token) < MIN_NAME:
        return False
    # An inner capital or joint is an identifier; an initial capital may be a name, and the
    # words that merely begin sentences are in too many messages to count.
    return token[1:] != token[1:].lower() or token[0].isupper() or "_" in token or "@" in token


def _han(run: str) -> Iterator[str]:
    for chunk in _GRAMMAR.split(run):
        if len(chunk) == 2:
            yield chunk
        for i in range(len(chunk) - 2):
            yield chunk[i : i + 3]
