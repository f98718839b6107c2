"""View: what the model sees of a log between two compactions; it only grows.

Adding a message costs the message, not the history: where the log is in order, it is
appended to what stands. Only where something must be mended is the whole regrouped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ctxplug.compression import VERBATIM, Unit, total
from ctxplug.context.recalled import with_block
from ctxplug.context.units import Grouping, Repair, group, says_anything, turn_start
from ctxplug.messages import Logged, Message, TextPart
from ctxplug.tokens import TokenCounter


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The view at one moment: system messages, units, and the messages as they are sent."""

    system: tuple[Logged, ...]
    frozen: tuple[Unit, ...]
    recent: tuple[Logged, ...]
    messages: tuple[Message, ...]
    tokens: int
    repairs: tuple[Repair, ...]


class View:
    """The units that the last compaction left, and every message added since."""

    def __init__(self, frozen: Sequence[Unit] = (), system: Iterable[Logged] = ()) -> None:
        self.frozen = tuple(frozen)
        self.system: list[Logged] = list(system)
        self.recent: list[Logged] = []
        self.has_user = any(unit.role == "user" for unit in self.frozen)
        self._sent: list[Message] = []
        self._tokens = 0
        self._repairs: tuple[Repair, ...] = ()
        self._pending: dict[str, None] = {}
        self._seen: set[str] = set()
        self._in_order = True
        self._regroup()

    @property
    def tokens(self) -> int:
        """What is sent now, in tokens."""
        if not self._in_order or self._pending:
            self._regroup()
        return self._tokens

    @property
    def waiting(self) -> int | None:
        """The version of the last message, if its calls still wait for results."""
        return self._group().waiting

    def add(self, logged: Logged) -> None:
        """Append one message of the log."""
        message = logged.message
        if message.role == "system":
            self.system.append(logged)
            return
        self.recent.append(logged)
        self.has_user = self.has_user or (message.role == "user" and says_anything(message))
        if not self._in_order:
            return  # regrouped when asked for
        if not self._fits(message):
            self._in_order = False
            return
        self._sent.append(message)
        self._tokens += logged.tokens

    def put_block(
        self, version: int, block: TextPart, counter: TokenCounter, *, frozen: bool
    ) -> None:
        """Put a block behind a user message; `frozen` says whether any, or a recent."""
        for i in range(len(self.recent) - 1, -1, -1):
            logged = self.recent[i]
            if logged.version == version:
                self.recent[i] = now = with_block(logged, block, counter)
                if self._in_order and self._sent and self._sent[-1] is logged.message:
                    self._sent[-1] = now.message
                    self._tokens += now.tokens - logged.tokens
                else:
                    self._regroup()
                return
        for i, unit in enumerate(self.frozen if frozen else ()):
            if unit.form == VERBATIM and unit.items[0].version == version:
                items = (with_block(unit.items[0], block, counter), *unit.items[1:])
                changed = replace(unit, items=items, sources=unit.versions)
                self.frozen = (*self.frozen[:i], changed, *self.frozen[i + 1 :])
                self._regroup()
                return

    def units(self) -> tuple[tuple[Unit, ...], int]:
        """Return all units, mended, and the index at which the current turn begins."""
        units = (*self.frozen, *self._group().units)
        return units, turn_start(units)

    def snapshot(self) -> Snapshot:
        """Return what is sent now."""
        if not self._in_order or self._pending:
            self._regroup()
        return Snapshot(
            tuple(self.system),
            self.frozen,
            tuple(self.recent),
            tuple(self._sent),
            self._tokens,
            self._repairs,
        )

    def _fits(self, message: Message) -> bool:
        """Say whether `message` may simply follow, and remember what it asks and answers."""
        if message.role == "assistant":
            ids = [call.id for call in message.tool_calls]
            ordered = not self._pending and bool(self._sent) and says_anything(message)
            if not ordered or len(set(ids)) < len(ids) or not self._seen.isdisjoint(ids):
                return False
            self._seen.update(ids)
            self._pending = dict.fromkeys(ids)
            return True
        if message.role == "user":
            return not self._pending and not message.tool_results and says_anything(message)
        # In the order of the calls, as they will be rendered ever after.
        results = message.tool_results
        if len(results) != 1 or len(message.content) != 1:
            return False
        if next(iter(self._pending), None) != results[0].call_id:
            return False
        del self._pending[results[0].call_id]
        return True

    def _group(self) -> Grouping:
        used = {
            call.id for unit in self.frozen for i in unit.items for call in i.message.tool_calls
        }
        return group(self.recent, opening=not self.frozen, used_ids=used)

    def _regroup(self) -> None:
        """Mend the whole; what comes after is appended again while it is in order."""
        grouping = self._group()
        units = [*self.frozen, *grouping.units]
        self._sent = [item.message for unit in units for item in unit.items]
        self._tokens = total(units)
        self._repairs = grouping.repairs
        self._seen = {call.id for message in self._sent for call in message.tool_calls}
        self._pending = {}
        # A call that waits for its result was answered as interrupted until then: the next
        # message must be looked at together with it.
        self._in_order = not grouping.open_calls
