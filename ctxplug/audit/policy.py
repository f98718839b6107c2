"""AuditPolicy: what is audited, how strictly, and what raises an alert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ctxplug.audit.changes import is_own
from ctxplug.audit.rules import RULES
from ctxplug.errors import InvalidValueError

CHANGES, ALL = "changes", "all"
MODES = ("best_effort", "required")
Audit: TypeAlias = "AuditPolicy | Literal['changes', 'all'] | bool | None"


@dataclass(frozen=True, slots=True)
class AuditPolicy:
    """How a memory is audited.

    `verbs` is "changes" (whatever alters the store but plain adds of messages), "all" (adds
    and reads too), or the verbs to be audited, such as ("remember", "forget", "recall").
    With the mode "required" nothing is done, or returned, that cannot be audited; with
    "best_effort" it is. `purpose` and `actor` hold where `memory.audit.purpose` names no
    other. `rules` are built-in rules that raise alerts; those of plugins come on top. What
    was audited is sealed into the chain after every `seal_every` entries, and at `close`.
    """

    verbs: str | Sequence[str] = CHANGES
    mode: Literal["best_effort", "required"] = "best_effort"
    purpose: str | None = None
    actor: str | None = None
    rules: Sequence[str] = tuple(RULES)
    seal_every: int = 100

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidValueError(f"mode is one of {MODES}, not {self.mode!r}.", path="mode")
        verbs = self.verbs
        if verbs not in (CHANGES, ALL) and (isinstance(verbs, str) or not _texts(verbs)):
            raise InvalidValueError(
                f'verbs is "changes", "all" or names of verbs such as ("remember", "recall"), not'
                f" {verbs!r:.80}.",
                path="verbs",
            )
        strange = [] if isinstance(verbs, str) else [v for v in verbs if not is_own(v)]
        if strange:
            raise InvalidValueError(
                f"verbs names {strange[0]!r:.60}, which is no verb that is audited: see the page"
                " audit. What memory.audit.note(...) tells is entered in any case.",
                path="verbs",
            )
        unknown = set(self.rules) - set(RULES)
        if isinstance(self.rules, str) or unknown:
            raise InvalidValueError(
                f"rules are some of {tuple(RULES)}, not {self.rules!r:.80}; rules of your own come"
                " from a plugin with judge_audit.",
                path="rules",
            )
        every: Any = self.seal_every
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InvalidValueError(
                f"seal_every is a number of entries above zero, not {every!r}.", path="seal_every"
            )

    @property
    def everything(self) -> bool:
        """Whether more than changes may be audited."""
        return self.verbs != CHANGES

    @property
    def required(self) -> bool:
        """Whether nothing may happen that cannot be audited."""
        return self.mode == "required"

    def wants(self, verb: str) -> bool:
        """Say whether `verb` is audited, of all that could be."""
        return self.verbs in (CHANGES, ALL) or verb in self.verbs


def to_policy(audit: Any) -> AuditPolicy | None:
    """Return the policy that `open` was given; None if nothing is to be audited."""
    if audit is None or audit is True:
        return AuditPolicy()
    if audit is False:
        return None
    if isinstance(audit, str) and audit in (CHANGES, ALL):
        return AuditPolicy(audit)
    if isinstance(audit, AuditPolicy):
        return audit
    raise InvalidValueError(
        f'audit is an AuditPolicy, "changes", "all" or False, not {audit!r:.60}.', path="audit"
    )


def _texts(values: Any) -> bool:
    return bool(values) and all(isinstance(value, str) and value for value in values)
