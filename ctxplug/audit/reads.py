"""Reads that are audited where a policy says "all", or names them.

The verbs are wrapped on the memory itself, so that twins, tools and adapters pass there too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ctxplug.audit.changes import Draft
from ctxplug.audit.entry import DENIED
from ctxplug.audit.recorder import Recorder
from ctxplug.errors import AccessError
from ctxplug.records import MemoryRecord

# What a call touched: its ids, what else is told of it, and the records that were seen.
Touched: TypeAlias = tuple[Iterable[str], dict[str, Any], list[MemoryRecord]]
Look: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any], Any], Touched]


def audit_reads(memory: Any, recorder: Recorder) -> None:
    """Let the reading verbs of `memory` be audited, those that the policy wants."""
    if not recorder.policy.everything:
        return
    for name, look in READS.items():
        if recorder.policy.wants(name):
            vars(memory)[name] = _audited(getattr(memory, name), name, look, recorder)
    for name, look in OF_PARTS.items():
        if recorder.policy.wants(name):
            part, _, verb = name.partition(".")
            owner = getattr(memory, part)
            vars(owner)[verb] = _audited(getattr(owner, verb), name, look, recorder)


def _audited(verb: Callable[..., Any], name: str, look: Look, recorder: Recorder) -> Any:
    namespace = recorder.scope.namespace

    @functools.wraps(verb)
    def read(*args: Any, **options: Any) -> Any:
        try:
            result = verb(*args, **options)
        except AccessError:
            recorder.write(Draft(name, namespace), DENIED)
            raise
        ids, data, records = look(args, options, result)
        recorder.write(Draft(name, namespace, None, list(ids), data, records))
        return result

    return read


def _recalled(args: Any, options: Any, found: Any) -> Touched:
    return [one.record.id for one in found], {}, [one.record for one in found]


def _records(args: Any, options: Any, found: Any) -> Touched:
    return [record.id for record in found], {}, list(found)


def _window(args: Any, options: Any, window: Any) -> Touched:
    report = window.report
    data = {"tokens": window.tokens, "messages": len(window.messages), "head": report.head}
    return report.recalled, data, []


def _messages(args: Any, options: Any, found: Any) -> Touched:
    return [message.id for message in found], {"messages": len(found)}, []


def _log(args: Any, options: Any, found: Any) -> Touched:
    return [one.message.id for one in found], {"messages": len(found)}, []


def _step(args: Any, options: Any, replayed: Any) -> Touched:
    step = args[0] if args else options["step"]
    return [step if isinstance(step, str) else step.id], {}, []


def _replay(args: Any, options: Any, replay: Any) -> Touched:
    return [replay.session], {"steps": len(replay)}, []


def _ref(args: Any, options: Any, result: Any) -> Touched:
    return [args[0] if args else options["ref"]], {}, []


READS: Mapping[str, Look] = {
    "recall": _recalled,
    "context": _window,
    "messages": _messages,
    "original": _ref,
    "expand": _ref,
    "memories": _records,
    "search_archive": _recalled,
}
OF_PARTS: Mapping[str, Look] = {
    "session.log": _log,
    "trace.window": _step,
    "trace.replay": _replay,
}
