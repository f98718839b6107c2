"""ToolPolicy: how an agent's tools are let run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.scope import Scope
from ctxplug.tools.rules import ACTIONS, Action, Approve, Decision, ToolRule, decide, is_enabled
from ctxplug.tools.tool import Tool


@dataclass(frozen=True)
class ToolPolicy:
    """The rules and limits that tools run by; `AgentMemory.open(tool_policy=...)`.

    `rules` decide first, and then `default`: "allow", "ask" (but what has no side effects is
    allowed) or "deny". A call to ask about goes to `approve`, which answers True for yes;
    without it, it is refused. At most `concurrency` calls run at once in the process, and
    `per_user` of one namespace (None: no limit); others wait up to `queue_timeout` seconds.
    `timeout` in seconds is that of tools without their own. Of an output, at most
    `output_limit` characters are looked at for the model, which gets a preview of
    `preview_tokens`; the whole is in the log. What is idempotent is tried up to `retries`
    times again after a failure.
    """

    rules: tuple[ToolRule, ...] = ()
    default: Action = "allow"
    approve: Approve | None = None
    concurrency: int | None = 400
    per_user: int | None = 200
    queue_timeout: float = 30.0
    timeout: float = 30.0
    output_limit: int = 64 * 1024
    preview_tokens: int = 2_000
    retries: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        for rule in self.rules:
            if not isinstance(rule, ToolRule):
                raise _wrong("rules", "a sequence of ToolRule", rule)
        if self.default not in ACTIONS:
            raise _wrong("default", " or ".join(map(repr, ACTIONS)), self.default)
        if self.approve is not None and not callable(self.approve):
            raise _wrong("approve", "a function of a PendingCall, or None", self.approve)
        for name in ("concurrency", "per_user"):
            if getattr(self, name) is not None:
                self._check_count(name, 1)
        self._check_count("output_limit", 1)
        self._check_count("preview_tokens", 1)
        self._check_count("retries", 0)
        for name in ("queue_timeout", "timeout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
                raise _wrong(name, "seconds above zero", value)

    def decide(self, tool: Tool, scope: Scope, arguments: Mapping[str, Any]) -> Decision:
        """Return what becomes of a call of `tool` with these validated arguments."""
        return decide(self.rules, self.default, tool, scope, arguments)

    def enables(self, tool: Tool, scope: Scope) -> bool:
        """Say whether any call of `tool` could run in `scope`."""
        return is_enabled(self.rules, self.default, tool, scope)

    def _check_count(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise _wrong(name, f"a whole number of {least} or more", value)


def _wrong(name: str, what: str, value: object) -> InvalidValueError:
    return InvalidValueError(f"{name} is {what}, not {value!r:.60}.", path=name)
