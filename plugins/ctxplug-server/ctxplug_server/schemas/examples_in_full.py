"""Examples of the document in full: FastAPI leaves out of them what is null."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

OURS = "ctxplug_server."


def complete_examples(schemas: dict[str, Any]) -> None:
    """Put the examples of our models into the schemas of an OpenAPI document as they are."""
    for model in _models(BaseModel):
        extra = model.model_config.get("json_schema_extra")
        told = schemas.get(model.__name__)
        if told is not None and isinstance(extra, dict) and "examples" in extra:
            told["examples"] = extra["examples"]


def _models(above: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in above.__subclasses__():
        if model.__module__.startswith(OURS):
            yield model
        yield from _models(model)
