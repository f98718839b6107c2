"""What MemoryChat raises of its own; the SDK's typed errors come through as they are.

Behind each of them the session is whole: give the same message again, and the turn goes on
from what was stored, without running a tool twice.
"""

from __future__ import annotations

from ctxplug.errors import CtxplugError


class ChatError(CtxplugError):
    """A turn came to no end; `partial` is the text that had arrived of the reply."""

    def __init__(self, message: str, *, partial: str = "") -> None:
        super().__init__(message)
        self.partial = partial


class ChatDeadlineError(ChatError):
    """The turn was not over after `seconds`; `attempts` is how often the last call was sent."""

    def __init__(
        self, message: str, *, seconds: float, attempts: int = 0, partial: str = ""
    ) -> None:
        super().__init__(message, partial=partial)
        self.seconds = seconds
        self.attempts = attempts


class IncompleteReplyError(ChatError):
    """The API's answer was cut off, or is no message; it was not stored."""
