"""Numbers with a checksum (cards, IBANs, Chinese resident identity numbers), and US SSNs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date

from stdnum import iban, luhn
from stdnum.cn import ric
from stdnum.us import ssn

from ctxplug_pii.kinds import Found
from ctxplug_pii.shadow import AFTER, BEFORE

Group = tuple[int, int]  # where digits that stand together begin and end

_RUN = re.compile(r"(?<![0-9A-Za-z_\0])(?<![0-9]\.)[0-9]++(?:[ -][0-9]++)*+(?![A-Za-z_\0]|\.[0-9])")
_DIGITS = re.compile("[0-9]+")
# Issuers' first digits, and how many digits their cards have.
_ISSUERS = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-59]|[68][0-9])[0-9]{11,16}"  # American Express, Diners
    r"|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12,15}|35[2-8][0-9][0-9]{12,15}"  # Discover, JCB
    r"|(?:62|81)[0-9]{14,17}|220[0-4][0-9]{12,15}"  # UnionPay, Mir
    r"|(?:5018|5020|5038|5[678][0-9]{2}|6304|6759|676[1-3]|9792)[0-9]{8,15}"  # Maestro, Troy
)
_CN_ID = re.compile(
    rf"{BEFORE}((?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[123]|91)[0-9]{{4}})[ -]?"
    rf"((?:18|19|20)[0-9]{{2}})((?:0[1-9]|1[0-2]))([0-3][0-9])[ -]?([0-9]{{3}}[0-9Xx]){AFTER}"
)
_IBAN = re.compile(
    rf"{BEFORE}(?:[A-Za-z]{{2}}[0-9]{{2}}[A-Za-z0-9]{{11,30}}{AFTER}"
    r"|[A-Z]{2}[0-9]{2}(?:[ -][A-Z0-9]{4}){2,7}(?:[ -][A-Z0-9]{1,3})?+)"
)
_SSN = re.compile(rf"{BEFORE}(?<![0-9]-)[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}{AFTER}(?!-[0-9])")
_BARE_SSN = re.compile(
    r"(?i:\bssn|social security)[^0-9\0]{0,24}(?<![A-Za-z_])"
    rf"([0-9]{{3}}[ -]?[0-9]{{2}}[ -]?[0-9]{{4}}){AFTER}"
)


def cn_ids(shadow: str) -> Iterator[Found]:
    """Yield resident identity numbers of China: a region, a birthday, and the check digit."""
    for match in _CN_ID.finditer(shadow):
        place, *day, rest = match.groups()
        number = f"{place}{''.join(day)}{rest}".upper()
        if _is_day(*map(int, day)) and ric.calc_check_digit(number) == number[-1]:
            yield Found(match.start(), match.end(), "cn-id", number)


def ibans(shadow: str) -> Iterator[Found]:
    """Yield bank account numbers of a country's length with their two check digits."""
    for match in _IBAN.finditer(shadow):
        written = match[0]
        while len(written) >= 15:
            number = re.sub("[ -]", "", written).upper()
            if iban.is_valid(number, check_country=False):
                yield Found(match.start(), match.start() + len(written), "iban", number)
                break
            cut = max(written.rfind(" "), written.rfind("-"))  # a word of capitals may follow
            written = written[: max(cut, 0)]


def cards(shadow: str) -> Iterator[Found]:
    """Yield card numbers: an issuer's digits, in groups as on a card, that pass Luhn's check."""
    for run in _RUN.finditer(shadow):
        groups = [match.span() for match in _DIGITS.finditer(shadow, *run.span())]
        i = 0
        while i < len(groups):
            end = _card(shadow, groups, i)
            if end is not None:
                start, stop = groups[i][0], groups[end][1]
                value = "".join(_DIGITS.findall(shadow, start, stop))
                yield Found(start, stop, "card", value)
            i = i + 1 if end is None else end + 1


def _card(shadow: str, groups: Sequence[Group], first: int) -> int | None:
    """Return the last group of the card number that begins with the group `first`, or None."""
    number, best = "", None
    for i in range(first, len(groups)):
        start, end = groups[i]
        if i > first and (i - first > 4 or groups[i - 1][1] - groups[i - 1][0] < 4):
            break  # only the last group of a card is short
        number += shadow[start:end]
        if len(number) > 19:
            break
        if _ISSUERS.fullmatch(number) and luhn.is_valid(number):
            best = i
    return best


def ssns(shadow: str) -> Iterator[Found]:
    """Yield US social security numbers: with hyphens, or with their name before them."""
    for pattern, group in ((_SSN, 0), (_BARE_SSN, 1)):
        for match in pattern.finditer(shadow):
            number = re.sub("[ -]", "", match[group])
            if ssn.is_valid(number):
                yield Found(match.start(group), match.end(group), "us-ssn", number)


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
