"""AccessRule: who may, or may not, do what with which sessions and memories."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import translate
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from ctxplug.errors import InvalidValueError
from ctxplug.records import to_tags
from ctxplug.scope import RESERVED, check_label

READ, WRITE, SHARE = "read", "write", "share"
VERBS = (READ, WRITE, SHARE)
ALLOW: Final = "allow"
DENY: Final = "deny"
ALL = "*"
Action: TypeAlias = Literal["allow", "deny"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """One rule; `agent` and `session` are names or globs (`*`, `?`, `[ab]`), and case counts.

    With `kinds` or `tags` it is about memories of one of these kinds, with one of these tags.
    `id` revokes it; `by` is the agent that made it, None the owner.
    """

    action: Action
    verbs: tuple[str, ...]
    agent: str
    session: str = ALL
    kinds: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    id: str = ""
    by: str | None = None
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.action not in (ALLOW, DENY):
            raise InvalidValueError(
                f'action is "allow" or "deny", not {self.action!r:.40}.', path="action"
            )
        object.__setattr__(self, "verbs", to_verbs(self.verbs))
        check_label(self.agent, "agent")
        check_label(self.session, "session")
        for name in ("kinds", "tags"):
            object.__setattr__(self, name, _texts(getattr(self, name), name))

    @property
    def of_memories(self) -> bool:
        """Whether it is about memories alone, and not about the logs of sessions."""
        return self.kinds is not None or self.tags is not None

    def is_for(self, agent: str) -> bool:
        """Say whether `agent` is one of those it names."""
        return matches(self.agent, agent)

    def is_about(self, session: str, kind: str | None = None, tags: Iterable[str] = ()) -> bool:
        """Say whether it is about a session's log, or with `kind` a memory made there."""
        if not _names(self.session, session):
            return False
        if not self.of_memories:
            return True
        return (
            kind is not None
            and (self.kinds is None or kind in self.kinds)
            and (self.tags is None or not set(self.tags).isdisjoint(tags))
        )

    def includes(self, other: AccessRule) -> bool:
        """Say whether this is surely about all that `other` is about."""
        return (
            _covers(self.session, other.session)
            and _holds_all(self.kinds, other.kinds)
            and _holds_all(self.tags, other.tags)
        )

    def may_meet(self, other: AccessRule) -> bool:
        """Say whether something may be that both are about."""
        return _may_meet(self.session, other.session)

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON data, as it is stored and printed."""
        data: dict[str, Any] = {
            "id": self.id,
            "action": self.action,
            "verbs": list(self.verbs),
            "agent": self.agent,
            "session": self.session,
        }
        data |= {n: list(v) for n in ("kinds", "tags") if (v := getattr(self, n)) is not None}
        if self.by is not None:
            data["by"] = self.by
        if self.created_at is not None:
            data["created_at"] = self.created_at.isoformat()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], **fields: Any) -> AccessRule:
        """Read a rule as it is stored; raises InvalidValueError if it is none."""
        known = {"id", "action", "verbs", "agent", "session", "kinds", "tags"}
        if not known.issuperset(data) or not isinstance(data.get("id"), str):
            raise InvalidValueError(f"This is not an access rule: {data!r:.200}.")
        try:
            return cls(**{**data, **fields})
        except TypeError as exc:
            raise InvalidValueError(f"This is not an access rule: {exc}.") from exc

    def __str__(self) -> str:
        of = [f"kind {kind!r}" for kind in self.kinds or ()]
        of += [f"tag {tag!r}" for tag in self.tags or ()]
        what = f"memories of {' or '.join(of)} in " if of else ""
        return (
            f"{self.action} {self.agent!r} to {', '.join(self.verbs)}"
            f" {what}{'everything' if self.session == ALL else f'sessions {self.session!r}'}"
        )


def to_verbs(verbs: Iterable[str] | str) -> tuple[str, ...]:
    """Return `verbs`, one or several of VERBS, in their order."""
    given = to_tags(verbs)
    if not given or not set(given) <= set(VERBS):
        raise InvalidValueError(
            f"verbs are one or several of {', '.join(VERBS)}, not {verbs!r:.80}.", path="verbs"
        )
    return tuple(verb for verb in VERBS if verb in given)


def matches(glob: str, name: str) -> bool:
    """Say whether the whole of `name` is as `glob` says; case counts.

    A name is meant by itself too, whatever signs are in it, as in "trip [1]".
    """
    return glob in (ALL, name) or _pattern(glob).match(name) is not None


@lru_cache(4096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


def _names(glob: str, session: str) -> bool:
    """As `matches`; ctxplug's own logs are named only by "*" and by their prefix."""
    own = session.startswith(RESERVED)
    return matches(glob, session) and (not own or glob == ALL or glob.startswith(RESERVED))


def _prefix(glob: str) -> tuple[str, str]:
    """Return the plain text with which `glob` begins, and what follows it."""
    end = next((n for n, sign in enumerate(glob) if sign in "*?["), len(glob))
    return glob[:end], glob[end:]


def _covers(outer: str, inner: str) -> bool:
    if outer in (inner, ALL):
        return True
    plain, rest = _prefix(inner)
    if not rest:
        return _names(outer, inner)
    begin, end = _prefix(outer)
    return end == ALL and plain.startswith(begin) and bool(begin)


def _may_meet(one: str, other: str) -> bool:
    (plain, rest), (begin, end) = _prefix(one), _prefix(other)
    if not rest:
        return matches(other, one)
    if not end:
        return matches(one, other)
    return plain.startswith(begin) or begin.startswith(plain)


def _holds_all(ours: tuple[str, ...] | None, theirs: tuple[str, ...] | None) -> bool:
    return ours is None or (theirs is not None and set(theirs) <= set(ours))


def _texts(value: Any, name: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    texts = to_tags(value)
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise InvalidValueError(
            f"{name} are one or several texts, or None for all, not {value!r:.80}.", path=name
        )
    if name == "kinds" and "message" in texts:
        raise InvalidValueError(
            'Messages go by the rules of their session: name it in place of the kind "message".',
            path=name,
        )
    return texts
