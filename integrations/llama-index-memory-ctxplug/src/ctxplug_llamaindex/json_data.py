"""Any Python value as plain JSON and back, without naming classes that would be loaded.

What is JSON stays as it is. Bytes, tuples and numbers that JSON lacks are tagged and come
back as they were; a pydantic model comes back as a dict, as it does from LlamaIndex's own
stores, and any other object as a tagged description of itself.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from llama_index.core.bridge.pydantic import BaseModel

from ctxplug import codec

TAG = "ctxplug:kind"
LONGEST = 10_000  # characters of an object's description
_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_json(value: Any, depth: int = 0) -> Any:
    """Return `value` as plain JSON; `from_json` gives it back, objects apart."""
    if isinstance(value, Enum):
        return to_json(value.value, depth)
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {TAG: "number", "number": str(value)}
    if isinstance(value, bytes):
        return {TAG: "bytes", "base64": base64.b64encode(value).decode()}
    if isinstance(value, PurePath):
        return str(value)
    if depth < codec.MAX_DEPTH // 2:  # what is around it takes levels as well
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            inner = {key: to_json(item, depth + 1) for key, item in value.items()}
            return {TAG: "object", "object": inner} if TAG in value else inner
        if isinstance(value, list):
            return [to_json(item, depth + 1) for item in value]
        if isinstance(value, tuple):
            return {TAG: "tuple", "items": [to_json(item, depth + 1) for item in value]}
        if isinstance(value, BaseModel):
            return to_json({name: getattr(value, name) for name in _names(value)}, depth + 1)
    described = repr(value)[:LONGEST]
    return {TAG: "described", "class": type(value).__qualname__, "repr": described}


def from_json(value: Any) -> Any:
    """Return what `to_json` was given; a described object comes back as its description."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(TAG)
    if kind == "number":
        return _NUMBERS[value["number"]]
    if kind == "bytes":
        return base64.b64decode(value["base64"])
    if kind == "object":
        return {key: from_json(item) for key, item in value["object"].items()}
    if kind == "tuple":
        return tuple(from_json(item) for item in value["items"])
    return {key: from_json(item) for key, item in value.items()}


def _names(model: BaseModel) -> list[str]:
    return [*type(model).model_fields, *(model.model_extra or {})]
