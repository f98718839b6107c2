"""Snapshots: named places in the log of a session, to which it can return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.storage.kept import Kept, Run, newest_kept

SNAPSHOT = "snapshot"
MAX_NAME = 200  # characters


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A place in a log: `version` is that of its own entry, and up to it reaches what it holds."""

    name: str
    version: int
    created_at: datetime
    note: str | None = None
    agent: str | None = None

    @classmethod
    def of(cls, entry: Entry) -> Snapshot:
        """Read a SNAPSHOT entry."""
        body = entry.body
        return cls(body["name"], entry.version, entry.created_at, body.get("note"), entry.agent)

    def to_dict(self) -> dict[str, Any]:
        """Return the snapshot as JSON data."""
        return {
            "name": self.name,
            "version": self.version,
            "created_at": self.created_at.isoformat(),
            "note": self.note,
            "agent": self.agent,
        }


def snapshots_of(backend: Backend, stream: Stream) -> list[Snapshot]:
    """Return the snapshots in a log, oldest first; those of the past of a fork are among them."""
    return [Snapshot.of(entry) for entry in backend.read(stream, kinds=[SNAPSHOT], pinned=True)]


def place_of(backend: Backend, stream: Stream, wanted: str | int) -> tuple[int, str | None]:
    """Return the version that is meant, and the name if a snapshot is; raise NotFoundError.

    Of several snapshots of one name the newest is meant.
    """
    if isinstance(wanted, str):
        found = [one for one in snapshots_of(backend, stream) if one.name == wanted]
        if not found:
            raise NotFoundError(
                f"The session {stream.session!r} has no snapshot {wanted!r};"
                " session.snapshots() lists those that it has."
            )
        return found[-1].version, wanted
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        raise InvalidValueError(
            f"Give the name of a snapshot, or a version of the log, not {wanted!r:.60}.",
            path="version",
        )
    head = backend.head(stream)
    if not 0 <= wanted <= head:
        raise NotFoundError(
            f"The session {stream.session!r} has no version {wanted}: its log goes from 0, where"
            f" nothing was said, to {head}."
        )
    return wanted, None


def view_at(backend: Backend, stream: Stream, version: int) -> list[Run]:
    """Return the runs of what was in view when the log ended at `version`."""
    return (newest_kept(backend, stream, before=version + 1) or Kept()).up_to(version)


def check_name(name: object) -> str:
    """Return `name` if a snapshot can have it, else raise InvalidValueError."""
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        raise InvalidValueError(
            f"A snapshot's name is text of 1 to {MAX_NAME} characters, not {name!r:.60}.",
            path="name",
        )
    return name
