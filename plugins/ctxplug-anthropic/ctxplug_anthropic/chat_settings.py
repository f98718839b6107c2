"""ChatSettings: what holds for all turns of a chat, and the settings of one turn from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.tools.rules import Approve
from ctxplug_anthropic.conversations import Conversations
from ctxplug_anthropic.deadline import Deadline
from ctxplug_anthropic.settings import TurnSettings

DEADLINE = 300.0  # seconds


@dataclass(frozen=True, kw_only=True)
class ChatSettings:
    """The defaults of every turn.

    `deadline` in seconds is for the whole turn: tools, retries and waits included. `budget`
    is that of the memory unless given. `recall` puts what is remembered into the user's turn,
    `cache` sets cache marks. `fallback` names a cheaper model to ask where a limit on spending
    refuses `model`; None, no other is asked. At most `most_calls` calls of the API are made
    for one turn. `options` are further arguments of `messages.create`.
    """

    model: str | None = None
    max_tokens: int = 4_096
    budget: int | None = None
    system: str | None = None
    recall: bool = True
    cache: bool = True
    fallback: str | None = None
    most_calls: int = 25
    deadline: float | None = DEADLINE
    options: Mapping[str, Any] = field(default_factory=dict)
    approve: Approve | None = None

    def of_turn(
        self,
        conversations: Conversations,
        *,
        system: str | None,
        stream: bool,
        tools: Iterable[Any] | None,
        changes: Mapping[str, Any],
    ) -> TurnSettings:
        """Return the settings of one turn; `changes` are fields of this class."""
        known = set(self.__dataclass_fields__)
        if unknown := sorted(set(changes) - known):
            raise InvalidValueError(
                f"There is no setting {unknown[0]!r}; a turn has"
                f" {', '.join(sorted(known))}, and what else messages.create takes goes into"
                " options={...}.",
                path=unknown[0],
            )
        values = {name: getattr(self, name) for name in known} | dict(changes)
        values["options"] = {**self.options, **values["options"]}
        values["deadline"] = Deadline(values["deadline"])
        values["model"] = values["model"] or conversations.root.model
        if system is not None:
            values["system"] = system
        names = conversations.tool_names(tools)
        return TurnSettings(**values, stream=stream, tools=names)
