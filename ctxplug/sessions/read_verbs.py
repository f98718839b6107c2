"""The verbs of AgentMemory that read the log: its messages, and what stands behind a reference."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ctxplug.messages import Message
from ctxplug.sessions.log import SessionLog, given, in_full
from ctxplug.storage import Backend

EXPANDED = 8_000  # characters that one call of expand gives


class ReadVerbs:
    """Read the session's messages; AgentMemory brings the attributes below."""

    backend: Backend
    _log: SessionLog

    if TYPE_CHECKING:

        def _refuse_closed(self) -> None: ...

    def messages(self, last: int | None = None) -> list[Message]:
        """Return the messages of the session, or its `last`, oldest first, as they were stored.

        Those that an edit (`session.keep`) put out of view are in the log alone.
        """
        self._refuse_closed()
        return [given(e) for e in (self._log.entries() if last is None else self._log.newest(last))]

    def original(self, ref: str) -> tuple[Message, ...]:
        """Return the messages, byte for byte, behind a reference in a shortened part.

        A reference reads "@12" or "@3-40" for versions of this session, "trip@12" for one
        of another session of the namespace. Raises NotFoundError if there is none.
        """
        self._refuse_closed()
        return self._log.original(ref)

    def expand(self, ref: str, start: int = 0) -> str:
        """Show what a shortened part of the conversation said in full.

        Give this to the agent as a tool. `ref` is the reference in the part, such as "@12"
        or "@3-40"; `start` is the character to go on from. Returns up to 8,000 characters
        of the originals, each with its role, and where to go on.
        """
        self._refuse_closed()
        found = self._log.original(ref, in_view=True)
        text = "\n".join(f"[{message.role}] {in_full(message)}" for message in found)
        shown = text[max(0, start) : max(0, start) + EXPANDED]
        end = max(0, start) + len(shown)
        if end >= len(text):
            return shown
        return f"{shown}\n[{end} of {len(text)} characters; go on with start={end}]"

    async def amessages(self, last: int | None = None) -> list[Message]:
        """Async twin of `messages`."""
        return await self.backend.arun(partial(self.messages, last))

    async def aoriginal(self, ref: str) -> tuple[Message, ...]:
        """Async twin of `original`."""
        return await self.backend.arun(partial(self.original, ref))

    async def aexpand(self, ref: str, start: int = 0) -> str:
        """Async twin of `expand`."""
        return await self.backend.arun(partial(self.expand, ref, start))
