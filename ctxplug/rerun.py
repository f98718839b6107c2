"""Re-run a session's recorded calls under other settings.

No model is called and no tool is run: a summary is extracted, and the results of tools are
those of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ctxplug.context.components import components
from ctxplug.context.policy import PRESETS, ContextPolicy, to_policy
from ctxplug.errors import InvalidValueError, NotFoundError, PluginError, UnknownComponentError
from ctxplug.registry import Registry
from ctxplug.scratch import READ, ScratchLog
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.default import default_counter
from ctxplug.tracing.past import head_of
from ctxplug.tracing.reading import read_parts, read_steps
from ctxplug.tracing.rerun import Recording, Rerun, rerun, windows_of
from ctxplug.tracing.step import MODEL, WINDOW, Step

CHUNK = 1024
EXTRACTIVE = "extractive"
EXTRACTED = "summaries were extracted: a re-run calls no model"


@dataclass(frozen=True)
class _Then:
    """What is known of how the calls were made."""

    calls: Sequence[Step]
    policy: ContextPolicy
    counter: TokenCounter
    model: str | None
    notes: tuple[str, ...]


def rerun_session(
    memory: Any,
    *,
    session: str | None = None,
    policy: str | ContextPolicy | None = None,
    budget: int | None = None,
    model: str | None = None,
    progress: Callable[[int], None] = lambda calls: None,
) -> Rerun:
    """Re-run the calls of a session of `memory`, an AgentMemory; see `memory.trace.rerun`."""
    _check(budget, model)
    stream = Stream(memory.scope.namespace, session or memory.scope.session)
    registry = Registry(memory.plugins)
    then = _then(memory, stream, registry)
    ratios = memory.usage.prices.ratios_of(model or then.model)
    chosen = then.policy if policy is None else to_policy(policy, ratios)
    notes = [*then.notes, *([EXTRACTED] if _calls_a_model(chosen) else ())]
    chosen = replace(chosen, summarizer=None) if _calls_a_model(chosen) else chosen
    counter = default_counter(model, registry) if model else then.counter
    scratch = ScratchLog(
        memory.backend,
        stream,
        policy=chosen,
        counter=counter,
        parts=components(chosen, counter, registry),
        budget=budget,
        as_then=_recalls_alike(then.policy, chosen) and model is None,
        kept_parts=_Parts(memory.backend, memory.scope.namespace).of,
    )
    done = rerun(
        _recording_of(memory, stream, then.calls),
        scratch,
        models=(then.model, model or then.model),
        prices=memory.usage.prices,
        settings=_settings(None if policy is None else chosen.name, budget, model),
        progress=progress,
    )
    return replace(done, notes=(*notes, *done.notes))


def _then(memory: Any, stream: Stream, registry: Registry) -> _Then:
    """Return how the calls of a session were made; NotFoundError if none is recorded."""
    calls = windows_of(memory.trace.steps(session=stream.session, kind=WINDOW))
    if not calls:
        raise NotFoundError(
            f"The session {stream.session!r} has no recorded calls to make again; it was kept"
            " without a trace, or asked for no window."
        )
    notes: list[str] = []
    return _Then(
        calls,
        _policy_then(memory, calls, notes),
        _counter_then(memory, calls, registry),
        memory.model or _model_then(memory, stream.session),
        tuple(notes),
    )


def _recording_of(memory: Any, stream: Stream, calls: Sequence[Step]) -> Recording:
    return Recording(
        session=stream.session,
        calls=calls,
        entries=_entries(memory.backend, stream),
        window=memory.trace.window,
        counter=memory.counter,
        earlier=_earlier(memory.backend, stream),
    )


class _Parts:
    """What calls carried besides the log, read once for each session."""

    def __init__(self, backend: Backend, namespace: tuple[str, ...]) -> None:
        self._backend, self._namespace = backend, namespace
        self._known: dict[tuple[str, str], Any] = {}

    def of(self, step: Step) -> dict[str, Any]:
        """Return what a call carried, by digest."""
        keys = {*step.data.get("system", {}).values(), step.data.get("tools", "")} - {""}
        new = frozenset(key for key in keys if (step.session, key) not in self._known)
        if new:
            found = read_parts(self._backend, self._namespace, step.session, new)
            self._known |= {(step.session, key): part for key, part in found.items()}
        wanted = ((key, (step.session, key)) for key in keys)
        return {key: self._known[place] for key, place in wanted if place in self._known}


def _entries(backend: Backend, stream: Stream) -> Iterator[Entry]:
    after = 0
    while page := backend.read(stream, after=after, limit=CHUNK, kinds=READ):
        yield from page
        after = page[-1].version


def _earlier(backend: Backend, stream: Stream) -> list[Step]:
    """Return the calls that stand in the log but were made in a session it was forked from."""
    found: list[Step] = []
    after = 0
    for session, last in backend.lineage(stream)[:-1]:
        calls = windows_of(read_steps(backend, stream.namespace, session, kind=WINDOW))
        # One that compacted further on was made later, from the same messages.
        upto = ((step, head_of(step) or 0, step.data.get("base", 0)) for step in calls)
        found += [step for step, head, base in upto if after < head <= last and base <= last]
        after = last
    return found


def _policy_then(memory: Any, calls: Sequence[Step], notes: list[str]) -> ContextPolicy:
    """Return the policy of the recording, as far as its name tells."""
    name = str(calls[-1].data.get("policy", memory.policy.name))
    own: ContextPolicy = memory.policy
    if name == own.name:
        return own
    if name in PRESETS:
        return to_policy(name, memory.usage.prices.ratios_of(memory.model))
    notes.append(
        f"the calls were made by the policy {name!r}, which is not known here; {own.name!r} stands"
        " in for it"
    )
    return own


def _model_then(memory: Any, session: str) -> str | None:
    """Return the model that was last called, as far as that was recorded."""
    steps = memory.trace.steps(session=session, kind=MODEL)
    names = (step.name for step in reversed(steps) if step.name and step.name != "unknown")
    return next(names, None)


def _counter_then(memory: Any, calls: Sequence[Step], registry: Registry) -> TokenCounter:
    own: TokenCounter = memory.counter
    name = calls[-1].data.get("counter", own.name)
    if name == own.name:
        return own
    try:
        counter: TokenCounter = registry.resolve("token counter", name)
    except (UnknownComponentError, PluginError):  # it is not here, or cannot be made here
        return own
    return counter


def _calls_a_model(policy: ContextPolicy) -> bool:
    return policy.summarizer not in (None, EXTRACTIVE)


def _recalls_alike(then: ContextPolicy, now: ContextPolicy) -> bool:
    return (then.recall_share, then.recall_limit, then.shape_over) == (
        now.recall_share,
        now.recall_limit,
        now.shape_over,
    )


def _check(budget: object, model: object) -> None:
    if not (budget is None or (isinstance(budget, int) and budget is not True and budget > 0)):
        raise InvalidValueError(f"budget is a number of tokens, not {budget!r}.", path="budget")
    if not (model is None or isinstance(model, str)):
        raise InvalidValueError(f"model is a name, not {model!r:.60}.", path="model")


def _settings(policy: str | None, budget: int | None, model: str | None) -> dict[str, Any]:
    given = {"policy": policy, "budget": budget, "model": model}
    return {name: value for name, value in given.items() if value is not None}
