"""Which of the messages that LlamaIndex hands over the log does not hold yet.

Its messages have no ids, and it hands the same ones over again: the whole active history at
every read, and once more when they leave it. So both rows are laid side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from ctxplug import Message, codec


def beyond(log: Sequence[str], given: Sequence[str], *, put: bool = False) -> list[int] | None:
    """Return the places in `given` of what comes after the end of `log`, both oldest first.

    A history goes on from the end of the log, wholly or in part; None if it does not. It is
    all there where a chat store writes to the same log, which may be one message ahead. What
    is `put` is new but for what the log ends with: a put that is tried again.
    """
    ahead = log[: len(log) - 1]
    if not put and given and ahead[max(0, len(ahead) - len(given)) :] == given:
        return []
    shared = _overlap(log, given)
    return list(range(shared, len(given))) if shared or put or not log else None


def behind(since: Sequence[str], given: Sequence[str]) -> list[int] | None:
    """Return the places in `given`, a whole history, of what the log has not.

    `since` is what it has since the last that left the history: so what is said again in the
    same words is told from what was said before. None if the history does not begin with it;
    a chat store that writes to the same log may be one message ahead.
    """
    if since[: len(given)] == given and len(since) <= len(given) + 1:
        return []
    return list(range(len(since), len(given))) if given[: len(since)] == since else None


def unshared(log: Sequence[str], given: Sequence[str], *, altered: bool = False) -> list[int]:
    """Return the places in `given` of what is not in `log`, where it was changed.

    They share what they can in order. In an `altered` log, of redacted messages, what stands
    in the same place is the same.
    """
    seen: set[int] = set()
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, log, given, autojunk=False).get_opcodes():
        if tag == "equal":
            seen.update(range(j1, j2))
        elif tag == "replace" and altered:
            count = min(i2 - i1, j2 - j1)
            start = j2 - count if i1 == 0 and i2 < len(log) else j1
            seen.update(range(start, start + count))
    return [place for place in range(len(given)) if place not in seen]


def leaving(log: Sequence[str], given: Sequence[str], left: int | None) -> tuple[int, int] | None:
    """Return how many of the first of `given` are in the log, and where there they end.

    `given` leaves the history, and follows the first `left` of the log, which did so before;
    if these are not known, it may stand anywhere. None if it stands nowhere.
    """
    count = len(given)
    if left is not None:
        after = log[left:]
        tried_again = not after and log[len(log) - count :] == given
        if after[:count] == given[: len(after)] and not tried_again:
            known = min(count, len(after))
            return known, left + known
    for end in range(len(log), count - 1, -1):
        if log[end - count : end] == given:
            return count, end
    return None


def sign(message: Message) -> str:
    """Return what tells a message from others: who said what, without ids, times and extras."""
    said = message.to_dict()
    parts = [_bare(part) for part in said["content"]]
    plain = codec.encode([message.role, message.name, parts])
    plain = plain.replace(message.id.encode(), b"")  # of which ids are made that were missing
    return hashlib.blake2b(plain, digest_size=16).hexdigest()


def _bare(part: dict[str, Any]) -> dict[str, Any]:
    bare = {name: value for name, value in part.items() if name != "extra"}
    if isinstance(bare.get("content"), list):
        bare["content"] = [_bare(inner) for inner in bare["content"]]
    return bare


def _overlap(log: Sequence[str], given: Sequence[str]) -> int:
    """Return how many of the first of `given` the log ends with."""
    for count in range(min(len(log), len(given)), 0, -1):
        if log[len(log) - count :] == given[:count]:
            return count
    return 0
