"""MemoryRecord: the keyed document that is searched; memories and indexed messages alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.scope import Namespace, to_labels
from ctxplug.times import to_datetime

Tier: TypeAlias = Literal["short", "medium", "long"]
TIERS: tuple[str, ...] = ("short", "medium", "long")
Trust: TypeAlias = Literal["user", "model", "tool", "document"]
TRUST: tuple[str, ...] = ("user", "model", "tool", "document")  # the most trusted first
_TRUST_OF: Mapping[str, Trust] = {
    "user": "user",
    "system": "user",
    "assistant": "model",
    "model": "model",
    "tool": "tool",
}
_TIMES = ("created_at", "last_accessed", "expires_at", "valid_from", "valid_to")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecord:
    """A document of one namespace.

    `importance` is 0.0 to 1.0; times are aware UTC datetimes; `sources` are ids of
    messages or records this one was made from; `origin` says who it came from ("user",
    "assistant", "model", "tool:NAME", "document", ...), `made_by` how it came to be
    ("said": a message of the log, "remember", "capture:RULE", "consolidate", "import",
    ...), `session` and `agent` where it was made.
    """

    namespace: Namespace
    id: str
    kind: str
    content: str
    tier: Tier = "medium"
    importance: float = 0.5
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime
    last_accessed: datetime | None = None
    access_count: int = 0
    expires_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    sources: tuple[str, ...] = ()
    origin: str = "user"
    session: str | None = None
    agent: str | None = None
    made_by: str = "remember"

    def __post_init__(self) -> None:
        _check(self)

    @property
    def trust(self) -> Trust:
        """How far to rely on it, by its origin: "user", then "model", "tool", "document".

        What the developer's system prompt says counts as the user's; an origin that is not
        known is a "document": anyone may have written it.
        """
        return _TRUST_OF.get(self.origin.partition(":")[0], "document")

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON data; `from_dict` is the exact inverse."""
        data: dict[str, Any] = {}
        for f in _FIELDS:
            value = getattr(self, f)
            if value is None or value == () or value == {}:
                continue
            if isinstance(value, datetime):
                value = value.isoformat()
            data[f] = list(value) if isinstance(value, tuple) else value
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MemoryRecord:
        """Rebuild a record; raise InvalidValueError if `data` is not one."""
        try:
            values = dict(data)
            values["namespace"] = to_labels(values["namespace"])
            for name in ("tags", "sources"):
                values[name] = tuple(values.get(name, ()))
            for name in _TIMES:
                if name in values:
                    values[name] = to_datetime(values[name])
            return cls(**values)
        except (TypeError, KeyError, AttributeError) as exc:
            raise InvalidValueError(f"This is not a memory record: {exc!r}.") from exc

    def evolve(self, **changes: Any) -> MemoryRecord:
        """Return a copy with `changes`."""
        return replace(self, **changes)


_FIELDS = tuple(f.name for f in fields(MemoryRecord))


def to_tags(tags: Iterable[str] | str | None) -> tuple[str, ...]:
    """Return `tags` as a tuple without doubles; one text is one tag."""
    if tags is None:
        return ()
    if isinstance(tags, str):
        return (tags,)
    if not isinstance(tags, Iterable):
        raise InvalidValueError(f"A text, or several, is expected, not {tags!r:.60}.")
    return tuple(dict.fromkeys(tags))


def _check(record: MemoryRecord) -> None:
    def require(holds: bool, name: str, rule: str) -> None:
        if not holds:
            raise InvalidValueError(f"{name} {rule}, not {getattr(record, name)!r:.80}.", path=name)

    for name in ("id", "kind", "origin", "made_by"):
        value = getattr(record, name)
        require(isinstance(value, str) and bool(value), name, "is a non-empty text")
    require(isinstance(record.content, str), "content", "is text")
    require(record.tier in TIERS, "tier", f"is one of {', '.join(TIERS)}")
    number = record.importance
    require(
        isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= 1,
        "importance",
        "is a number from 0.0 to 1.0",
    )
    require(all(isinstance(t, str) and t for t in record.tags), "tags", "are non-empty texts")
    object.__setattr__(record, "metadata", codec.plain(record.metadata, "metadata", int64=True))
