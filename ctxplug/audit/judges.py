"""What plugins and the built-in rules say of an entry before it is written.

A plugin that fails is treated as the policy's mode says: where audit is required nothing is
done, else the entry says that it was not classified, or an alert that it was not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ctxplug import codec
from ctxplug.audit.entry import AuditEntry
from ctxplug.audit.policy import AuditPolicy
from ctxplug.audit.rules import RULES, Recent
from ctxplug.audit.sensitivity import NONE, Classification, of_tags, to_classification
from ctxplug.errors import AuditError, GuardError, InvalidValueError
from ctxplug.isolation import Guard
from ctxplug.plugins import Plugins
from ctxplug.records import MemoryRecord
from ctxplug.scope import Scope

Raised = list[tuple[str, str]]  # names of rules, and what they tell


class Judges:
    """The hooks `classify` and `judge_audit` of all plugins, and the built-in rules."""

    def __init__(self, plugins: Plugins) -> None:
        self._classifiers = [Guard(i) for i in plugins.implementations("classify")]
        self._judges = [Guard(i) for i in plugins.implementations("judge_audit")]
        self._recent = Recent()

    def classified(
        self, records: Sequence[MemoryRecord], scope: Scope, required: bool
    ) -> tuple[Classification, str | None]:
        """Return how sensitive `records` are, and which plugin failed to say so."""
        if not records:
            return NONE, None
        found, failed = of_tags(records), None
        for guard in self._classifiers:
            try:
                for record in records:
                    found |= _answer(guard, record, scope)
            except GuardError as exc:
                if required:
                    raise AuditError(f"{exc}") from exc
                failed = guard.plugin
        return found, failed

    def about(self, policy: AuditPolicy) -> frozenset[str] | None:
        """Return the verbs whose entries any rule looks at; None: a plugin looks at all."""
        if self._judges:
            return None
        return frozenset().union(*(RULES[name].verbs for name in policy.rules))

    def judged(self, entry: AuditEntry, scope: Scope, policy: AuditPolicy) -> Raised:
        """Return the alerts that `entry` raises; raise AuditError if a plugin refuses it."""
        raised: Raised = []
        for name in policy.rules:
            if entry.what in RULES[name].verbs:
                text = RULES[name].rule(entry, self._recent)
                raised += [(name, text)] if text is not None else []
        for guard in self._judges:
            try:
                answer = guard(entry=replace(entry, data=codec.plain(entry.data)), scope=scope)
                raised += [(guard.plugin, text) for text in _texts(guard, entry, answer)]
            except GuardError as exc:
                if policy.required:
                    raise AuditError(f"{exc}") from exc
                raised.append((guard.plugin, "The rule failed, so this was not judged."))
        return raised


def _answer(guard: Guard, record: MemoryRecord, scope: Scope) -> Classification:
    answer = guard(record=record.evolve(metadata=dict(record.metadata)), scope=scope)
    try:
        return to_classification(answer)
    except InvalidValueError as exc:
        raise guard.reject(answer) from exc


def _texts(guard: Guard, entry: AuditEntry, answer: object) -> Iterable[str]:
    if answer is None or answer is True:
        return ()
    if answer is False:
        raise AuditError(
            f"Plugin {guard.plugin!r} refused {entry.what!r} by a rule of compliance; nothing was"
            " done."
        )
    texts = [answer] if isinstance(answer, str) else answer
    if not isinstance(texts, list | tuple) or not all(isinstance(one, str) for one in texts):
        raise guard.reject(answer)
    return texts
