"""What requests about memories carry."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from ctxplug.recall.weights import RecallWeights
from ctxplug_server.schemas.kinds import Body, Object, Seconds, Text, Texts, Time

Tier = Literal["short", "medium", "long"]


class _Lasting(Body):
    def given(self) -> dict[str, Any]:
        """Return the fields that were sent; "forever" is a time without end."""
        fields = super().given()
        if fields.get("ttl") == "forever":
            fields["ttl"] = math.inf
        return fields


class MemoryIn(_Lasting):
    """A memory to be stored for all sessions of the namespace."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "content": "Prefers window seats. 喜欢靠窗的座位。",
                    "kind": "preference",
                    "importance": 0.9,
                    "tags": ["travel"],
                }
            ]
        }
    )

    content: Text
    kind: Text = "fact"
    importance: float = Field(0.5, ge=0, le=1)
    tags: Texts | None = None
    metadata: Object | None = None
    ttl: Literal["forever"] | Seconds | None = Field(None, description="Seconds that it lives.")
    origin: Text = Field("user", description='"user", "model", "tool:NAME" or "document".')
    supersedes: Texts | None = Field(None, description="Ids of memories that it replaces.")
    valid_from: Time | None = Field(None, description="Since when it holds; now if left out.")


class MemoryChange(_Lasting):
    """What is to be changed of a memory; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"importance": 1.0}]})

    content: Text | None = None
    kind: Text | None = None
    importance: float | None = Field(None, ge=0, le=1)
    tags: Texts | None = None
    metadata: Object | None = None
    tier: Tier | None = None
    ttl: Literal["forever"] | Seconds | None = Field(None, description="Seconds from now.")


class PromoteIn(Body):
    """The tier to move up to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tier": "long"}]})

    tier: Tier | None = Field(None, description="The next one, when left out.")


_Weights: type[Body] = create_model(
    "RecallWeightsIn",
    __base__=Body,
    __doc__="How much each thing counts; what is left out counts as usual.",
    **{name: (float | None, None) for name in RecallWeights.__dataclass_fields__},  # type: ignore[call-overload]
)


class RecallIn(Body):
    """What is looked for."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "where does the user live?", "k": 5}]}
    )

    query: Text
    k: int = Field(10, description="How many at most.")
    kinds: Texts | None = None
    tags: Texts | None = Field(None, description="All must be present.")
    session: Text | None = Field(None, description="Only what was made there.")
    agent: Text | None = Field(None, description="Only what this agent made.")
    since: Time | None = None
    until: Time | None = None
    valid_at: Time | None = Field(None, description="What held then.")
    include_superseded: bool = Field(False, description="All that ever held.")
    metadata: Object | None = Field(None, description="Must be equal.")
    weights: _Weights | None = None  # type: ignore[valid-type]

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent, with weights as recall takes them."""
        fields = super().given()
        if "weights" in fields:
            fields["weights"] = RecallWeights(**fields["weights"].given())
        return fields


class ArchiveSearchIn(Body):
    """What is looked for in the archive."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "Lisbon", "k": 5}]})

    query: Text
    k: int = 10
    kinds: Texts | None = None
    tags: Texts | None = None
    session: Text | None = None
    since: Time | None = None
    until: Time | None = None


class MaintainIn(Body):
    """Whether only to say what would be done."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dry_run": True}]})

    dry_run: bool = False


class ArchiveIn(Body):
    """What is archived: what was not used since `before`, or for `age` seconds (30 days)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"age": 2_592_000}]})

    before: Time | None = None
    age: Seconds | None = Field(None, ge=0, le=1e11)
    sessions: Texts | None = Field(None, description="Only these.")
    records: bool = Field(True, description="Memories too.")

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent, with an age as a span of time."""
        fields = super().given()
        if "age" in fields:
            fields["before"] = timedelta(seconds=fields.pop("age"))
        return fields


class UnarchiveIn(Body):
    """What comes back; everything when left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sessions": ["trip"]}]})

    sessions: Texts | None = None
    ids: Texts | None = None


class ReindexIn(Body):
    """The embedder to go on with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})

    embedder: Text | None = Field(None, description="The server's own, when left out.")


class Reindexed(BaseModel):
    """How many vectors were made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"made": 14}]})

    made: int
