"""LangChain's `trigger` and `keep` as a ContextPolicy.

`trigger` is ("tokens", n), ("messages", n) or ("fraction", f); a dict of them means all, a list
means any. `keep` is one of the three. They are read so: a compaction begins when the trigger
holds for what would be sent (system prompt and tools included) and leaves about `keep`: a
number of tokens, a fraction, or the newest so many messages and the rest in short. A fraction
is one of the model's window where its profile names it, else of the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from ctxplug.context.policy import ContextPolicy
from ctxplug.errors import InvalidValueError

Size: TypeAlias = tuple[str, float]
Trigger: TypeAlias = Size | Mapping[str, float] | Sequence[Size | Mapping[str, float]]
KINDS = ("tokens", "messages", "fraction")
BRIEF = 0.1  # of the limit for all, where only the newest messages are to be kept


@dataclass(frozen=True, slots=True)
class Clauses:
    """A trigger in one form: any of `clauses` suffices, and each holds if all its sizes do."""

    clauses: tuple[tuple[Size, ...], ...]

    def holds(self, window: int, tokens: int, messages: int) -> bool:
        """Say whether `tokens` and `messages` reach it, for a model's `window` of tokens."""
        reached = {"tokens": float(tokens), "messages": float(messages)}
        reached["fraction"] = tokens / window
        return any(all(reached[kind] >= size for kind, size in clause) for clause in self.clauses)


def to_clauses(trigger: Trigger) -> Clauses:
    """Return `trigger` in one form; raise InvalidValueError if it is not of the grammar."""
    if isinstance(trigger, Mapping):
        if not trigger:
            raise _fault("trigger", trigger)
        return Clauses((tuple(_size("trigger", item) for item in trigger.items()),))
    if isinstance(trigger, tuple) and len(trigger) == 2 and isinstance(trigger[0], str):
        return Clauses(((_size("trigger", trigger),),))
    if isinstance(trigger, str) or not isinstance(trigger, Sequence) or not trigger:
        raise _fault("trigger", trigger)
    clauses = (clause for one in trigger for clause in to_clauses(one).clauses)  # type: ignore[arg-type]
    return Clauses(tuple(clauses))


def policy_for(
    policy: ContextPolicy,
    *,
    trigger: Trigger | None,
    keep: Size | None,
    budget: int,
    window: int | None = None,
) -> ContextPolicy:
    """Return `policy` with LangChain's `trigger` and `keep` in place of its own marks.

    `window` is how much the model takes, and what fractions are of.
    """
    whole = window or budget
    if trigger is not None:
        clauses = to_clauses(trigger)
        policy = replace(policy, name="trigger", due=partial(clauses.holds, whole))
    if keep is None:
        return policy
    kind, size = _size("keep", keep)
    if kind == "messages":
        return replace(policy, keep_last=int(size), low=min(policy.low, BRIEF))
    tokens = size * whole if kind == "fraction" else size
    low = min(max(tokens / budget, 0.01), 0.98)
    return replace(policy, low=low, high=max(policy.high, low + 0.01))


def _size(name: str, value: Any) -> Size:
    if not isinstance(value, tuple) or len(value) != 2 or value[0] not in KINDS:
        raise _fault(name, value)
    kind, size = value
    whole = isinstance(size, int) and not isinstance(size, bool) and size > 0
    share = kind == "fraction" and isinstance(size, int | float) and 0 < size <= 1
    if not (share if kind == "fraction" else whole):
        raise _fault(name, value)
    return kind, float(size)


def _fault(name: str, value: object) -> InvalidValueError:
    more = "; a dict of these means all of them, a list any" if name == "trigger" else ""
    return InvalidValueError(
        f"{name} is ('tokens', n), ('messages', n) or ('fraction', f) with n above 0 and"
        f" 0 < f <= 1{more}, not {value!r}.",
        path=name,
    )
