"""Every text of a request can be sent as UTF-8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ctxplug.context.validity.fault import Fault


def surrogate_faults(data: Any, path: str, rule: str) -> Iterator[Fault]:
    """Yield a fault for every text, keys included, that holds a lone surrogate."""
    if isinstance(data, str):
        try:
            data.encode()
        except UnicodeEncodeError as exc:
            found = data[exc.start : exc.start + 1]
            yield Fault(rule, path, f"{found!a} at offset {exc.start} is no character")
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from surrogate_faults(key, path, rule)
            yield from surrogate_faults(value, f"{path}.{key}", rule)
    elif isinstance(data, list | tuple):
        for i, value in enumerate(data):
            yield from surrogate_faults(value, f"{path}[{i}]", rule)
