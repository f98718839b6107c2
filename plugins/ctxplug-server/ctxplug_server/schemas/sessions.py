"""What requests about sessions, messages and windows carry."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ctxplug_server.schemas.kinds import Body, Object, Text
from ctxplug_server.schemas.messages import EXAMPLE, MessageGiven, MessageModel

SAID: dict[str, Any] = {
    "role": "user",
    "content": "I moved to Lisbon last week. 我上周搬到了里斯本。",
}


class MessagesIn(Body):
    """Messages to be added, in one atomic write."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"messages": [SAID]}]})

    messages: list[MessageGiven] = Field(description="Oldest first.")


class MessagesAdded(BaseModel):
    """The messages as they were stored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"messages": [EXAMPLE], "head": 1}]})

    messages: list[MessageModel]
    head: int = Field(description="The version of the newest entry of the session's log.")


class MetadataIn(Body):
    """Metadata to be changed: a key that is null goes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"customer": "C-1"}}]})

    metadata: Object


class Metadata(BaseModel):
    """All metadata of the session."""

    metadata: Object


class ReasonIn(Body):
    """Why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "waits for the user"}]})

    reason: Text | None = None


class ForkIn(Body):
    """The name of the new session, and where it leaves: a snapshot's name or a version."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"session": "trip-2", "at": "before booking"}]}
    )

    session: Text | None = Field(None, description="A new name when left out.")
    at: Text | int | None = Field(None, description="Where it stands now, when left out.")


class Forked(BaseModel):
    """The new session."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"session": "trip-2"}]})

    session: str


class RestoreIn(Body):
    """Where to go back to: a snapshot's name or a version of the log."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "before booking"}]})

    to: Text | int


class Restored(BaseModel):
    """The version that was gone back to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 12}]})

    version: int


class KeepIn(Body):
    """The versions that stay in view, and messages that follow them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"versions": [1, 2, 5], "then": [SAID], "expected": 7}]}
    )

    versions: list[int] = Field(description="Ascending, as the log has them.")
    then: list[MessageGiven] = Field(default_factory=list)
    expected: int | None = Field(None, description="409 unless the log's head is this version.")
    recallable: bool = Field(False, description="Whether what leaves the view stays in recall.")
    note: Object | None = Field(None, description="Stands in the log's entry.")


class SnapshotIn(Body):
    """A name for where the session stands."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "before booking", "note": "the user agreed"}]}
    )

    name: Text = Field(description="1 to 200 characters; of several the newest counts.")
    note: Text | None = None


class SectionIn(Body):
    """What the application adds to the window: see docs/sections.md."""

    name: Text
    content: Text | list[Text]
    priority: float = 0.5
    budget: int = 500
    cacheable: bool | None = None
    place: Literal["system", "turn"] | None = None


class ContextIn(Body):
    """What the next model call is about."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "where does the user live?", "budget": 8000, "system": "Be brief."}
            ]
        }
    )

    query: Text | None = Field(None, description="Memories for it join the window.")
    budget: int | None = Field(None, description="Tokens of the whole input.")
    system: Text | MessageGiven | None = Field(None, description="The system prompt.")
    tools: list[Object] = Field(
        default_factory=list, description="Tool definitions of a provider; they are counted."
    )
    reserved: int = Field(0, description="Tokens that something else takes.")
    sections: list[SectionIn] | None = Field(
        None, description="Sections for this window, in place of all others."
    )
    fates: bool = Field(True, description="Whether the report lists every message's fate.")


class Expanded(BaseModel):
    """What a shortened part said in full, as a model is shown it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "[tool] 3 flights ..."}]})

    text: str
