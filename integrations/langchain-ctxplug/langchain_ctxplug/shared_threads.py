"""One thread id for two users: LangGraph's checkpointer finds a thread by its id alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

from langchain_core.messages import BaseMessage

from langchain_ctxplug.state_log import StateLog


def warn_if_shared(
    session: str, others: Iterable[StateLog], messages: Sequence[BaseMessage]
) -> None:
    """Warn if the state of a thread holds what was logged for another user.

    `others` are the logs of the same thread id for other users, as far as this process has
    seen them lately. It is a warning and no refusal: a group may share a thread.
    """
    if any(_shares(log, messages) for log in others):
        warnings.warn(
            f"The state of the thread {session!r} holds messages that were logged for another"
            " user: LangGraph's checkpointer finds a thread by its id alone, so the model is sent"
            " what the other one said. Give each user thread ids of their own, such as"
            " 'alice-monday'.",
            UserWarning,
            stacklevel=2,
        )


def _shares(log: StateLog, messages: Sequence[BaseMessage]) -> bool:
    current = log.current
    if current is None:
        return False
    shared = set()
    for message in messages:
        seen = current.of(message.id) if message.id else None
        if seen is not None and seen.content == message.content:
            shared.add(message.type)
    # The ids of one kind alone may be equal by chance: a client may choose those of its user's
    # messages, and a cache of answers repeats those of the model's.
    return {"human", "ai"} <= shared
