"""PastWindows: what the model saw at each call of one session, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeAlias

from ctxplug.compression import VERBATIM
from ctxplug.context.components import Components, components
from ctxplug.context.policy import PRESETS, ContextPolicy
from ctxplug.context.recorded import Replayed, rebuilt
from ctxplug.context.window import SHAPED, ContextWindow
from ctxplug.errors import BudgetError, CtxplugError, EmptyContextError
from ctxplug.inspector.basis import POLICY, Basis, Figures, basis_of, figures, window_anew
from ctxplug.inspector.compactions import Compaction, compactions_of
from ctxplug.inspector.outline import Call, Outline, Said
from ctxplug.inspector.pieces import CUT, PAST, Piece, in_parts, pieces_of, shared
from ctxplug.registry import Registry
from ctxplug.sessions.log import SessionLog
from ctxplug.storage import Backend
from ctxplug.tokens import TokenCounter
from ctxplug.tracing.reading import read_parts
from ctxplug.tracing.step import WINDOW, Step

Source: TypeAlias = Literal["recorded", "log", "played"]
REMEMBERED = 256  # windows that are kept


@dataclass(frozen=True)
class Seen:
    """The window of one call, piece by piece; None where none was sent, and `error` says why.

    `source` says how it is known: it was "recorded", it follows from what the "log" tells of
    compactions, or it was "played" and is what would have been sent. `exact` is whether its
    hash is the recorded one (None: there is none), `step` what was recorded, and `tries` how
    many windows were recorded of this call. `places` tells by version what stands for it.
    """

    call: Call
    source: Source
    budget: int
    policy: str = POLICY
    window: ContextWindow | None = None
    pieces: tuple[Piece, ...] = ()
    error: str | None = None
    needed: int | None = None
    exact: bool | None = None
    notes: tuple[str, ...] = ()
    step: Step | None = None
    tries: int = 0
    places: Mapping[int, Piece] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """What the window takes; 0 if there is none."""
        return self.window.tokens if self.window else 0

    @property
    def limit(self) -> int:
        """What it may take: the budget less the margin of a counter that estimates."""
        return self.window.report.limit if self.window else self.budget

    @cached_property
    def parts(self) -> dict[str, int]:
        """The tokens of each part of the window."""
        return in_parts(self.pieces)


class PastWindows:
    """The windows of the calls of `outline`, all of which is read; `steps` are its recorded ones.

    With a `budget` or a `policy` nothing that happened counts: it is computed what they would
    have sent. Making a window may take time, so ask for it off the thread that draws; as many
    as `remembered` are kept.
    """

    def __init__(
        self,
        backend: Backend,
        outline: Outline,
        steps: Sequence[Step],
        counter: TokenCounter,
        registry: Registry,
        *,
        budget: int | None = None,
        policy: str | None = None,
        remembered: int = REMEMBERED,
    ) -> None:
        self.outline = outline
        self._remembered = remembered
        self._backend = backend
        self._counter = counter
        self._registry = registry
        self._asked = budget, policy
        self._steps: dict[int, list[Step]] = {}
        if budget is None and policy is None:
            for step in steps:
                if step.kind == WINDOW and "head" in step.data:
                    number = outline.call_behind(step.data["head"])
                    self._steps.setdefault(number, []).append(step)
        self._components: dict[str, tuple[ContextPolicy, Components]] = {}
        self._seen: dict[int, Seen] = {}
        self._compactions: dict[tuple[Source, int], list[Compaction]] = {}

    @property
    def recorded(self) -> int:
        """Of how many calls a window was recorded."""
        return len(self._steps)

    def seen(self, number: int) -> Seen:
        """Return what the model saw at call `number`, from 1 on."""
        found = self._seen.pop(number, None)
        if found is None:
            found = self._find(self.outline.call(number))
            while len(self._seen) >= self._remembered:
                del self._seen[next(iter(self._seen))]
        self._seen[number] = found
        return found

    def tokens(self, number: int) -> int:
        """Return how many tokens call `number` was sent, making no window if that is known."""
        step = self._step(number)
        told = step.data if step else self._basis.calls.get(number)
        if isinstance(told, Mapping) and "tokens" in told:
            return int(sum(told["tokens"].values()))
        return 0 if step or told is not None else self.seen(number).tokens

    def quick(self, number: int) -> bool:
        """Say whether `tokens` of call `number` are known without much work."""
        return number in self._steps or number in self._seen or not self._basis.anew

    def cached(self, number: int) -> int:
        """Return how many pieces of call `number`, from the first on, the call before had."""
        if number < 2 or (number not in self._steps and self._basis.anew):
            return 0
        return shared(self.seen(number - 1).pieces, self.seen(number).pieces)

    def compactions(self, seen: Seen) -> list[Compaction]:
        """Return the compactions that `seen` is made of, oldest first."""
        key = seen.source, seen.budget
        if key not in self._compactions:
            self._compactions[key] = compactions_of(self._basis_of(seen), seen.budget)
        head = self._basis_of(seen).here(seen.call.head)
        base = seen.window.report.base if seen.window else 0
        return [one for one in self._compactions[key] if one.version <= max(head, base)]

    def remade(self, step: Step) -> Replayed:
        """Make the window that a step recorded again, and say whether it is the same."""
        data = step.data
        stream = self.outline.stream
        keys = frozenset([*data.get("system", {}).values(), data.get("tools", "")]) - {""}
        parts = read_parts(self._backend, stream.namespace, step.session, keys)
        basis = Basis(self._backend, stream, data.get("budget", 0), data.get("policy", POLICY))
        return self._rebuilt(data, parts, basis)

    # -- inside --------------------------------------------------------------------------

    @cached_property
    def _basis(self) -> Basis:
        good = (step for step in map(self._step, sorted(self._steps)) if step is not None)
        told = [(step.data["budget"], step.data["policy"]) for step in good if "hash" in step.data]
        known = told[-1] if told else None
        budget, policy = self._asked
        return basis_of(
            self._backend, self.outline, self._counter, budget=budget, policy=policy, known=known
        )

    def _basis_of(self, seen: Seen) -> Basis:
        if seen.source != "recorded":
            return self._basis
        return Basis(self._backend, self.outline.stream, seen.budget, seen.policy)

    def _step(self, number: int) -> Step | None:
        """Return the step of the last window of a call, or else of its last failure."""
        steps = self._steps.get(number, [])
        good = [step for step in steps if "hash" in step.data]
        return (good or steps)[-1] if steps else None

    def _find(self, call: Call) -> Seen:
        step = self._step(call.number)
        return self._unrecorded(call) if step is None else self._recorded(call, step)

    def _recorded(self, call: Call, step: Step) -> Seen:
        data = step.data
        seen = Seen(
            call,
            "recorded",
            data.get("budget", 0),
            data.get("policy", POLICY),
            step=step,
            tries=len(self._steps[call.number]),
        )
        if "hash" not in data:
            return replace(seen, error=step.error or step.outcome, needed=data.get("needed"))
        try:
            replayed = self.remade(step)
        except CtxplugError as exc:
            return replace(seen, error=str(exc))
        return replace(self._shown(seen, replayed, self._basis_of(seen)), exact=replayed.exact)

    def _unrecorded(self, call: Call) -> Seen:
        basis = self._basis
        source: Source = "played" if basis.played or basis.anew else "log"
        seen = Seen(call, source, basis.budget, basis.policy)
        told = basis.calls.get(call.number)
        try:
            if not self._spoken(call):
                raise EmptyContextError("Nobody had spoken yet: the assistant spoke first.")
            if isinstance(told, CtxplugError):
                raise told
            if basis.anew:
                return self._shown(seen, self._anew(call, basis), basis)
            data = told or figures(basis, call, self.outline, self._counter)
            made = self._rebuilt(data, {}, basis)
            if made.window.tokens > made.window.report.limit:
                made = self._rebuilt({**data, "tight": True}, {}, basis)
            return self._shown(seen, made, basis)
        except BudgetError as exc:
            return replace(seen, error=str(exc), needed=exc.needed)
        except CtxplugError as exc:
            return replace(seen, error=str(exc))

    def _anew(self, call: Call, basis: Basis) -> Replayed:
        policy, made = self._policy(basis.policy)
        log = SessionLog(basis.backend, basis.stream, self._counter, None, made.shape)
        window = window_anew(basis, call, self._counter, policy, made, log.logged)
        return Replayed(window, "", "")

    def _spoken(self, call: Call) -> bool:
        """Say whether a user had spoken before `call`."""
        rows = self.outline.rows[: self.outline.row_of(call.head + 1)]
        return any(isinstance(row, Said) and row.role == "user" for row in rows)

    def _shown(self, seen: Seen, replayed: Replayed, basis: Basis) -> Seen:
        pieces = tuple(
            self._unchanged(replace(piece, versions=tuple(map(basis.real, piece.versions))))
            for piece in pieces_of(replayed.window, self._counter)
        )
        # Of a message in several pieces the first says what became of it.
        places = {version: piece for piece in reversed(pieces) for version in piece.versions}
        return replace(
            seen, window=replayed.window, pieces=pieces, places=places, notes=replayed.notes
        )

    def _unchanged(self, piece: Piece) -> Piece:
        """Tell what a compaction left as it is of a unit in which it changed something else."""
        if piece.part != CUT or len(piece.versions) != 1:
            return piece
        said = self.outline.said(piece.versions[0])
        if said is None or said.role != piece.role or said.tokens != piece.tokens:
            return piece
        return replace(piece, part=PAST, form=SHAPED if said.shaped else VERBATIM)

    def _rebuilt(self, data: Figures, parts: Mapping[str, object], basis: Basis) -> Replayed:
        policy, made = self._policy(data["policy"])
        log = SessionLog(basis.backend, basis.stream, self._counter, None, made.shape)
        return rebuilt(
            data,
            parts,
            backend=basis.backend,
            stream=basis.stream,
            counter=self._counter,
            policy=policy,
            components=made,
            logged=log.logged,
        )

    def _policy(self, name: str) -> tuple[ContextPolicy, Components]:
        if name not in self._components:
            policy = PRESETS.get(name, PRESETS[POLICY])
            self._components[name] = policy, components(policy, self._counter, self._registry)
        return self._components[name]
