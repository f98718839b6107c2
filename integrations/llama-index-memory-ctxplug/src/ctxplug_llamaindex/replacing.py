"""Setting a whole history: what a caller hands over again is kept, and stored only once."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatMessage

from ctxplug import AgentMemory
from ctxplug.errors import InvalidMessageError, InvalidValueError
from ctxplug.messages import Logged
from ctxplug_llamaindex.messages import from_message, to_messages

TRIES = 5


def replace_all(memory: AgentMemory, messages: Sequence[ChatMessage]) -> None:
    """Make `messages` what is in view, as one entry of the log.

    What of the view they begin with stays as it is, so that a history which is set again,
    longer or without its beginning, is not stored again. What others say meanwhile comes
    before it and leaves with the rest, or behind it.
    """
    session = memory.session
    for attempt in range(1, TRIES + 1):
        log = session.log()
        kept = _begun(log, messages)
        new = to_messages(messages[len(kept) :])
        if len(kept) == len(log):
            if new:  # it goes on, and the window with it
                memory.extend(new)
            return
        try:
            session.keep(kept, new, note=session.note)
            return
        except InvalidValueError:  # of what is to be kept somebody took something away
            if attempt == TRIES:
                raise


def _begun(log: Sequence[Logged], messages: Sequence[ChatMessage]) -> list[int]:
    """Return the versions, in order, of what `messages` begin with."""
    kept: list[int] = []
    stored = iter(log)
    for message in messages:
        found = next((one for one in stored if _is(one, message)), None)
        if found is None:
            break
        kept.append(found.version)
    return kept


def _is(logged: Logged, message: ChatMessage) -> bool:
    try:
        return from_message(logged.message) == message
    except InvalidMessageError:  # several results in one message, which LlamaIndex does not have
        return False
