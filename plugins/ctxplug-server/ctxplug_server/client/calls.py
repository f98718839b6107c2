"""Call: one request of a verb and the reading of its answer, the same for sync and async."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")

SLOW = 20.0  # times the timeout, for what may go through a whole namespace


def nothing(answer: Any) -> None:
    """Return None, whatever the answer is."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """What a verb asks of the server, and how it reads the answer.

    `params` that are None are left out. A call that `writes` carries one Idempotency-Key
    through all its attempts, so that it is done once. `patience` is how many times the usual
    timeout it may take; `raw` answers are given to `read` as bytes. Of a `blind` call nothing
    in the answer is needed: `read` is given None where it was done and its answer is lost.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    writes: bool = False
    patience: float = 1.0
    raw: bool = False
    blind: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


def segment(label: str) -> str:
    """Return `label` as one segment of a path, whatever it holds."""
    escaped = quote(label, safe="")
    return escaped.replace(".", "%2E") if not label.strip(".") else escaped


def query(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return parameters as text: a list as several of one name, None left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        values = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, _text(one)) for one in values if one is not None]
    return pairs


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
