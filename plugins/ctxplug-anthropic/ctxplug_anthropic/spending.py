"""Spending: a call of the API is reserved before it is made, and settled by what it took."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ctxplug import AgentMemory
from ctxplug.context.window import ContextWindow
from ctxplug.errors import InvalidValueError, UsageLimitError
from ctxplug.messages import Message
from ctxplug.tokens.ledger import Reservation
from ctxplug.tokens.usage import Usage
from ctxplug_anthropic.attempts import Attempts
from ctxplug_anthropic.settings import TurnSettings


@dataclass
class Spending:
    """What a turn has spent; `model` is the one in use, which a limit may change."""

    memory: AgentMemory
    settings: TurnSettings
    model: str
    usage: Usage
    cost: float | None = 0.0
    notes: tuple[str, ...] = ()

    def reserve(self, window: ContextWindow, *, may_fall_back: bool) -> Reservation:
        """Hold what the next call may take at most, by a cheaper model if a limit asks for it.

        Raises UsageLimitError where not even that fits.
        """
        try:
            return self._reserve(window)
        except UsageLimitError as exc:
            fallback = self.settings.fallback
            if not (may_fall_back and fallback) or fallback == self.model:
                raise
            dear, self.model = self.model, fallback
            try:
                reservation = self._reserve(window)
            except UsageLimitError:
                self.model = dear
                raise exc from None
            self.notes += (f"{fallback} was asked in place of {dear}: {exc}",)
            return reservation

    def again(self, window: ContextWindow) -> partial[Reservation]:
        """Return what holds as much once more, for another attempt."""
        return partial(self._reserve, window)

    def settle(
        self, window: ContextWindow, attempts: Attempts, reply: Any, message: Message
    ) -> None:
        """Enter what a call has taken, by the API's own numbers; estimate where it tells none."""
        try:
            usage = Usage.of(reply, model=self.model)
        except InvalidValueError:
            written = self.memory.counter.count(message)
            usage = Usage(window.tokens, written, model=self.model)
            self.notes += ("The API reported no usage; it was estimated.",)
        *lost, last = attempts.reservations
        recorded = self.memory.record_usage(
            usage, model=self.model, window=window, reservation=last
        )
        self._add(recorded.usage, recorded.cost)
        if attempts.lost:
            spent = Usage(window.tokens * attempts.lost, model=self.model)
            self._settle_all(lost, spent)

    def settle_failed(self, window: ContextWindow, attempts: Attempts) -> None:
        """Enter what a call that failed may have been billed, and give back the rest."""
        spent = attempts.spent_on_lost(window.tokens)
        said = self.memory.counter.count_text(attempts.text) if attempts.text else 0
        output = max(spent.output_tokens, said)  # the last number is told at the end
        spent = replace(spent, output_tokens=output, model=self.model)
        self._settle_all(attempts.reservations, spent)

    # -- inside --------------------------------------------------------------------------

    def _settle_all(self, reservations: list[Reservation], spent: Usage) -> None:
        """Replace reservations by what they took together."""
        ledger = self.memory.usage
        for i, reservation in enumerate(reservations):
            if i or not spent.total:
                ledger.release(reservation)
                continue
            recorded = ledger.settle(reservation, spent, model=self.model)
            self._add(recorded.usage, recorded.cost)
        if spent.total and not reservations:
            recorded = ledger.record(spent, model=self.model)
            self._add(recorded.usage, recorded.cost)

    def _reserve(self, window: ContextWindow) -> Reservation:
        most = Usage(
            cache_write_tokens=window.tokens,  # the dearest that input can be
            output_tokens=self.settings.max_tokens,
            model=self.model,
        )
        return self.memory.usage.reserve(most, model=self.model)

    def _add(self, usage: Usage, cost: float | None) -> None:
        self.usage = self.usage + usage
        self.cost = None if cost is None or self.cost is None else self.cost + cost
