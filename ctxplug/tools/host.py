"""What tools need of the memory that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ctxplug.guards import Guards
from ctxplug.messages import Message
from ctxplug.records import MemoryRecord
from ctxplug.registry import Registry
from ctxplug.scope import Scope
from ctxplug.storage import Backend
from ctxplug.tokens import TokenCounter

if TYPE_CHECKING:
    from ctxplug.recall.recalled import Recalled
    from ctxplug.tools.runs import ToolRun


class Remembers(Protocol):
    """The verbs behind the memory tools: those of an AgentMemory."""

    counter: TokenCounter

    def remember(self, content: str, **options: Any) -> MemoryRecord:
        """Store a memory."""

    def recall(self, query: str, **options: Any) -> list[Recalled]:
        """Return the best memories and messages for a query."""

    def forget(self, record_id: str) -> None:
        """Remove a memory."""

    def expand(self, ref: str, start: int = 0) -> str:
        """Show a shortened part in full."""


@dataclass(frozen=True, slots=True)
class ToolHost:
    """A memory as its tools see it.

    `extend` stores messages in the session, `notify(kind, **data)` tells the observers,
    `begin(tool)` opens the step of a run in the task that runs it, and `ran(run, step)` ends
    it; `check_open` raises ClosedError once the memory is closed, `check_session`
    SessionStateError where nothing is added to the session; `memory` has its verbs.
    """

    backend: Backend
    scope: Scope
    counter: TokenCounter
    guards: Guards
    components: Registry
    extend: Callable[[Iterable[Message]], Sequence[Message]]
    notify: Callable[..., None]
    begin: Callable[[str], Any]
    ran: Callable[[ToolRun, Any], None]
    check_open: Callable[[], None]
    check_session: Callable[[], None]
    memory: Remembers
