"""Context policies as text: a preset by its name, any other by its fields as JSON.

What a policy holds that is no JSON, such as a strategy that is an object, does not go over
the wire.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ctxplug import codec
from ctxplug.context.policy import PRESETS, ContextPolicy, to_policy
from ctxplug.errors import InvalidValueError, UnsupportedError
from ctxplug.tokens.prices import Prices

PLAIN = ContextPolicy()


def policy_text(policy: str | ContextPolicy, model: str | None) -> str:
    """Return what names `policy` to a server; raise UnsupportedError where nothing can."""
    if not isinstance(policy, ContextPolicy):
        return policy
    if policy.name in PRESETS and policy == to_policy(policy.name, Prices().ratios_of(model)):
        return policy.name
    given = {one.name: getattr(policy, one.name) for one in fields(policy)}
    try:
        told = codec.plain({n: v for n, v in given.items() if v != getattr(PLAIN, n)}, "policy")
    except InvalidValueError as exc:
        raise UnsupportedError(
            f"A remote memory's policy is a preset's name, or a ContextPolicy of names and"
            f" numbers; {exc}",
            capability="custom policy",
        ) from exc
    return codec.canonical({**told, "name": policy.name}).decode()


def policy_from(text: str) -> str | ContextPolicy:
    """Return the policy that `policy_text` named; raise InvalidValueError for what is none."""
    if not text.startswith("{"):
        return text
    told = codec.decode(text)
    for name, value in told.items():
        if name not in _CHECKS or not _CHECKS[name](value):
            raise InvalidValueError(
                f"A policy has no field {name!r:.60} that is {value!r:.60}.", path="policy"
            )
    for name in ("strategies", "keep_tools"):
        if name in told:
            told[name] = tuple(told[name])
    return ContextPolicy(**told)


def foreign_component(text: str) -> str | None:
    """Return what a policy names that may call elsewhere or read files of the server, if it does.

    A summarizer other than the built-in one may be a model that the server pays for, and what
    stands behind a ":" is a plugin's to read.
    """
    policy = policy_from(text)
    if isinstance(policy, str):
        return None
    named = [*policy.strategies, *policy.scorers]
    foreign = [name for name in named if isinstance(name, str) and ":" in name]
    if policy.summarizer not in (None, "extractive"):
        foreign.append(str(policy.summarizer))
    return foreign[0] if foreign else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _count_or_none(value: Any) -> bool:
    return value is None or _count(value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _weights(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_number, value.values()))


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "name": _text,
    **dict.fromkeys(("high", "low", "cold", "recall_share", "section_share"), _number),
    **dict.fromkeys(("cache_seconds", "cache_read", "cache_write"), _number),
    **dict.fromkeys(("strategies", "keep_tools"), _texts),
    "scorers": _weights,
    "summarizer": lambda value: value is None or _text(value),
    **dict.fromkeys(("keep_last", "expected_calls"), _count),
    **dict.fromkeys(("shape_over", "recall_limit"), _count_or_none),
    "digest_loop": lambda value: isinstance(value, bool),
}
