"""Phone numbers, by the numbering plans of `phonenumbers`.

A number with "+" is one if it is valid in its country. Any other is one if it is valid in a
region that was chosen and something says so: a word before it, the grouping that the region
writes, a trunk prefix with hyphens or brackets, or that it can only be a mobile number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberType

from ctxplug_pii.kinds import Found

LEAST, MOST = 7, 15  # digits
MOBILE = 11  # digits, trunk prefix included: shorter ones are ids as often as not

_RUN = re.compile(
    r"(?<![0-9A-Za-z_\0])(?<![0-9][.,:])(?<![A-Za-z]-)[0-9]++(?:[ ().\-/]{1,3}[0-9]++)*+"
    r"(?![A-Za-z_\0%]|:[0-9]|,[0-9]{3})"
)
_DIGITS = re.compile("[0-9]+")
_SAID = re.compile(
    r"(?i:phone|\btel\b|telephone|mobile|\bcell|\bcall|\bfax|whatsapp|\bsms\b|\btext me)[^\n\0]{0,16}\Z"
    r"|(?:电话|手机|致电|座机|传真|联系方式|拨打|热线|微信)[^\n\0]{0,12}\Z"
)


class Phones:
    """Finds phone numbers of every country with "+", and of `regions` without."""

    def __init__(self, regions: Sequence[str]) -> None:
        self.regions = tuple(regions)

    def __call__(self, shadow: str) -> Iterator[Found]:
        """Yield the phone numbers in a shadow."""
        for run in _RUN.finditer(shadow):
            groups = [match.span() for match in _DIGITS.finditer(shadow, *run.span())]
            i = 0
            while i < len(groups):
                found = self._beginning(shadow, groups, i)
                if found is None:
                    i += 1
                    continue
                yield found[0]
                i = found[1] + 1

    def _beginning(
        self, shadow: str, groups: Sequence[tuple[int, int]], first: int
    ) -> tuple[Found, int] | None:
        """Return the longest number that begins with the group `first`, and its last group."""
        sizes: list[str] = []
        ends = []
        for i in range(first, len(groups)):
            sizes.append(shadow[slice(*groups[i])])
            length = sum(map(len, sizes))
            if length > MOST or i - first > 6:
                break
            if length >= LEAST:
                ends.append(i)
        start = groups[first][0]
        for last in reversed(ends):
            written = sizes[: last - first + 1]
            between = shadow[start : groups[last][1]]
            number = self._number(shadow, start, written, between)
            if number is not None:
                begin = _opened(shadow, start, between)
                return Found(begin, groups[last][1], "phone", number), last
        return None

    def _number(self, shadow: str, start: int, written: list[str], between: str) -> str | None:
        digits = "".join(written)
        before = shadow[max(0, start - 2) : start]
        if "+" in before:
            return _international(digits)
        if digits.startswith("00") and len(digits) > MOBILE:
            return _international(digits[2:])
        said = None
        for region in self.regions:
            if not (_grouped(tuple(written), region) or _trunk(digits, between, before)):
                if said is None:
                    said = _SAID.search(shadow[max(0, start - 30) : start]) is not None
                if not said and (len(written) > 1 or len(digits) < MOBILE):
                    continue
            elif len(written) == 1:
                said = said or False
            number = _national(digits, region)
            if number is None:
                continue
            if len(written) > 1 or said or _is_mobile(number):
                return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        return None
