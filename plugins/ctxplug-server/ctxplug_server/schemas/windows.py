"""Context windows, as answers show them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ctxplug_server.schemas.kinds import Object
from ctxplug_server.schemas.messages import EXAMPLE, MessageModel
from ctxplug_server.schemas.records import left_out

WINDOW: dict[str, Any] = {
    "messages": [EXAMPLE],
    "tokens": 31,
    "tools": [],
    "report": {
        "session": "trip",
        "head": 1,
        "budget": 8000,
        "limit": 7800,
        "counter": "estimate",
        "estimated": True,
        "margin": 0.025,
        "policy": "balanced",
        "tokens": {"request": 3, "messages": 28},
        "fates": [
            {"versions": [1], "role": "user", "fate": "verbatim", "tokens": 28, "score": None}
        ],
        "repairs": [],
        "compactions": 0,
        "compaction": [],
        "gain": None,
        "recalled": [],
        "sections": [],
        "notes": [],
        "base": 0,
        "tight": False,
        "log": {"system": [], "frozen": [], "recent": [[1, 28, 0]], "own": {}},
    },
}


class FateModel(BaseModel):
    """What became of a message, or of several."""

    model_config = ConfigDict(title="Fate")

    versions: list[int] = Field(description="Versions of the log.")
    role: str
    fate: str = Field(description='"verbatim", a strategy\'s name, or "left out".')
    tokens: int
    score: float | None = Field(description="The importance that decided.")


class RepairModel(BaseModel):
    """What was mended in a message so that providers accept it."""

    model_config = ConfigDict(title="Repair")

    version: int
    what: str


class CompactionModel(BaseModel):
    """What one strategy did."""

    model_config = ConfigDict(title="CompactionStep")

    strategy: str
    before: int = Field(description="Tokens before.")
    after: int = Field(description="Tokens after.")


class GainModel(BaseModel):
    """What it is worth to change what was sent before, in tokens of plain input."""

    model_config = ConfigDict(title="Gain")

    removed: int
    suffix: int
    calls: int
    warm: float
    gain: float
    forced: bool


class SectionFateModel(BaseModel):
    """What became of a section of the application."""

    model_config = ConfigDict(title="SectionFate")

    name: str
    place: str
    fate: str = Field(description='"whole", "trimmed" or "left out".')
    tokens: int
    wanted: int
    budget: int
    priority: float
    why: str


class WindowReportModel(BaseModel):
    """What is in the window, in which form, and why."""

    model_config = ConfigDict(title="WindowReport")

    session: str
    head: int = Field(description="The newest version in it.")
    budget: int
    limit: int = Field(description="The budget less the counter's margin.")
    counter: str
    estimated: bool
    margin: float
    policy: str
    tokens: dict[str, int] = Field(description="Tokens by part.")
    fates: list[FateModel] = left_out("Left out with `fates: false`.")
    repairs: list[RepairModel]
    compactions: int
    compaction: list[CompactionModel]
    gain: GainModel | None
    recalled: list[str] = Field(description="Ids of the memories in it.")
    sections: list[SectionFateModel]
    notes: list[str]
    base: int
    tight: bool
    log: Object = Field(
        description="Where messages of the log stand: [version, tokens, place in `messages`]."
    )


class WindowModel(BaseModel):
    """The messages of one model call, and the report of how they were chosen."""

    model_config = ConfigDict(title="ContextWindow", json_schema_extra={"examples": [WINDOW]})

    messages: list[MessageModel] = Field(description="System messages first.")
    tokens: int = Field(description="Of the whole request.")
    tools: list[Object] = Field(description="Tool definitions, as they were given.")
    report: WindowReportModel
