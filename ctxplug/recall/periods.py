"""Times that a query names, in English and Chinese: "May 2023", "last week", "去年", "上周".

What is relative is resolved against a `now`; a month or day without a year is that of any
year.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EARLIEST, _LATEST = 1001, 9998  # years from which 999 years back stay in the calendar
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_VERBS = ("may", "march", "mar")
_YEAR, _DAY = r"(?P<year>(?:19|20)[0-9]{2})", r"(?P<day>[12][0-9]|3[01]|0?[1-9])(?:st|nd|rd|th)?"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_YEAR}[-/.](?P<month>1[0-2]|0?[1-9])(?:[-/.]{_DAY})?\b",
        rf"{_YEAR}年(?:(?P<month>1[0-2]|0?[1-9])月(?:份?(?P<day>[12][0-9]|3[01]|0?[1-9])[日号])?)?",
        r"(?<![0-9])(?P<month>1[0-2]|0?[1-9])月(?:份?(?P<day>[12][0-9]|3[01]|0?[1-9])[日号])?",
        r"(?<![个一二三四五六七八九十])(?P<han>十[一二]?|[一二三四五六七八九])月",
        rf"\b{_DAY}(?:\s+of)?\s+{_MONTH}(?:,?\s+{_YEAR})?\b",
        rf"\b{_MONTH}\s+{_DAY}\b(?!:)(?:,?\s+{_YEAR})?",
        rf"\b{_MONTH}(?:,?\s+(?:of\s+)?{_YEAR})?",
        rf"(?<![0-9.-]){_YEAR}(?![0-9年])",
    )
)
_HAN = {c: n for n, c in enumerate("一二三四五六七八九十", 1)} | {"两": 2, "十一": 11, "十二": 12}
_COUNTS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}
_COUNTS |= {"eight": 8, "nine": 9, "ten": 10}
_UNITS = {"天": "day", "日": "day", "周": "week", "星期": "week", "月": "month", "年": "year"}
_UNITS |= {unit: unit for unit in ("day", "week", "month", "year")}
_WEEKDAYS = {d: n for n, d in enumerate(["mon", "tues", "wednes", "thurs", "fri", "satur", "sun"])}
_WEEKDAYS |= {d: n for n, d in enumerate("一二三四五六日")} | {"天": 6}

_AGO = re.compile(
    r"\b(?P<n>[0-9]{1,3}|a|one|two|three|four|five|six|seven|eight|nine|ten)\s+"
    r"(?P<unit>day|week|month|year)s?\s+ago\b"
    r"|(?P<zn>[0-9]{1,3}|[一二两三四五六七八九十])个?(?P<zunit>天|日|周|星期|月|年)(?:之?前|以前)",
    re.IGNORECASE,
)
_DAY_BY_NAME = re.compile(
    r"\b(?P<before>the day before yesterday)\b|\b(?P<yesterday>yesterday|last night)\b"
    r"|\b(?P<today>today|tonight|this (?:morning|afternoon|evening))\b"
    r"|(?P<z2>前天)|(?P<z1>昨[天晚日])|(?P<z0>今[天晚早日])",
    re.IGNORECASE,
)
_SPAN = re.compile(
    r"\b(?P<which>last|this|past)\s+(?P<unit>week|weekend|month|year)\b"
    r"|(?P<zwhich>上|这|本)个?(?P<zunit>周|星期|礼拜|月)(?P<zday>[一二三四五六日天])?(?P<zend>末)?"
    r"|(?P<zyear>前年|去年|今年)",
    re.IGNORECASE,
)
_LAST_DAY = re.compile(
    r"\b(?:on|last|this)\s+(?P<day>mon|tues|wednes|thurs|fri|satur|sun)day\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Period:
    """A time that is named: some of year, month and day, or a span `since` <= t < `until`."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def share(self, at: datetime) -> float:
        """Return how much of what is named holds for `at`, from 0.0 to 1.0."""
        if self.since is not None and self.until is not None:
            return float(self.since <= at < self.until)
        named = [(self.year, at.year), (self.month, at.month), (self.day, at.day)]
        held = [wanted == found for wanted, found in named if wanted is not None]
        return sum(held) / len(held) if held else 0.0


def periods(query: str, now: datetime) -> list[Period]:
    """Return the times that `query` names, absolute ones first, without doubles."""
    found: dict[Period, None] = {}
    rest = query
    for pattern in _DATES:
        for match in pattern.finditer(rest):
            period = _absolute(match, rest)
            if period is not None:
                found[period] = None
        rest = pattern.sub(lambda m: " " if _absolute(m, rest) else m[0], rest)  # noqa: B023
    found.update(dict.fromkeys(_relative(rest, now.astimezone(UTC))))
    return list(found)


def bounds(period: Period) -> tuple[datetime, datetime] | None:
    """Return the span of `period`, or None if it is of no one year."""
    if period.since is not None and period.until is not None:
        return period.since, period.until
    if period.year is None or (period.day and not period.month):
        return None
    try:
        start = datetime(period.year, period.month or 1, period.day or 1, tzinfo=UTC)
    except ValueError:
        return None
    if period.day:
        return start, start + timedelta(days=1)
    return start, _months(start, 1 if period.month else 12)


def _absolute(match: re.Match[str], text: str) -> Period | None:
    parts = match.groupdict()
    month = parts.get("month")
    if month is not None and not month.isdigit():
        alone = not parts.get("year") and not parts.get("day")
        if alone and (month in _VERBS or (month == "May" and not text[: match.start()].strip())):
            return None
        month = str(_NAMES.index(month[:3].lower()) + 1)
    if parts.get("han"):
        month = str(_HAN[parts["han"]])
    year, day = parts.get("year"), parts.get("day")
    return Period(_int(year), _int(month), _int(day))


def _int(digits: str | None) -> int | None:
    return None if digits is None else int(digits)


def _relative(text: str, now: datetime) -> Iterator[Period]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if not _EARLIEST <= today.year < _LATEST:  # arithmetic with days could leave the calendar
        return
    for match in _AGO.finditer(text):
        n, unit = match["n"] or match["zn"], match["unit"] or match["zunit"]
        count = int(n) if n.isdigit() else _COUNTS.get(n.lower()) or _HAN[n]
        yield _ago(today, count, _UNITS[unit.lower()])
    for match in _DAY_BY_NAME.finditer(text):
        back = {"before": 2, "z2": 2, "yesterday": 1, "z1": 1}.get(str(match.lastgroup), 0)
        yield _days(today - timedelta(days=back), 1)
    for match in _SPAN.finditer(text):
        yield _span(match, today)
    for match in _LAST_DAY.finditer(text):
        back = (today.weekday() - _WEEKDAYS[match["day"].lower()] - 1) % 7 + 1
        yield _days(today - timedelta(days=back), 1)


def _span(match: re.Match[str], today: datetime) -> Period:
    if match["zyear"]:
        back = "今去前".index(match["zyear"][0])
        return _whole_months(today.replace(month=1, day=1), -12 * back, 12)
    unit = (match["unit"] or match["zunit"]).lower()
    last = (match["which"] or match["zwhich"]).lower() in ("last", "past", "上")
    if unit == "year":
        return _whole_months(today.replace(month=1, day=1), -12 * last, 12)
    if unit in ("month", "月"):
        return _whole_months(today.replace(day=1), -int(last), 1)
    monday = today - timedelta(days=today.weekday() + 7 * last)
    if match["zday"]:
        return _days(monday + timedelta(days=_WEEKDAYS[match["zday"]]), 1)
    if unit == "weekend" or match["zend"]:
        return _days(monday + timedelta(days=5), 2)
    return _days(monday, 7)


def _ago(today: datetime, count: int, unit: str) -> Period:
    """Return the time `count` units ago, as wide as one speaks: half a unit to each side."""
    if unit == "day":
        return _days(today - timedelta(days=count), 1)
    if unit == "week":
        return _days(today - timedelta(days=7 * count + 3), 7)
    if unit == "month":
        return _days(_months(today, -count) - timedelta(days=15), 31)
    return _days(_months(today, -12 * count) - timedelta(days=183), 366)


def _days(start: datetime, count: int) -> Period:
    return Period(since=start, until=start + timedelta(days=count))


def _whole_months(start: datetime, shift: int, count: int) -> Period:
    start = _months(start, shift)
    return Period(since=start, until=_months(start, count))


def _months(start: datetime, count: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
    year = min(max(year, 1), 9998)
    last = (datetime(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return start.replace(year=year, month=month + 1, day=min(start.day, last))
