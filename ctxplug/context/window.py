"""ContextWindow: the messages of one model call, and the report of how they were chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ctxplug.compression import VERBATIM, Unit
from ctxplug.context.compaction import Step
from ctxplug.context.gate import Gain
from ctxplug.context.sections import SectionFate
from ctxplug.context.units import OPENING, Repair, group
from ctxplug.messages import Logged, Message

LEFT_OUT = "left out"
SHAPED = "shape-tool-results"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message, or of several that one unit stands for.

    `fate` is "verbatim", the name of the strategy that changed it, or "left out" where no
    provider would take it (`WindowReport.repairs` says why); `versions` are the log's;
    `score` is the importance that decided, where it was computed.
    """

    versions: tuple[int, ...]
    role: str
    fate: str
    tokens: int
    score: float | None = None


@dataclass(frozen=True)
class WindowReport:
    """What is in the window, in which form, and why.

    `limit` is the budget less the `margin` that an estimating `counter` needs; `tokens`
    are the parts of the request; `compaction` tells what this call changed of what had
    been sent before, and `gain` what the change is worth; `sections` tell what each section
    of the application took, and `notes` what was degraded. `head` and `base`, the newest
    message and the last compaction or edit in it, say which log it was made from, `own` what
    system messages are not in the log; it is `tight` where another writer added more than fits.
    """

    session: str
    head: int
    budget: int
    limit: int
    counter: str
    estimated: bool
    margin: float
    policy: str
    tokens: Mapping[str, int]
    repairs: tuple[Repair, ...] = ()
    compactions: int = 0
    compaction: tuple[Step, ...] = ()
    gain: Gain | None = None
    recalled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    system: tuple[Logged, ...] = field(default=(), repr=False)
    frozen: tuple[Unit, ...] = field(default=(), repr=False)
    recent: tuple[Logged, ...] = field(default=(), repr=False)
    sections: tuple[SectionFate, ...] = ()
    base: int = 0
    own: Mapping[str, Message] = field(default_factory=dict, repr=False)
    tight: bool = False

    @cached_property
    def fates(self) -> tuple[Fate, ...]:
        """What became of every message that the window stands for, oldest first."""
        return tuple(self._fates())

    @property
    def kept(self) -> tuple[Fate, ...]:
        """What is in the window word for word."""
        return tuple(fate for fate in self.fates if fate.fate == VERBATIM)

    @property
    def compressed(self) -> tuple[Fate, ...]:
        """What is in the window in another form."""
        return tuple(fate for fate in self.fates if fate.fate not in (VERBATIM, LEFT_OUT))

    @property
    def left_out(self) -> tuple[Fate, ...]:
        """What no provider would take: see `repairs`."""
        return tuple(fate for fate in self.fates if fate.fate == LEFT_OUT)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "session": self.session,
            "head": self.head,
            "budget": self.budget,
            "limit": self.limit,
            "counter": self.counter,
            "estimated": self.estimated,
            "margin": self.margin,
            "policy": self.policy,
            "tokens": dict(self.tokens),
            "fates": [
                {
                    "versions": list(fate.versions),
                    "role": fate.role,
                    "fate": fate.fate,
                    "tokens": fate.tokens,
                    "score": fate.score,
                }
                for fate in self.fates
            ],
            "repairs": [{"version": r.version, "what": r.what} for r in self.repairs],
            "compactions": self.compactions,
            "compaction": [
                {"strategy": s.strategy, "before": s.before, "after": s.after}
                for s in self.compaction
            ],
            "gain": self.gain.to_dict() if self.gain else None,
            "recalled": list(self.recalled),
            "sections": [section.to_dict() for section in self.sections],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        sign = "about " if self.estimated else ""
        parts = ", ".join(f"{name} {n}" for name, n in self.tokens.items() if n)
        compressed = sum(len(fate.versions) for fate in self.compressed)
        lines = [
            f"{sign}{sum(self.tokens.values())} of {self.budget} tokens ({self.counter}): {parts}",
            f"{len(self.kept)} messages word for word, {compressed} compressed",
        ]
        lines += [f"{s.strategy}: {s.before} -> {s.after} tokens" for s in self.compaction]
        lines += map(str, self.sections)
        lines += [f"mended message {repair.version}: {repair.what}" for repair in self.repairs]
        return "\n".join([*lines, *self.notes])

    def _fates(self) -> Iterator[Fate]:
        for logged in self.system:
            yield Fate((logged.version,), "system", VERBATIM, logged.tokens)
        for unit in self.frozen:
            if unit.form == OPENING:
                continue  # nobody said it
            if unit.form == VERBATIM:
                for item in unit.items:
                    yield Fate((item.version,), item.message.role, _form(item), item.tokens)
            else:
                yield Fate(unit.versions, unit.role, unit.form, unit.tokens, unit.score)
        grouping = group(self.recent, opening=not self.frozen)
        sent = {item.version for unit in grouping.units for item in unit.items}
        for logged in self.recent:
            version, message = (logged.version,), logged.message
            if logged.version not in sent:
                yield Fate(version, message.role, LEFT_OUT, 0)
            else:
                yield Fate(version, message.role, _form(logged), logged.tokens)


@dataclass(frozen=True)
class ContextWindow:
    """A message list that providers accept, within budget.

    `messages` holds system messages first, then whole units in order; `tokens` counts the
    whole request: framing, system, tools and messages.
    """

    messages: tuple[Message, ...]
    tokens: int
    report: WindowReport
    tools: Sequence[Mapping[str, Any]] = ()

    def to_openai(self) -> dict[str, Any]:
        """Return the request fields for OpenAI chat completions: messages, tools."""
        from ctxplug import openai_format

        request: dict[str, Any] = {"messages": openai_format.to_messages(self.messages)}
        if self.tools:
            request["tools"] = openai_format.to_tools(self.tools)
        return request

    def to_anthropic(self, *, cache: bool = True) -> dict[str, Any]:
        """Return the request fields for Anthropic Messages: system, messages, tools.

        With `cache`, at most four cache marks stand at the stable boundaries.
        """
        from ctxplug.context.rendering import anthropic_request

        head = len(self.messages) - self._sent()
        frozen = head + sum(len(unit.items) for unit in self.report.frozen)
        users = [i for i, m in enumerate(self.messages) if m.role == "user" and i > frozen]
        stable = [frozen] if self.report.frozen else []
        stable += users[-1:]
        return anthropic_request(self.messages, self.tools, stable, cache=cache)

    def _sent(self) -> int:
        return sum(message.role != "system" for message in self.messages)


def _form(logged: Logged) -> str:
    """Return how a message of the log is sent: as it is, or shaped when it was added."""
    return SHAPED if logged.message.extra.get("ctxplug") == {"form": SHAPED} else VERBATIM
