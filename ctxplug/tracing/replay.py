"""Replay: a cursor over what a session did, step by step, forwards and backwards.

Nothing is run: a step is what was recorded, messages are those of the log as it stood, and a
window is made again from the log and compared with the hash it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.messages import Logged, Message
from ctxplug.tracing.breakpoints import Breakpoint, Text
from ctxplug.tracing.past import Past, Positions, head_of
from ctxplug.tracing.step import WINDOW, Step


@dataclass(frozen=True, slots=True)
class Change:
    """A watched value that is not what it was where the cursor stood before."""

    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.name}: {self.before!r} -> {self.after!r}"


class Replay:
    """Steps through `steps` of the session `session`, oldest first; begins before the first.

    `current` is the step at the cursor, `index` its place (-1 before the first). What
    `watch` names is looked at wherever the cursor stops: `values` has it, and `changes` what
    is another than where it stood before. Not for several threads at once.
    """

    def __init__(self, steps: Sequence[Step], past: Past, *, session: str = "") -> None:
        self.steps = tuple(steps)
        self.session = session
        self.index = -1
        self.breakpoints: list[Breakpoint] = []
        self.stopped_by: tuple[Breakpoint, ...] = ()
        self.changes: tuple[Change, ...] = ()
        self.values: dict[str, Any] = {}
        self._past = past
        self._positions = Positions(self.steps, past)
        self._places = {step.id: place for place, step in enumerate(self.steps)}
        self._watches: dict[str, Callable[[Replay], Any]] = {}

    @property
    def current(self) -> Step | None:
        """The step at the cursor, None before the first."""
        return self.steps[self.index] if self.index >= 0 else None

    @property
    def parents(self) -> tuple[Step, ...]:
        """What the current step is part of, the outermost first; what is not here is left out."""
        found: list[Step] = []
        step = self.current
        while step is not None and step.parent in self._places and len(found) < len(self.steps):
            step = self.steps[self._places[step.parent]]
            found.append(step)
        return tuple(reversed(found))

    # -- moving ------------------------------------------------------------------------

    def step(self) -> Step | None:
        """Go to the next step and return it; None if there is none, and the cursor stays."""
        return self._move_to(self.index + 1)

    def back(self) -> Step | None:
        """Go to the step before and return it; before the first stands None."""
        return self._move_to(max(-1, self.index - 1))

    def seek(self, where: str | int) -> Step | None:
        """Go to a step by its id, or the beginning of it, or by its index; -1 is the beginning.

        Raises NotFoundError if there is no such step, or several.
        """
        if isinstance(where, bool) or not isinstance(where, int | str):
            raise InvalidValueError(
                f"A step is named by its id or its index, not {where!r:.60}.", path="step"
            )
        place = where if isinstance(where, int) else self.place(where)
        if not -1 <= place < len(self.steps):
            raise NotFoundError(
                f"There is no step {place} of {self.session!r}: it has {len(self.steps)},"
                " counted from 0."
            )
        return self._move_to(place)

    def place(self, step: str) -> int:
        """Return the index of a step by its id, or the beginning of it; see `seek`."""
        if step in self._places:
            return self._places[step]
        found = [place for id_, place in self._places.items() if step and id_.startswith(step)]
        if len(found) == 1:
            return found[0]
        how = "are several steps" if found else "is no step"
        raise NotFoundError(
            f"There {how} {step!r} of {self.session!r}; `memory.trace.steps()` and `ctxplug trace"
            " list` have their ids."
        )

    def run(self) -> Step | None:
        """Go on to the next step at which a breakpoint holds, and return it.

        `stopped_by` are those that hold there. Where none holds any more the cursor stands on
        the last step, and None is returned.
        """
        return self._run(range(self.index + 1, len(self.steps)))

    def run_back(self) -> Step | None:
        """Go back to the step before at which a breakpoint holds; None at the beginning."""
        return self._run(range(self.index - 1, -1, -1), end=-1)

    def holds(self) -> tuple[Breakpoint, ...]:
        """Return the breakpoints that hold at the cursor, but for those of changed values."""
        return self._hits(self.index, ()) if self.index >= 0 else ()

    def rewind(self) -> None:
        """Go back to before the first step."""
        self._move_to(-1)

    def __iter__(self) -> Iterator[Step]:
        """Yield the steps that are left, moving the cursor."""
        while (step := self.step()) is not None:
            yield step

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        return f"<Replay of {self.session!r}: step {self.index} of {len(self)}>"

    # -- where to stop, what to look at -------------------------------------------------

    def break_on(
        self,
        kind: str | None = None,
        *,
        name: str | None = None,
        error: bool | str | None = None,
        tokens_over: int | None = None,
        text: Text | None = None,
        changed: str | None = None,
        when: Callable[[Step], Any] | None = None,
    ) -> Breakpoint:
        """Stop `run` at steps for which all of these hold (see Breakpoint), and return it."""
        if changed is not None and changed not in self._watches:
            raise InvalidValueError(
                f"There is no watched value {changed!r}; call watch({changed!r}, ...) first.",
                path="changed",
            )
        made = Breakpoint(kind, name, error, tokens_over, text, changed, when)
        self.breakpoints.append(made)
        return made

    def clear(self, breakpoint: Breakpoint | None = None) -> None:
        """Take one breakpoint away, or all of them."""
        self.breakpoints = [b for b in self.breakpoints if breakpoint not in (None, b)]

    def watch(self, name: str, function: Callable[[Replay], Any]) -> Any:
        """Look at `function(replay)` wherever the cursor stops, and return what it is here.

        One that raises does not stop the replay: its value is then the error.
        """
        if not callable(function):
            raise InvalidValueError(
                f"A watched value is a function of the replay, not {function!r:.60}.", path="watch"
            )
        self._watches[name] = function
        self.values[name] = self._value_of(name)
        return self.values[name]

    def unwatch(self, name: str) -> None:
        """Stop looking at a value; NotFoundError if there is none of that name."""
        if name not in self._watches:
            raise NotFoundError(f"There is no watched value {name!r}.")
        del self._watches[name], self.values[name]

    # -- what there was ----------------------------------------------------------------

    @property
    def version(self) -> int:
        """The version of the log up to which it is known at the cursor."""
        return self._positions.at(self.index)

    def messages(self) -> list[Message]:
        """Return the messages of the session as they stood at the cursor."""
        return [logged.message for logged in self.log()]

    def log(self) -> list[Logged]:
        """Return them with their versions."""
        return list(self._past.messages(self.version)) if self.version else []

    def news(self) -> list[Message]:
        """Return the messages that came since the step before; in a window, since the last one."""
        return self._news(self.index)

    def window(self) -> Any:
        """Return what the model was last sent, at the cursor or before: a Replayed.

        `.window` is the window, `.exact` whether it is what was recorded. Raises NotFoundError
        if there was no window yet.
        """
        for place in range(self.index, -1, -1):
            step = self.steps[place]
            if step.kind == WINDOW and step.ok:
                return self._past.window(step.id)
        raise NotFoundError(
            f"No window was made in {self.session!r} up to here; `run` to a step of kind 'window'."
        )

    # -- inside ------------------------------------------------------------------------

    def _run(self, places: range, end: int | None = None) -> Step | None:
        watching = any(b.changed is not None for b in self.breakpoints)
        start = dict(self.values)
        for place in places:
            self.index = place
            changed = self._look(dict(self.values)) if watching else ()
            if hits := self._hits(place, changed):
                self.changes, self.stopped_by = self._look(start), hits
                return self.steps[place]
        if end is not None or len(places):
            self.index = len(self.steps) - 1 if end is None else end
            self.changes = self._look(start)
        self.stopped_by = ()
        return None

    def _hits(self, place: int, changed: Sequence[Change]) -> tuple[Breakpoint, ...]:
        step, names = self.steps[place], [change.name for change in changed]

        def said() -> list[str]:
            return [message.text for message in self._news(place)]

        return tuple(b for b in self.breakpoints if b.holds(step, said, names))

    def _news(self, place: int) -> list[Message]:
        last = place - 1
        if place >= 0 and self.steps[place].kind == WINDOW:
            earlier = range(place - 1, -1, -1)
            last = next((i for i in earlier if head_of(self.steps[i]) is not None), -1)
        before, now = self._positions.at(last), self._positions.at(place)
        if now <= before:
            return []
        return [one.message for one in self._past.messages(now, after=before)]

    def _move_to(self, place: int) -> Step | None:
        if place >= len(self.steps):
            return None
        moved = place != self.index
        self.index, self.stopped_by = place, ()
        if moved:
            self.changes = self._look(dict(self.values))
        return self.current

    def _look(self, before: Mapping[str, Any]) -> tuple[Change, ...]:
        """Look at the watched values, and return what is another than `before`."""
        self.values = {name: self._value_of(name) for name in self._watches}
        return tuple(
            Change(name, before.get(name), value)
            for name, value in self.values.items()
            if value != before.get(name)
        )

    def _value_of(self, name: str) -> Any:
        try:
            return self._watches[name](self)
        except Exception as exc:  # what an application looks at is its own affair
            return f"{type(exc).__name__}: {exc}"
