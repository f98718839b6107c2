"""What requests about audit, access, and the namespace as a whole carry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from ctxplug.storage import EraseReceipt
from ctxplug_server.schemas.kinds import Body, Object, Seconds, Text, Texts
from ctxplug_server.schemas.messages import Shown
from ctxplug_server.schemas.records import RECEIPT, EraseReceiptModel

if TYPE_CHECKING:
    ReceiptGiven: TypeAlias = EraseReceipt
else:
    ReceiptGiven = Annotated[Any, PlainValidator(EraseReceipt.from_dict), Shown(EraseReceiptModel)]


ANCHOR: dict[str, Any] = {
    "ctxplug_audit_anchor": 1,
    "of": "namespace",
    "at": "2026-05-01T10:30:00+00:00",
    "chains": {},
}


class NoteIn(Body):
    """Something that the application did; ids and names, no content."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"action": "export.sent", "ids": ["trip"], "data": {"to": "archive"}}]
        }
    )

    action: Text
    ids: list[Text] = Field(default_factory=list)
    data: Object = Field(default_factory=dict)


class AnchorIn(Body):
    """An anchor that was kept elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"anchor": ANCHOR}]})

    anchor: Object | None = None


class Anchor(BaseModel):
    """The head of the chain, to be kept elsewhere."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [ANCHOR]})


class RuleIn(Body):
    """A rule of access; `agent` and `session` are names or globs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"action": "allow", "agent": "planner", "verbs": ["read"], "session": "trip*"}
            ]
        }
    )

    action: Literal["allow", "deny"]
    agent: Text
    verbs: Texts = Field(description="read, write, share: one or several.")
    session: Text = "*"
    kinds: Texts | None = None
    tags: Texts | None = None


class Allowed(BaseModel):
    """Whether it may."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"allowed": True}]})

    allowed: bool


class EraseIn(Body):
    """The namespace once more, so that nothing is erased by mistake."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"confirm": "acme/alice"}]})

    confirm: Text


class ReceiptIn(Body):
    """The receipt of an erasure."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"receipt": RECEIPT}]})

    receipt: ReceiptGiven


class RetireIn(Body):
    """How long ago sessions must have ended."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"older_than": 7_776_000, "dry_run": True}]}
    )

    older_than: Seconds | None = Field(None, description="In seconds.")
    dry_run: bool = False

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent, with the age as a span of time."""
        fields = super().given()
        if "older_than" in fields:
            fields["older_than"] = to_span(fields["older_than"])
        return fields


class NamespaceShown(BaseModel):
    """A namespace that the key may see."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"namespace": "acme/alice"}]})

    namespace: str


class Namespaces(BaseModel):
    """The namespaces that hold anything and that the key may see."""

    namespaces: list[NamespaceShown]


class ProblemTold(BaseModel):
    """What went wrong: the class of the error, its sentence and its attributes."""

    type: str = Field(examples=["NotFoundError"])
    message: str = Field(examples=["There is no memory '5e1f' in this namespace."])
    details: dict[str, Any]


class Problem(BaseModel):
    """An answer that tells an error."""

    error: ProblemTold


def to_span(seconds: float) -> timedelta:
    """Return so many seconds as a span of time, the longest there is if it is longer."""
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        return timedelta.max
