"""Phone numbers, by the numbering plans of `phonenumbers`.

A number with "+" is one if it is valid in its country. Any other is one if it is valid in a
region that was chosen and something says so: a word before it, the grouping that the region
writes, a trunk prefix with hyphens or brackets, or that it can only be a mobile number.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberFormat

from ctxplug_pii.kinds import Found
from ctxplug_pii.shadow import BLOCK

LEAST, MOST, GROUPS = 7, 15, 7  # digits, and groups of them
NEAR = 16  # characters from a word to the number that it announces
MOBILE = 11  # digits of a bare number, trunk prefix included: shorter ones are ids as often

_RUN = re.compile(
    r"(?<![0-9A-Za-z_\0])(?<![0-9]\.)(?<![A-Za-z]-)[0-9]++(?:[ ().\-/]{1,3}[0-9]++)*+"
    r"(?![A-Za-z_\0%])"
)
_DIGITS = re.compile("[0-9]+")
_WORDS = re.compile(
    r"(?i:phone|\btel\b|mobile|\bcell|\bcall|\bfax|whatsapp|\bsms\b|\btext me)"
    "|电话|手机|致电|座机|传真|联系方式|拨打|热线|微信"
)

Groups = Sequence[tuple[int, int]]  # where digits that stand together begin and end


class Phones:
    """Finds phone numbers of every country with "+", and of `regions` without."""

    def __init__(self, regions: Sequence[str]) -> None:
        self.regions = tuple(regions)

    def __call__(self, shadow: str) -> Iterator[Found]:
        """Yield the phone numbers in a shadow."""
        words = [match.end() for match in _WORDS.finditer(shadow)]
        for run in _RUN.finditer(shadow):
            groups = [match.span() for match in _DIGITS.finditer(shadow, *run.span())]
            i = 0
            while i < len(groups):
                found = self._beginning(shadow, groups, i, words)
                if found is not None:
                    yield found[0]
                i = i + 1 if found is None else found[1] + 1

    def _beginning(
        self, shadow: str, groups: Groups, first: int, words: Sequence[int]
    ) -> tuple[Found, int] | None:
        """Return the longest number that begins with the group `first`, and its last group."""
        start = groups[first][0]
        if _decimal(shadow, groups, first):
            return None
        sizes: list[int] = []
        ends: list[int] = []
        length = 0
        for last in range(first, min(first + GROUPS, len(groups))):
            sizes.append(groups[last][1] - groups[last][0])
            length += sizes[-1]
            if length > MOST:
                break
            if length >= LEAST and not _decimal(shadow, groups, last + 1):
                ends.append(last)
        for last in reversed(ends):
            end = groups[last][1]
            number = self._number(shadow, start, end, tuple(sizes[: last - first + 1]), words)
            if number is not None:
                begin = _opened(shadow, start, end)
                return Found(begin, end, "phone", number), last
        return None

    def _number(
        self, shadow: str, start: int, end: int, sizes: tuple[int, ...], words: Sequence[int]
    ) -> str | None:
        """Return the number that groups of digits are, as "+8613800138000", or None."""
        length, leading = sum(sizes), shadow[start]
        before = shadow[max(0, start - 2) : start]
        if "+" in before or (leading == "0" and shadow[start + 1] == "0" and length > MOBILE):
            return _international(_digits(shadow, start, end).removeprefix("00"))
        hyphens = len(sizes) > 1 and ("(" in before or "-" in shadow[start:end])
        trunk = leading == "0" and length > 9 and hyphens
        said = _said(shadow, start, words)
        for region in self.regions:
            if len(sizes) == 1 and not said:
                mobile = _mobile(region) if length >= MOBILE else None
                shaped = mobile is not None and mobile.fullmatch(shadow, start, end) is not None
            else:
                shaped = said or trunk or _grouped(sizes, leading, region)
            number = _national(_digits(shadow, start, end), region) if shaped else None
            if number is not None:
                return number
        return None


def _said(shadow: str, start: int, words: Sequence[int]) -> bool:
    """Say whether a word such as "phone" stands shortly before `start`."""
    place = bisect_right(words, start) - 1
    return (
        place >= 0
        and start - words[place] <= NEAR
        and not ({"\n", BLOCK} & set(shadow[words[place] : start]))
    )


def _decimal(shadow: str, groups: Groups, i: int) -> bool:
    """Say whether the group `i` stands behind a decimal point: a point, and no other beside it."""
    return _pointed(shadow, groups, i) and not (
        _pointed(shadow, groups, i - 1) or _pointed(shadow, groups, i + 1)
    )


def _pointed(shadow: str, groups: Groups, i: int) -> bool:
    return 0 < i < len(groups) and shadow[groups[i - 1][1] : groups[i][0]] == "."


def _digits(shadow: str, start: int, end: int) -> str:
    return "".join(_DIGITS.findall(shadow, start, end))


@lru_cache(10_000)
def _national(digits: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    return _written(number) if phonenumbers.is_valid_number_for_region(number, region) else None


@lru_cache(10_000)
def _international(digits: str) -> str | None:
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return None
    return _written(number) if phonenumbers.is_valid_number(number) else None


def _written(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


@lru_cache(1_000)
def _grouped(sizes: tuple[int, ...], leading: str, region: str) -> bool:
    """Say whether the region's numbers are written in groups of these sizes."""
    plan = _plan(region)
    prefix = plan.national_prefix or ""
    shapes = {sizes}
    if prefix and leading == prefix[0]:
        shapes.add((sizes[0] - len(prefix), *sizes[1:]))
        if sizes[0] == len(prefix):
            shapes.add(sizes[1:])
    patterns = [form.pattern or "" for form in plan.number_format]
    return any(_fits(shape, pattern) for shape in shapes for pattern in patterns)


def _plan(region: str) -> PhoneMetadata:
    plan = PhoneMetadata.metadata_for_region(region)
    assert plan is not None, region  # regions were checked when the redactor was made
    return plan


def _fits(sizes: tuple[int, ...], pattern: str) -> bool:
    parts = re.findall(r"\(([^()]*)\)", pattern)
    return len(parts) == len(sizes) and all(
        size > 0 and re.fullmatch(part, "0" * size) for part, size in zip(parts, sizes, strict=True)
    )


@lru_cache(300)
def _mobile(region: str) -> re.Pattern[str]:
    """Return what a bare mobile number looks like where it differs from a fixed line's."""
    plan = _plan(region)
    mobile, fixed = plan.mobile, plan.fixed_line
    if mobile is None or fixed is None or mobile.national_number_pattern is None:
        return re.compile(r"(?!)")
    if mobile.national_number_pattern == fixed.national_number_pattern:
        return re.compile(r"(?!)")
    prefix = re.escape(plan.national_prefix or "")
    return re.compile(f"(?:{prefix})?(?:{mobile.national_number_pattern})")


def _opened(shadow: str, start: int, end: int) -> int:
    """Return where a number begins that may have "+" or "(" before it."""
    while start and shadow[start - 1] in "+(":
        if shadow[start - 1] == "(" and ")" not in shadow[start:end]:
            break
        start -= 1
    return start
