"""Memories, steps and receipts of erasure, as answers show them: what is empty is left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ctxplug_server.schemas.kinds import Object

MEMORY: dict[str, Any] = {
    "namespace": ["acme", "alice"],
    "id": "0c6f1de2a4b84f5f9d4c6f6d0a9b3e11",
    "kind": "preference",
    "content": "Prefers window seats. 喜欢靠窗的座位。",
    "tier": "long",
    "importance": 0.9,
    "tags": ["travel"],
    "created_at": "2026-05-01T10:30:00+00:00",
    "access_count": 0,
    "valid_from": "2026-05-01T10:30:00+00:00",
    "origin": "user",
    "session": "trip",
    "made_by": "remember",
}
STEP: dict[str, Any] = {
    "id": "9f3c5d7e1a2b4c60",
    "trace": "8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d",
    "parent": None,
    "kind": "recall",
    "name": "recall",
    "started_at": "2026-05-01T10:30:00+00:00",
    "duration": 0.004,
    "outcome": "ok",
    "session": "trip",
    "agent": "planner",
    "tokens": None,
    "cost": None,
    "error": None,
    "data": {"query": "where does the user live?", "k": 10, "found": []},
}
RECEIPT: dict[str, Any] = {
    "namespace": ["acme", "alice"],
    "entries": 12,
    "records": 3,
    "vectors": 0,
    "archived": 0,
    "remaining": 0,
    "erased_at": "2026-05-01T10:30:00+00:00",
    "salt": "ZxT1mJ0o3o8mFqTq2Jf3kw==",
    "marks": "q1vJxwq1vJw=",
}


def left_out(description: str) -> Any:
    """Return the field of an answer that is left out where it is empty."""
    return Field(default_factory=lambda: None, description=description)


class MemoryRecordModel(BaseModel):
    """A memory, or a message that was indexed; what is empty is left out."""

    model_config = ConfigDict(title="MemoryRecord", json_schema_extra={"examples": [MEMORY]})

    namespace: list[str] = Field(description="The labels of its namespace.")
    id: str
    kind: str = Field(description='Such as "fact", "preference", or "message".')
    content: str
    tier: Literal["short", "medium", "long"]
    importance: float = Field(ge=0, le=1)
    tags: list[str] = left_out("Left out if there are none.")
    metadata: Object = left_out("Left out if there is none.")
    created_at: datetime
    last_accessed: datetime = left_out("When recall last found it.")
    access_count: int = Field(description="How often recall found it.")
    expires_at: datetime = left_out("When it is forgotten.")
    valid_from: datetime = left_out("Since when it holds.")
    valid_to: datetime = left_out("Until when it held.")
    sources: list[str] = left_out("Ids of what it was made from.")
    origin: str = Field(description="Whose word it is.")
    session: str = left_out("Where it was said.")
    agent: str = left_out("Which agent made it.")
    made_by: str = Field(description="How it came to be.")


class StepModel(BaseModel):
    """One step of a trace."""

    model_config = ConfigDict(title="Step", json_schema_extra={"examples": [STEP]})

    id: str
    trace: str = Field(description="What serves one turn shares it.")
    parent: str | None = Field(description="The id of the step that it is a part of.")
    kind: str = Field(
        description="window, compaction, model, tool, recall, remember, error, retry or span."
    )
    name: str = Field(description="That of the tool, model or span.")
    started_at: datetime
    duration: float = Field(description="In seconds.")
    outcome: str = Field(description='"ok", "error", "cancelled", or that of a tool run.')
    session: str
    agent: str | None
    tokens: int | None
    cost: float | None = Field(description="In US dollars; null: unknown.")
    error: str | None
    data: Object = Field(description="What else is known of it, by kind.")


class EraseReceiptModel(BaseModel):
    """What was erased; with it, /v1/erase/verify can tell whether any of it comes back."""

    model_config = ConfigDict(title="EraseReceipt", json_schema_extra={"examples": [RECEIPT]})

    namespace: list[str]
    entries: int = Field(ge=0, description="Entries of conversations.")
    records: int = Field(ge=0)
    vectors: int = Field(ge=0)
    archived: int = Field(ge=0, description="How much of it was in the archive.")
    remaining: int = Field(ge=0, description="What a search found afterwards: nothing.")
    erased_at: datetime
    salt: str = Field(description="Base64.")
    marks: str = Field(description="Base64: a salted hash of each entry and record.")
    sessions: list[str] = left_out("The sessions, where it was not all.")
