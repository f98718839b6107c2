"""Rules: which calls run, which are asked about, and which are refused."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias, get_args

from ctxplug.errors import InvalidValueError
from ctxplug.messages import ToolCallPart
from ctxplug.scope import Scope, to_namespace
from ctxplug.tools.tool import Tool

Action: TypeAlias = Literal["allow", "ask", "deny"]
ACTIONS: tuple[str, ...] = get_args(Action)  # the later one wins

log = logging.getLogger("ctxplug")


@dataclass(frozen=True, slots=True)
class ToolRule:
    """Allow, ask about or deny the calls that match all that is given.

    `tool`, `session` and `agent` are globs ("file_*"), case counts. `namespace` holds for the
    namespace of these labels, each a glob, and for all below it. `when` is asked about the
    arguments as they are validated; if it fails, a rule that denies or asks holds, and one
    that allows does not.
    """

    action: Action
    tool: str = "*"
    namespace: str | Iterable[str] | None = None
    session: str | None = None
    agent: str | None = None
    when: Callable[[Mapping[str, Any]], bool] | None = None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise InvalidValueError(
                f"A rule's action is one of {', '.join(ACTIONS)}, not {self.action!r}.",
                path="action",
            )
        for name in ("tool", "session", "agent"):
            value = getattr(self, name)
            if not (isinstance(value, str) and value) and (value is not None or name == "tool"):
                raise InvalidValueError(
                    f"A rule's {name} is a pattern such as 'file_*', not {value!r}.", path=name
                )
        if self.when is not None and not callable(self.when):
            raise InvalidValueError(
                f"A rule's when is a function of the arguments, not {self.when!r:.60}.",
                path="when",
            )
        if self.namespace is not None:
            object.__setattr__(self, "namespace", to_namespace(self.namespace))

    def covers(self, tool: str, scope: Scope) -> bool:
        """Say whether the rule is about `tool` in `scope`, whatever the arguments."""
        return (
            fnmatchcase(tool, self.tool)
            and (self.session is None or fnmatchcase(scope.session, self.session))
            and (self.agent is None or fnmatchcase(scope.agent or "", self.agent))
            and self._covers_namespace(scope)
        )

    def holds(self, tool: str, scope: Scope, arguments: Mapping[str, Any]) -> bool:
        """Say whether the rule holds for this call."""
        if not self.covers(tool, scope):
            return False
        if self.when is None:
            return True
        try:
            answer = self.when(arguments)
        except Exception:
            log.exception("a rule's `when` failed on a call of the tool %r", tool)
            return self.action != "allow"
        return answer is True if self.action == "allow" else answer is not False

    def _covers_namespace(self, scope: Scope) -> bool:
        if self.namespace is None:
            return True
        labels = tuple(self.namespace)
        return len(scope.namespace) >= len(labels) and all(
            fnmatchcase(label, pattern)
            for label, pattern in zip(scope.namespace, labels, strict=False)
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a call; `rule` is what decided, None where no rule did."""

    action: Action
    rule: ToolRule | None = None

    @property
    def reason(self) -> str:
        """Whose decision it is, as the end of a sentence."""
        if self.rule is None:
            return "by the policy's default"
        return f"by a rule for {self.rule.tool!r}"


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that waits for a yes; what `approve` is given.

    `arguments` are those that the tool would get. They come from a model: show them to
    whoever decides, and let nothing in them decide.
    """

    call: ToolCallPart
    tool: Tool
    arguments: Mapping[str, Any]
    scope: Scope
    decision: Decision = field(default_factory=lambda: Decision("ask"))

    @property
    def id(self) -> str:
        """The id of the call."""
        return self.call.id

    @property
    def name(self) -> str:
        """The name of the tool."""
        return self.tool.name


Approve: TypeAlias = Callable[[PendingCall], "bool | Awaitable[bool]"]


def decide(
    rules: Sequence[ToolRule],
    default: Action,
    tool: Tool,
    scope: Scope,
    arguments: Mapping[str, Any],
) -> Decision:
    """Return what becomes of a call: of the rules that hold, deny beats ask beats allow.

    Without one, `default` decides, but what has no side effects is not asked about.
    """
    held = [rule for rule in rules if rule.holds(tool.name, scope, arguments)]
    if held:
        strictest = max(held, key=lambda rule: ACTIONS.index(rule.action))
        return Decision(strictest.action, strictest)
    if default == "ask" and not tool.side_effects:
        return Decision("allow")
    return Decision(default)


def is_enabled(rules: Sequence[ToolRule], default: Action, tool: Tool, scope: Scope) -> bool:
    """Say whether any call of `tool` could run in `scope`: whether a model is to know it."""
    about = [rule for rule in rules if rule.covers(tool.name, scope)]
    if any(rule.action == "deny" and rule.when is None for rule in about):
        return False
    return default != "deny" or any(rule.action != "deny" for rule in about)
