"""LoCoMo conversations: two people over many dated sessions (snap-research/locomo)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ctxplug.errors import InvalidMessageError
from ctxplug.messages import Message

_SESSION = re.compile(r"session_([0-9]{1,6})")
_TIME = re.compile(
    r"([0-9]{1,2}):([0-9]{2}) *([ap]m) on ([0-9]{1,2}) ([a-z]+),? ([0-9]{4})", re.IGNORECASE
)
# Not strptime: its month names follow the locale.
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def is_locomo(value: Any) -> bool:
    """Say whether `value` is a conversation as LoCoMo has it, bare or in its `conversation`."""
    if not isinstance(value, Mapping):
        return False
    inner = value.get("conversation", value)
    return isinstance(inner, Mapping) and all(
        isinstance(inner.get(key), str) for key in ("speaker_a", "speaker_b")
    )


def read_locomo(value: Mapping[str, Any]) -> tuple[tuple[Message, ...], dict[str, Any]]:
    """Return the messages and the metadata of a LoCoMo conversation.

    `speaker_a` is the user and `speaker_b` the assistant, each with their name; a picture
    is its caption. Raises InvalidMessageError naming the session and turn.
    """
    talk: Mapping[str, Any] = value.get("conversation", value)
    roles = {talk["speaker_a"]: "user", talk["speaker_b"]: "assistant"}
    found: list[Message] = []
    for number in sorted(int(m[1]) for key in talk if (m := _SESSION.fullmatch(key))):
        turns = talk[f"session_{number}"]
        if not isinstance(turns, list):
            raise InvalidMessageError(f"session_{number} must be a list, not {turns!r:.60}.")
        at = _time(talk.get(f"session_{number}_date_time"), number)
        found += [_turn(turn, number, i, roles, at) for i, turn in enumerate(turns, 1)]
    if not found:
        raise InvalidMessageError("the LoCoMo conversation has no turn in any session_N.")
    return tuple(found), {"speaker_a": talk["speaker_a"], "speaker_b": talk["speaker_b"]}


def _turn(turn: Any, session: int, i: int, roles: Mapping[Any, str], at: datetime) -> Message:
    where = f"session_{session}, turn {i}"
    if not isinstance(turn, Mapping) or not isinstance(turn.get("text"), str):
        raise InvalidMessageError(f"{where} must be an object with 'speaker' and 'text'.")
    speaker = turn.get("speaker")
    if not isinstance(speaker, str) or speaker not in roles:
        names = " nor ".join(map(repr, roles))
        raise InvalidMessageError(f"{where} is said by {speaker!r}, who is neither {names}.")
    text, caption = turn["text"], turn.get("blip_caption")
    return Message(
        roles[speaker],
        f"{text}\n[image: {caption}]" if caption else text,
        name=speaker,
        metadata={"dia_id": turn.get("dia_id"), "session": session},
        created_at=at,
    )


def _time(text: Any, session: int) -> datetime:
    match = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    try:
        if match is not None:
            hour = int(match[1]) % 12 + (12 if match[3].lower() == "pm" else 0)
            month = _MONTHS.index(match[5][:3].lower()) + 1
            return datetime(int(match[6]), month, int(match[4]), hour, int(match[2]), tzinfo=UTC)
    except ValueError:
        match = None
    raise InvalidMessageError(
        f"session_{session}_date_time is {text!r}; it must be like '1:56 pm on 8 May, 2023'."
    )
