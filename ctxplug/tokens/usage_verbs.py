"""What AgentMemory has of usage: the namespace's ledger, and what a call has really taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from ctxplug.scope import Scope
from ctxplug.storage import Backend
from ctxplug.tokens.calibration_log import CalibrationLog
from ctxplug.tokens.limits import UsageLimits
from ctxplug.tokens.prices import Prices

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.tokens.ledger import Recorded, Reservation, UsageLedger


class Counted(Protocol):
    """A window, as far as usage is concerned."""

    @property
    def tokens(self) -> int:
        """Tokens of the whole request."""


class UsageVerbs:
    """Usage and its record; AgentMemory brings the attributes below."""

    backend: Backend
    scope: Scope
    model: str | None
    _prices: Prices | None
    _limits: UsageLimits | None
    _calibration: CalibrationLog
    _last_tokens: int

    if TYPE_CHECKING:
        _note_usage: Callable[[Recorded], None]

        def _tell(self, kind: str, /, **data: Any) -> None: ...
        def _refuse_closed(self) -> None: ...

    @cached_property
    def usage(self) -> UsageLedger:
        """What the namespace spends on model calls, and its limits."""
        from ctxplug.tokens.ledger import UsageLedger

        return UsageLedger(
            self.backend,
            self.scope,
            prices=self._prices,
            limits=self._limits,
            notify=self._tell,
        )

    def record_usage(
        self,
        usage: Any,
        *,
        model: str | None = None,
        window: Counted | None = None,
        reservation: Reservation | None = None,
    ) -> Recorded:
        """Enter what the provider reported for a call, and learn from it how to count.

        `usage` is a provider's usage object or dict, or a `ctxplug.tokens.Usage`; `window`
        is what was sent, the last one when left out; `reservation` what was held for the
        call. The ratio of reported to counted tokens corrects the limits of later windows.
        """
        self._refuse_closed()
        model = model or self.model
        if reservation is None:
            recorded = self.usage.record(usage, model=model)
        else:
            recorded = self.usage.settle(reservation, usage, model=model)
        counted = window.tokens if window else self._last_tokens
        if counted and recorded.usage.total_input:
            self._calibration.observe(counted, recorded.usage.total_input)
        self._note_usage(recorded)
        return recorded

    async def arecord_usage(self, usage: Any, **options: Any) -> Recorded:
        """Async twin of `record_usage`."""
        return await self.backend.arun(partial(self.record_usage, usage, **options))
