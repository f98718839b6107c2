"""What is found in a text, kind by kind, without overlaps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from ctxplug.errors import InvalidValueError
from ctxplug_pii.addresses import emails, ips
from ctxplug_pii.kinds import KINDS, Found
from ctxplug_pii.numbers import cards, cn_ids, ibans, ssns
from ctxplug_pii.phones import Phones
from ctxplug_pii.secrets import keys
from ctxplug_pii.shadow import BLOCK, seen_alone, shadow

REGIONS = ("CN", "GB", "US")
BORDER = f"\n{BLOCK}\n"  # between texts that have nothing to do with each other

Finder = Callable[[str], Iterable[Found]]


def finders(kinds: Collection[str], regions: Sequence[str]) -> tuple[Finder, ...]:
    """Return what finds `kinds`, in the order of KINDS; raise InvalidValueError if unknown."""
    every: Mapping[str, Finder] = {
        "key": keys,
        "email": emails,
        "cn-id": cn_ids,
        "iban": ibans,
        "card": cards,
        "us-ssn": ssns,
        "ip": ips,
        "phone": Phones(_known(regions)),
    }
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds:
        raise InvalidValueError(
            f"The kinds to redact are some of {', '.join(KINDS)}, not"
            f" {', '.join(map(repr, unknown)) or 'none'}.",
            path="kinds",
        )
    return tuple(every[kind] for kind in KINDS if kind in kinds)


def found(text: str, order: Iterable[Finder]) -> list[Found]:
    """Return what the finders find in `text`, by place; what one took the next do not see.

    What has no width is overlooked, and is part of what it stands in.
    """
    return found_in_each([text], order)[0]


def _found(text: str, order: Iterable[Finder]) -> list[Found]:
    seen = shadow(text)
    if seen is None:
        return []
    result: list[Found] = []
    for finder in order:
        here = _apart(finder(seen))
        if here:
            seen = _without(seen, here)
            result += here
    return sorted(result, key=lambda one: one.start)


def found_in_each(texts: Sequence[str], order: Iterable[Finder]) -> list[list[Found]]:
    """Return what is found in each of `texts`, looking once through all of them together."""
    plain = [seen_alone(text) for text in texts]
    starts = [0, *accumulate(len(text) + len(BORDER) for text, _ in plain)]
    result: list[list[Found]] = [[] for _ in texts]
    for one in _found(BORDER.join([text for text, _ in plain]), order):
        i = bisect_right(starts, one.start) - 1
        start, end, places = one.start - starts[i], one.end - starts[i], plain[i][1]
        if places:
            start, end = places[start], places[end - 1] + 1
        result[i].append(replace(one, start=start, end=end))
    return result


def _apart(finds: Iterable[Found]) -> list[Found]:
    """Return finds by place; of those that overlap, the one that begins first."""
    kept: list[Found] = []
    for one in sorted(finds, key=lambda one: one.start):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def _without(seen: str, taken: Sequence[Found]) -> str:
    parts, end = [], 0
    for one in taken:
        parts += [seen[end : one.start], BLOCK * (one.end - one.start)]
        end = one.end
    return "".join([*parts, seen[end:]])


def _known(regions: Sequence[str]) -> tuple[str, ...]:
    from phonenumbers import SUPPORTED_REGIONS

    wrong = [region for region in regions if region not in SUPPORTED_REGIONS]
    if wrong or isinstance(regions, str):
        raise InvalidValueError(
            f"Phone regions are country codes such as {', '.join(map(repr, REGIONS))}, not"
            f" {', '.join(map(repr, wrong)) or repr(regions)}.",
            path="regions",
        )
    return tuple(regions)
