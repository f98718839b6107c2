"""What the memory tools take, as a model is told of it: one place for every framework."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

Content = Annotated[str, Field(description="What to remember, as a statement that stands alone.")]
Kind = Annotated[str, Field(description="Such as fact, preference, decision or task.")]
Importance = Annotated[float, Field(ge=0, le=1, description="0.0 to 1.0.")]
Tags = Annotated[list[str], Field(description="Words to find it by.")]
Replaces = Annotated[
    list[str], Field(description="Ids of memories that no longer hold because of this.")
]
Query = Annotated[str, Field(description="What to look for, in words that may have been used.")]
Most = Annotated[int, Field(ge=1, le=50, description="How many records at most.")]
Kinds = Annotated[
    list[str] | None,
    Field(description='Only these kinds; "message" is what was said in conversations.'),
]
Since = Annotated[str | None, Field(description="Only from this date on, such as 2026-01-31.")]
Until = Annotated[str | None, Field(description="Only before this date.")]
MemoryId = Annotated[str, Field(description="The id of the memory, as recall shows it.")]
Ref = Annotated[
    str, Field(description='The reference in a shortened part, such as "@12" or "@3-40".')
]
Start = Annotated[int, Field(ge=0, description="The character to go on from.")]

DESCRIPTIONS = {
    "remember": "Remember something for later conversations: a fact, a preference, a decision.",
    "recall": "Search what was remembered and said, in this and earlier conversations.",
    "forget": "Forget one memory for good, by its id. To say that a fact has changed, use remember"
    " with `replaces`.",
    "expand": "Show in full what a shortened part of the conversation said.",
}


class Remember(BaseModel):
    """What `remember` takes."""

    content: Content
    kind: Kind = "fact"
    importance: Importance = 0.5
    tags: Tags = Field(default_factory=list)
    replaces: Replaces = Field(default_factory=list)


class Recall(BaseModel):
    """What `recall` takes."""

    query: Query
    k: Most = 5
    kinds: Kinds = None
    since: Since = None
    until: Until = None


class Forget(BaseModel):
    """What `forget` takes."""

    memory_id: MemoryId


class Expand(BaseModel):
    """What `expand` takes."""

    ref: Ref
    start: Start = 0
