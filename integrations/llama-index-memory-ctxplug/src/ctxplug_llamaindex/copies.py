"""Copies of chat messages that share nothing that can be changed, quickly made.

A memory is read several times a turn and hands out a window each time; most messages are
text, for which pydantic's own deep copy does far more than is needed.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, TextBlock
from llama_index.core.bridge.pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)
_set = object.__setattr__


def copy_of(message: ChatMessage) -> ChatMessage:
    """Return a copy of `message` that may be changed in place."""
    made = _shallow(message)
    kwargs = message.additional_kwargs
    made.__dict__["blocks"] = [_block(block) for block in message.blocks]
    made.__dict__["additional_kwargs"] = deepcopy(kwargs) if kwargs else {}
    return made


def _block(block: Any) -> Any:
    return _shallow(block) if type(block) is TextBlock else block.model_copy(deep=True)


def _shallow(model: M) -> M:
    """Return a shallow copy, made of what pydantic's own `__copy__` sets."""
    made = type(model).__new__(type(model))
    _set(made, "__dict__", model.__dict__.copy())
    _set(made, "__pydantic_fields_set__", model.__pydantic_fields_set__.copy())
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made
