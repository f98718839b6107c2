"""Faults put into recorded runs, for benchmarks/failure_analysis.py; who finds them is not known.

A run is a list of turns: a message, how long the model and the tools took (drawn by a seed from
what is usual of the model and of each tool), and what goes wrong there. Four faults:

- `lost value`: a value that a call needs, and that only earlier messages before the current turn
  hold, is cut from the window just before that call: the messages that hold it are blanked by a
  compaction, or taken out of view by an edit. Then the call goes on as it was recorded, or takes a
  wrong value and is answered by an error, or the user is asked and says the value again.
- `tool error`: a result is replaced by an error, in one of the forms in which tools tell of them;
  the run goes on as recorded, or ends there.
- `retry loop`: a call is made three to six times over, with the same answer, with errors, in
  other spelling, or in turns with another; or the model has to be called that often.
- `slow step`: one run of a tool, or one call of the model, takes 8 to 40 times as long.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from ctxplug.messages import Message, TextPart, ToolCallPart, ToolResultPart

LOST, ERROR, LOOP, SLOW = "lost value", "tool error", "retry loop", "slow step"
FAULTS = (LOST, ERROR, LOOP, SLOW)
ERRORS: tuple[tuple[str, bool], ...] = (  # a text, and whether the result is marked as an error
    ("Error: the connection to the database timed out after 30 s", False),
    ('{"error": {"code": 503, "message": "Service Unavailable"}}', False),
    ('{"success": false, "message": "internal server error"}', False),
    ('Traceback (most recent call last):\n  File "api.py", line 31, in call\nKeyError: 1', False),
    ("HTTP 500 Internal Server Error", False),
    ("Request failed with status code 429", False),
    ('{"status": "error", "detail": "upstream did not answer"}', False),
    ("PermissionError: access denied", True),
    ("no answer", True),
    ("The record does not exist.", True),
    ("错误：服务暂时不可用，请稍后重试", False),
    ('{"code": 500, "msg": "数据库连接超时"}', False),
    ("查询失败：系统繁忙", False),
    ('{"状态": "失败", "原因": "没有权限"}', False),
    ("调用接口时出现异常，未能获取数据", True),
)
NOT_FOUND = ("Error: {} not found", '{{"error": "no such {}"}}', "错误：找不到{}")
SORRY = ("I am sorry, I cannot go on with this.", "抱歉，我无法继续处理您的请求。")
ASKING = ("Could you give me the {} once more, please?", "请您再提供一次{}，好吗？")


@dataclass(frozen=True)
class Turn:
    """A message as it is played; seconds are of the model that said it, or of each tool run.

    Before its window is made, `cut` is blanked (by "compaction") or put out of view ("edit").
    `attempts` are how often the model had to be called.
    """

    message: Message
    seconds: float = 0.0
    cut: tuple[str, str] | None = None  # how, and the value
    attempts: int = 1


@dataclass(frozen=True)
class Case:
    """A run with one fault, or none; `place` are the indexes of turns where it is seen."""

    name: str
    turns: tuple[Turn, ...]
    fault: str = "none"
    style: str = ""
    place: tuple[int, ...] = ()


def untouched(name: str, messages: Sequence[Message]) -> Case:
    """Return a run as it was recorded, with usual durations."""
    rng = random.Random(f"{name}:durations")
    called: dict[str, str] = {}
    turns = []
    for message in messages:
        called |= {call.id: call.name for call in message.tool_calls}
        seconds = 0.0
        if message.role == "assistant":
            seconds = _drawn(rng, 1.8, 0.4)
        elif message.tool_results:
            seconds = _drawn(rng, _usual(called.get(message.tool_results[0].call_id, "")), 0.35)
        turns.append(Turn(message, seconds))
    return Case(name, tuple(turns))


def injected(case: Case, fault: str) -> Case | None:
    """Return the run with `fault`, in a place and style drawn by its name, or None."""
    rng = random.Random(f"{case.name}:{fault}")
    return _INJECT[fault](case, rng)


def _usual(tool: str) -> float:
    return 0.1 + 0.7 * random.Random(f"usual:{tool}").random()


def _drawn(rng: random.Random, median: float, sigma: float) -> float:
    return median * math.exp(rng.gauss(0, sigma))


# -- the calls of a run --------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A call with the turns of its message and of its result."""

    asked: int
    answered: int
    call: ToolCallPart


def pairs(turns: Sequence[Turn]) -> list[Pair]:
    """Return the calls that are alone in their message and answered by the next."""
    found = []
    for i, turn in enumerate(turns[:-1]):
        calls = turn.message.tool_calls
        if len(calls) == 1 and turns[i + 1].message.tool_results:
            found.append(Pair(i, i + 1, calls[0]))
    return found


def leaves(value: Any) -> Iterator[str]:
    """Yield the scalar leaves of JSON as texts."""
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def said(message: Message) -> str:
    """Return the text of a message with the arguments of its calls."""
    calls = (
        c.raw_arguments or json.dumps(c.arguments, ensure_ascii=False) for c in message.tool_calls
    )
    return "\n".join([message.text, *calls])


# -- lost value ------------------------------------------------------------------------


_WHEN = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d")


def bare(text: str) -> str:
    """Return the letters and digits of a text, in lower case."""
    return "".join(filter(str.isalnum, text.casefold()))


@dataclass(frozen=True)
class Need:
    pair: Pair
    key: str
    value: str


def needs(turns: Sequence[Turn]) -> list[Need]:
    """Return the values of calls that only messages before the current user turn hold.

    A value has at least 5 characters and a digit: an id, a number; no date or time, which people
    say in many ways. A message holds it whatever the case, and the signs between.
    """
    found = []
    texts = [bare(said(turn.message)) for turn in turns]
    for pair in pairs(turns):
        users = [i for i in range(pair.asked) if turns[i].message.role == "user"]
        for key, value in pair.call.arguments.items():
            for leaf in leaves(value):
                if len(leaf) < 5 or not any(c.isdigit() for c in leaf) or _WHEN.search(leaf):
                    continue
                holders = [i for i in range(pair.asked) if bare(leaf) in texts[i]]
                before = holders and users and max(holders) < users[-1]
                if before and not any(turns[i].message.role == "system" for i in holders):
                    found.append(Need(pair, key, leaf))
    return found


def _lose(case: Case, rng: random.Random) -> Case | None:
    found = needs(case.turns)
    if not found:
        return None
    need = rng.choice(found)
    how = rng.choice(("compaction", "edit"))
    then = rng.choice(("as recorded", "wrong value", "asked again"))
    turns, at = list(case.turns), need.pair.asked
    turns[at] = replace(turns[at], cut=(how, need.value))
    if then == "as recorded":
        place = (at,)
    elif then == "wrong value":
        place = (at, at + 1)
        turns = _with_wrong_value(turns, need, rng)
    else:
        place = (at, at + 1, at + 2)
        cut = turns[at].cut
        turns[at] = replace(turns[at], cut=None)
        ask = Message("assistant", rng.choice(ASKING).format(need.key.replace("_", " ")))
        answer = Message("user", rng.choice(("{}", "It is {}.", "是 {}。")).format(need.value))
        turns[at:at] = [Turn(ask, _drawn(rng, 1.8, 0.4), cut=cut), Turn(answer)]
    return Case(case.name, tuple(turns), LOST, f"{how}, {then}", place)


def _with_wrong_value(turns: list[Turn], need: Need, rng: random.Random) -> list[Turn]:
    """Replace the value in the call by another of its form, and the result by an error; it ends."""
    at = need.pair.asked
    wrong = "".join(
        rng.choice("0123456789") if c.isdigit() else rng.choice("BCDFGHK") if c.isupper() else c
        for c in need.value
    )
    if wrong == need.value:
        wrong = wrong[::-1]
    call = need.pair.call
    text = json.dumps(call.arguments, ensure_ascii=False).replace(need.value, wrong)
    bad = replace(call, arguments=json.loads(text), raw_arguments=None)
    message = replace_content(turns[at].message, (bad,))
    error = rng.choice(NOT_FOUND).format(need.key.replace("_", " "))
    answer = _answer(turns[at + 1].message, error, False)
    end = Turn(Message("assistant", rng.choice(SORRY)), _drawn(rng, 1.8, 0.4))
    return [
        *turns[:at],
        replace(turns[at], message=message),
        replace(turns[at + 1], message=answer),
        end,
    ]


def replace_content(message: Message, content: Sequence[Any]) -> Message:
    """Return the message with other parts."""
    return replace(message, content=tuple(content))


def _answer(message: Message, text: str, is_error: bool) -> Message:
    (result, *_) = message.tool_results
    part = ToolResultPart(result.call_id, (TextPart(text),), is_error=is_error, name=result.name)
    return replace_content(message, (part,))


# -- the others ------------------------------------------------------------------------


def _fail(case: Case, rng: random.Random) -> Case | None:
    found = pairs(case.turns)
    calls = [(p.call.name, json.dumps(p.call.arguments, sort_keys=True)) for p in found]
    once = [p for i, p in enumerate(found) if calls[i] not in calls[i + 1 :]]
    once = [p for p in once if case.turns[p.answered].message.text]
    if not once:
        return None
    pair = rng.choice(once)
    style = rng.randrange(len(ERRORS))
    turns = list(case.turns)
    answer = _answer(turns[pair.answered].message, *ERRORS[style])
    turns[pair.answered] = replace(turns[pair.answered], message=answer)
    ends = rng.random() < 0.5
    if ends:
        turns = turns[: pair.answered + 1]
        turns.append(Turn(Message("assistant", rng.choice(SORRY)), _drawn(rng, 1.8, 0.4)))
    name = f"{ERRORS[style][0][:40]!r}, {'ends' if ends else 'goes on'}"
    return Case(case.name, tuple(turns), ERROR, name, (pair.asked, pair.answered))


def _loop(case: Case, rng: random.Random) -> Case | None:
    found = pairs(case.turns)
    models = [i for i, turn in enumerate(case.turns) if turn.message.role == "assistant"]
    times = rng.randint(3, 6)
    style = rng.choice(("same answer", "errors", "other spelling", "in turns", "model"))
    turns = list(case.turns)
    if style == "model" or not found:
        at = rng.choice(models)
        turns[at] = replace(turns[at], attempts=times)
        return Case(case.name, tuple(turns), LOOP, "model", (at,))
    pair = rng.choice(found)
    rounds: list[Turn] = []
    ids = count(1)
    other = rng.choice([p for p in found if p.asked <= pair.asked])
    for n in range(times - 1):
        again = [other, pair] if style == "in turns" and other.asked != pair.asked else [pair]
        for one in again:
            rounds += _again(turns, one, f"again_{next(ids)}", style, n, rng)
    turns[pair.asked : pair.asked] = rounds
    place = tuple(range(pair.asked, pair.asked + len(rounds) + 2))
    return Case(case.name, tuple(turns), LOOP, style, place)


def _again(
    turns: Sequence[Turn], pair: Pair, call_id: str, style: str, n: int, rng: random.Random
) -> list[Turn]:
    call = replace(pair.call, id=call_id)
    if style == "other spelling":
        keys = list(call.arguments)
        rng.shuffle(keys)
        arguments = {key: call.arguments[key] for key in keys}
        call = replace(call, arguments=arguments, raw_arguments=json.dumps(arguments, indent=n))
    text, is_error = turns[pair.answered].message.text, False
    if style == "errors":
        text, is_error = ERRORS[rng.randrange(len(ERRORS))]
    asked, answered = turns[pair.asked], turns[pair.answered]
    answer = _answer(answered.message, text, is_error)
    (part,) = answer.tool_results
    answer = replace_content(answer, (replace(part, call_id=call_id),))
    return [
        Turn(_new(replace_content(asked.message, (call,))), _drawn(rng, 1.8, 0.4)),
        Turn(_new(answer), answered.seconds * _drawn(rng, 1.0, 0.3)),
    ]


def _new(message: Message) -> Message:
    return Message(message.role, message.content, name=message.name)


def _slow(case: Case, rng: random.Random) -> Case | None:
    timed = [i for i, turn in enumerate(case.turns) if turn.seconds]
    at = rng.choice(timed)
    factor = rng.uniform(8, 40)
    turns = list(case.turns)
    turns[at] = replace(turns[at], seconds=turns[at].seconds * factor)
    what = "tool" if turns[at].message.tool_results else "model"
    return Case(case.name, tuple(turns), SLOW, f"{what}, {factor:.0f} times", (at,))


_INJECT = {LOST: _lose, ERROR: _fail, LOOP: _loop, SLOW: _slow}
