"""One way to read a time: everything is kept as an aware UTC datetime."""

from __future__ import annotations

from datetime import UTC, datetime

from ctxplug.errors import InvalidValueError


def to_datetime(value: datetime | str | float | None) -> datetime:
    """Return `value` as an aware UTC datetime; None is now.

    Text is ISO 8601, numbers are seconds since 1970, a naive time is taken as UTC.
    Raises InvalidValueError for anything else.
    """
    if value is None:
        return datetime.now(UTC)
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise InvalidValueError(
            f"{value!r} is not a time; give ISO 8601, such as 2026-05-01 or 2026-05-01T18:30+08:00,"
            " or seconds since 1970.",
            path="time",
        ) from exc
    raise InvalidValueError(
        f"{value!r} is not a time; give a datetime, ISO 8601 text or seconds since 1970.",
        path="time",
    )
