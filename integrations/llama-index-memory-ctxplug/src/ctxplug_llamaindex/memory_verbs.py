"""What the memory tools take, do and answer: remember, recall, forget and expand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctxplug import AgentMemory
from ctxplug.compression.cutting import cut
from ctxplug.errors import InvalidValueError
from ctxplug.recall.recalled import Recalled
from ctxplug_llamaindex.answers import FORGOT, HEAD, NOTHING, REMEMBERED, is_answer

RECALL_TOKENS = 2_000
BY_MODEL = "assistant"  # the origin of what a model remembers: trusted as the model is
MOST_LOOKED_AT = 800  # records, for those that are no answers of these tools


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Remember(_Taken):
    """What `remember` takes."""

    content: str = Field(description="What to remember, as a statement that stands alone.")
    kind: str = Field("fact", description="Such as fact, preference, decision or task.")
    importance: float = Field(0.5, ge=0, le=1, description="0.0 to 1.0.")
    tags: list[str] = Field(default_factory=list, description="Words to find it by.")
    replaces: list[str] = Field(
        default_factory=list, description="Ids of memories that no longer hold because of this."
    )


class Recall(_Taken):
    """What `recall` takes."""

    query: str = Field(description="What to look for, in words that may have been used.")
    k: int = Field(5, ge=1, le=50, description="How many records at most.")
    kinds: list[str] | None = Field(
        None, description='Only these kinds; "message" is what was said in conversations.'
    )
    since: str | None = Field(None, description="Only from this date on, such as 2026-01-31.")
    until: str | None = Field(None, description="Only before this date.")


class Forget(_Taken):
    """What `forget` takes."""

    memory_id: str = Field(description="The id of the memory, as recall shows it.")


class Expand(_Taken):
    """What `expand` takes."""

    ref: str = Field(description='The reference in a shortened part, such as "@12" or "@3-40".')
    start: int = Field(0, ge=0, description="The character to go on from.")


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


def _recall(memory: AgentMemory, tokens: int, query: str, k: int, **filters: Any) -> str:
    """Show the best `k` records without what these tools answered in the conversation."""
    asked = k
    while True:
        found = memory.recall(query, k=asked, **filters)
        kept = [one for one in found if not _is_answer(one)]
        if len(kept) >= k or len(found) < asked or asked >= MOST_LOOKED_AT:
            return _shown(kept[:k], memory, tokens)
        asked *= 4


def _forget(memory: AgentMemory, tokens: int, memory_id: str) -> str:
    memory.forget(memory_id)
    return f"{FORGOT}{memory_id}."


def _expand(memory: AgentMemory, tokens: int, ref: str, start: int) -> str:
    return memory.expand(ref, start)


def _is_answer(one: Recalled) -> bool:
    record = one.record
    is_result = record.kind == "message" and record.origin.startswith("tool")
    return is_result and is_answer(record.content)


def _shown(found: Sequence[Recalled], memory: AgentMemory, tokens: int) -> str:
    """Return records as JSON lines in at most about `tokens`; no text can leave its line."""
    if not found:
        return NOTHING
    counter = memory.counter
    left = tokens - counter.count_text(HEAD)
    lines = [HEAD]
    for n, one in enumerate(found):
        share = max(left // (len(found) - n), 0)
        line = _line(one, one.record.content)
        if counter.count_text(line) > share:
            frame = counter.count_text(_line(one, ""))
            line = _line(one, cut(one.record.content, max(share - frame, 16), counter))
        lines.append(line)
        left -= counter.count_text(line)
    return "\n".join(lines)


def _line(one: Recalled, content: str) -> str:
    record = one.record
    said = {
        "id": record.id,
        "kind": record.kind,
        "from": record.origin,
        "trust": record.trust,
        "at": record.created_at.date().isoformat(),
        "text": content,
    }
    return json.dumps(said, ensure_ascii=False)


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "remember",
            "Remember something for later conversations: a fact, a preference, a decision.",
            Remember,
            _remember,
        ),
        Verb(
            "recall",
            "Search what was remembered and said, in this and earlier conversations.",
            Recall,
            _recall,
        ),
        Verb(
            "forget",
            "Forget one memory for good, by its id. To say that a fact has changed, use remember"
            " with `replaces`.",
            Forget,
            _forget,
        ),
        Verb(
            "expand",
            "Show in full what a shortened part of the conversation said.",
            Expand,
            _expand,
        ),
    )
}
