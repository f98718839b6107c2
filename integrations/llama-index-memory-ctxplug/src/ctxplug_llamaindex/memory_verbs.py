"""What the memory tools take, do and answer: remember, recall, forget and expand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError
from ctxplug.tools import memory_schemas
from ctxplug.tools.memory_answers import BY_MODEL, FORGOT, REMEMBERED, found, shown


class Remember(memory_schemas.Remember, extra="forbid"):
    """What `remember` takes."""


class Recall(memory_schemas.Recall, extra="forbid"):
    """What `recall` takes."""


class Forget(memory_schemas.Forget, extra="forbid"):
    """What `forget` takes."""


class Expand(memory_schemas.Expand, extra="forbid"):
    """What `expand` takes."""


@dataclass(frozen=True)
class Verb:
    """A tool: what a model is told of it, what it takes, and what it does."""

    name: str
    description: str
    schema: type[BaseModel]
    act: Callable[..., str]

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments, with what is left out filled in.

        Raises InvalidValueError that tells a model what to mend. What it gives as null, it
        has left out; a text where a list is wanted is a list of one.
        """
        said = {name: value for name, value in given.items() if value is not None}
        for name in {"tags", "replaces", "kinds"} & said.keys():
            said[name] = [said[name]] if isinstance(said[name], str) else said[name]
        try:
            return dict(self.schema.model_validate(said))
        except ValidationError as exc:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in exc.errors()
            )
            raise InvalidValueError(f"{self.name} was called wrongly: {faults}.") from None

    def run(self, memory: AgentMemory, tokens: int, given: Mapping[str, Any]) -> str:
        """Do it to `memory`, and return what the model is answered, of `tokens` for records."""
        return self.act(memory, tokens, **self.checked(given))


def _remember(
    memory: AgentMemory, tokens: int, content: str, replaces: Sequence[str], **fields: Any
) -> str:
    record = memory.remember(content, supersedes=replaces, origin=BY_MODEL, **fields)
    return f"{REMEMBERED}{record.id}."


def _recall(memory: AgentMemory, tokens: int, query: str, **filters: Any) -> str:
    return shown(found(memory.recall, query, **filters), memory.counter, tokens)


def _forget(memory: AgentMemory, tokens: int, memory_id: str) -> str:
    memory.forget(memory_id)
    return f"{FORGOT}{memory_id}."


def _expand(memory: AgentMemory, tokens: int, ref: str, start: int) -> str:
    return memory.expand(ref, start)


VERBS: Mapping[str, Verb] = {
    name: Verb(name, memory_schemas.DESCRIPTIONS[name], schema, act)
    for name, schema, act in (
        ("remember", Remember, _remember),
        ("recall", Recall, _recall),
        ("forget", Forget, _forget),
        ("expand", Expand, _expand),
    )
}
