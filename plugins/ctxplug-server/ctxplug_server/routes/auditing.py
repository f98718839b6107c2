"""The audit log, and the rules of access, of one namespace."""

from __future__ import annotations

import io
from typing import Annotated, Any

from fastapi import Path, Query, Response

from ctxplug.access.rule import AccessRule
from ctxplug.audit.checks import AuditReport
from ctxplug.audit.entry import AuditEntry
from ctxplug.audit.summary import AuditSummary
from ctxplug_server.caller import Calling
from ctxplug_server.routes.answers import answer, free_names, gives, nothing, router
from ctxplug_server.routes.places import When
from ctxplug_server.schemas.care import Allowed, Anchor, AnchorIn, NoteIn, RuleIn
from ctxplug_server.schemas.shown import model_of, several

audit = router("audit")
access = router("access")

LINES = "application/x-ndjson"


@audit.get("/audit", **gives(several("entries", AuditEntry)))
def list_audit(
    caller: Calling,
    what: Annotated[list[str] | None, Query(description="Only these verbs.")] = None,
    by: Annotated[str | None, Query(description="Only what this agent did.")] = None,
    session: Annotated[str | None, Query(description="Only in this session.")] = None,
    id: Annotated[str | None, Query(description="Only what touched it.")] = None,
    purpose: Annotated[str | None, Query(description="Only for this purpose.")] = None,
    outcome: Annotated[str | None, Query(description="ok, begun, denied or error.")] = None,
    since: When = None,
    until: When = None,
    last: Annotated[int | None, Query(ge=0, description="So many of the newest.")] = None,
) -> Response:
    """List who did what, when and why, oldest first. Takes the right "admin"."""
    found = caller.memory(right="admin").audit.entries(
        what,
        agent=by,
        session=session,
        id=id,
        purpose=purpose,
        outcome=outcome,
        since=since,
        until=until,
        last=last,
    )
    return answer({"entries": found})


@audit.post("/audit/notes", **gives(None, 204))
def note(caller: Calling, body: NoteIn) -> Response:
    """Enter something that the application did."""
    log = caller.memory(right="write").audit
    log.note(body.action, ids=body.ids, **free_names(body.data, log.note, "data"))
    return nothing()


@audit.get("/audit/verify", **gives(model_of(AuditReport)))
def verify_audit(caller: Calling) -> Response:
    """Say whether the audit log is what was written. Takes the right "admin"."""
    return answer(caller.memory(right="admin").audit.verify())


@audit.post("/audit/verify", **gives(model_of(AuditReport)))
def verify_audit_against(caller: Calling, body: AnchorIn) -> Response:
    """Say whether the audit log is what was written, and the one that an anchor knew."""
    return answer(caller.memory(right="admin").audit.verify(body.anchor))


@audit.get("/audit/anchor", **gives(Anchor))
def anchor_audit(caller: Calling) -> Response:
    """Seal the log and return the head of its chain, to be kept elsewhere."""
    return answer(caller.memory(right="admin").audit.anchor())


@audit.get("/audit/report", **gives(model_of(AuditSummary)))
def summarize_audit(caller: Calling, since: When = None, until: When = None) -> Response:
    """Count what was done, with alerts and denials. Takes the right "admin"."""
    return answer(caller.memory(right="admin").audit.report(since=since, until=until))


@audit.get(
    "/audit/export",
    response_class=Response,
    responses={200: {"description": "JSON lines.", "content": {LINES: {"schema": {}}}}},
)
def export_audit(caller: Calling) -> Response:
    """Return the log and its chain as JSON lines that verify alone."""
    out = io.BytesIO()
    caller.memory(right="admin").audit.export(out)
    return Response(out.getvalue(), media_type=LINES)


@access.get("/access/rules", **gives(several("rules", AccessRule)))
def list_rules(caller: Calling) -> Response:
    """List the rules in force; to an agent, those that are for it."""
    return answer({"rules": caller.memory(right="admin").access.rules()})


@access.post("/access/rules", **gives(model_of(AccessRule), 201))
def make_rule(caller: Calling, body: RuleIn) -> Response:
    """Allow or deny something to agents; the rule there is, if it says the same."""
    rules = caller.memory(right="admin").access
    make: Any = rules.grant if body.action == "allow" else rules.deny
    fields = {name: v for name, v in body.given().items() if name not in ("action", "agent")}
    return answer(make(body.agent, **fields), 201)


@access.delete("/access/rules/{id}", **gives(None, 204))
def revoke_rule(
    caller: Calling,
    id: Annotated[str, Path(description="The id of a rule.", examples=["5a1f0c9b"])],
) -> Response:
    """Take a rule back; what was handed on by force of it ends too."""
    caller.memory(right="admin").access.revoke(id)
    return nothing()


@access.get("/access/allows", **gives(Allowed))
def allows(
    caller: Calling,
    verb: Annotated[str, Query(description="read, write or share.", examples=["read"])],
    session: Annotated[str, Query(description="The session's name.", examples=["trip"])],
    of: Annotated[str | None, Query(description="The agent; the owner when left out.")] = None,
    kind: Annotated[str | None, Query(description="Of a memory of that kind made there.")] = None,
    tags: Annotated[list[str] | None, Query(description="Of a memory with these tags.")] = None,
) -> Response:
    """Say whether an agent may do something with a session."""
    rules = caller.memory(session).access
    return answer({"allowed": rules.allows(of, verb, session, kind=kind, tags=tags)})
