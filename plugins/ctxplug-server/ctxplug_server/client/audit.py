"""RemoteAudit: `memory.audit` of a remote memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

from ctxplug import codec
from ctxplug.audit.checks import AuditReport
from ctxplug.audit.entry import AuditEntry
from ctxplug.audit.recorder import acting_for
from ctxplug.audit.summary import AuditSummary
from ctxplug.errors import CannotOpenError, InvalidValueError
from ctxplug.scope import Namespace
from ctxplug_server.client.arguments import texts, time
from ctxplug_server.client.calls import Call, nothing
from ctxplug_server.client.link import Link, reads
from ctxplug_server.client.memory_verbs import Texts, Time, given
from ctxplug_server.client.twins import twins


class RemoteAudit:
    """Who did what to the namespace, when and why; see `ctxplug.audit.log.AuditLog`."""

    def __init__(self, link: Link) -> None:
        self.link = link

    @property
    def namespace(self) -> Namespace:
        """The namespace whose log it is."""
        return self.link.scope.namespace

    def purpose(
        self, purpose: str | None = None, *, actor: str | None = None
    ) -> AbstractContextManager[None]:
        """Let all that is done in the with block be for `purpose`, on behalf of `actor`."""
        if purpose is None and actor is None:
            raise InvalidValueError("Say for what purpose, or for whom.", path="purpose")
        for text, name in ((purpose, "purpose"), (actor, "actor")):
            if text is not None:
                _text(text, name)
        return acting_for(purpose, actor)

    def _entries(
        self,
        what: Texts = None,
        *,
        agent: str | None = None,
        session: str | None = None,
        id: str | None = None,
        purpose: str | None = None,
        outcome: str | None = None,
        since: Time = None,
        until: Time = None,
        last: int | None = None,
    ) -> Call[list[AuditEntry]]:
        """Return the entries, oldest first; with `last`, so many of the newest that match."""
        params = {
            "what": texts(what),
            "by": agent,
            "session": session,
            "id": id,
            "purpose": purpose,
            "outcome": outcome,
            "since": time(since),
            "until": time(until),
            "last": last,
        }
        read = reads(list[AuditEntry], "entries")
        return self.link.call("GET", "/audit", read, params=params, slow=True)

    def _note(self, /, action: str, *, ids: Iterable[str] = (), **data: Any) -> Call[None]:
        """Enter something that the application did: `action`, with JSON `data`; no content."""
        body = {
            "action": _text(action, "action"),
            "ids": [_text(one, "ids") for one in ids],
            "data": codec.plain(data, "data"),
        }
        return self.link.call("POST", "/audit/notes", nothing, body=body)

    def _verify(self, anchor: Mapping[str, Any] | None = None) -> Call[AuditReport]:
        """Examine the log and its chain; with `anchor`, whether they are the ones it knew."""
        body = given({"anchor": None if anchor is None else codec.plain(anchor, "anchor")})
        return self.link.call(
            "POST", "/audit/verify", reads(AuditReport), body=body, writes=False, slow=True
        )

    def _anchor(self) -> Call[dict[str, Any]]:
        """Seal the log, and return the head of its chain: JSON, to be kept elsewhere."""
        return self.link.call("GET", "/audit/anchor", dict)

    def _report(self, *, since: Time = None, until: Time = None) -> Call[AuditSummary]:
        """Count what was done, by verb, agent, purpose and sensitivity; with alerts and denials."""
        params = {"since": time(since), "until": time(until)}
        return self.link.call("GET", "/audit/report", reads(AuditSummary), params=params, slow=True)

    entries, aentries = twins(_entries)
    note, anote = twins(_note)
    verify, averify = twins(_verify)
    anchor, aanchor = twins(_anchor)
    report, areport = twins(_report)

    def flush(self) -> None:
        """Seal what is not sealed yet."""
        self.anchor()

    async def aflush(self) -> None:
        """Async twin of `flush`."""
        await self.aanchor()

    def export(self, file: str | os.PathLike[str] | BinaryIO) -> int:
        """Write the log and its chain to a new file, which verifies alone; return its entries."""
        return _written(file, self.link.send(self._export()))

    async def aexport(self, file: str | os.PathLike[str] | BinaryIO) -> int:
        """Async twin of `export`."""
        return _written(file, await self.link.asend(self._export()))

    # -- inside --------------------------------------------------------------------------

    def _export(self) -> Call[bytes]:
        return self.link.call("GET", "/audit/export", bytes, slow=True, raw=True)


def _written(file: str | os.PathLike[str] | BinaryIO, lines: bytes) -> int:
    entries: int = codec.decode(lines.split(b"\n", 1)[0])["entries"]
    if not isinstance(file, str | os.PathLike):
        file.write(lines)
        return entries
    path = os.fspath(file)
    try:
        with open(path, "xb") as out:
            out.write(lines)
    except OSError as exc:
        reason = exc.strerror or exc
        raise CannotOpenError(f"{path!r} cannot be written: {reason}.", target=str(path)) from exc
    return entries


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidValueError(f"{name} is a text, not {value!r:.60}.", path=name)
    return value
