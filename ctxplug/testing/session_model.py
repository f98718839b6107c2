"""Sessions in plain Python: what the state machine compares with.

A model keeps, for every version its log was seen at, what was in view there; so a restore is
a look into the past, and a fork begins with a copy of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

LEGAL = {  # written out again, so that a change of the product's own table is noticed
    "created": ("suspended", "completed", "failed"),
    "active": ("suspended", "completed", "failed"),
    "suspended": ("active", "completed", "failed"),
    "completed": ("active",),
    "failed": ("active",),
}


@dataclass(frozen=True)
class Said:
    """A message: its text, its role, and the session and version that it was added as."""

    text: str
    role: str
    session: str
    version: int

    @property
    def id(self) -> str:
        """The id of its record."""
        return f"{self.session}@{self.version}"


@dataclass(frozen=True)
class Moment:
    """A session as it stood at one version."""

    version: int
    view: tuple[Said, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    begun: bool = False


@dataclass
class ModelSession:
    """One session: all the moments of its log that are known, its marks, and its state."""

    name: str
    moments: list[Moment] = field(default_factory=lambda: [Moment(0)])
    snapshots: list[tuple[str, int]] = field(default_factory=list)
    made: str = "active"
    parent: str | None = None
    forked_at: int | None = None
    windows: dict[int, Any] = field(default_factory=dict)  # by the version they were made at

    @property
    def now(self) -> Moment:
        """How it stands."""
        return self.moments[-1]

    @property
    def state(self) -> str:
        """Its state, as long as no time passes."""
        return "created" if self.made == "active" and not self.now.begun else self.made

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self.made == "active"

    def went_on(self, version: int, **changes: Any) -> None:
        """Note how it stands at a new version."""
        self.moments.append(replace(self.now, version=version, **changes))

    def at(self, version: int) -> Moment:
        """Return how it stood at `version`."""
        return [moment for moment in self.moments if moment.version <= version][-1]

    def fork(self, name: str, version: int) -> ModelSession:
        """Return a session that shares the past up to `version`."""
        moments = [moment for moment in self.moments if moment.version <= version]
        marks = [mark for mark in self.snapshots if mark[1] <= version]
        return ModelSession(name, moments, marks, parent=self.name, forked_at=version)


@dataclass
class Model:
    """All sessions of a namespace, and what of them recall must find."""

    sessions: dict[str, ModelSession] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)  # text by id
    forgotten: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)  # what an edit took out of recall

    def viewed(self, one: ModelSession, view: tuple[Said, ...]) -> None:
        """Let recall follow a change of the view: of what was said in the session itself."""
        before = {said.id: said for said in one.now.view if said.session == one.name}
        after = {said.id: said for said in view if said.session == one.name}
        for id in before.keys() - after.keys():
            if self.listed.pop(id, None) is not None:
                self.hidden.add(id)
        for id in after.keys() - before.keys():
            if id in self.hidden:
                self.hidden.discard(id)
                self.listed[id] = after[id].text

    def forks_of(self, name: str) -> list[str]:
        """Return the sessions that read from one."""
        return [one.name for one in self.sessions.values() if one.parent == name]

    def erase(self, name: str) -> None:
        """Forget a session, and what recall found of it."""
        del self.sessions[name]
        self.listed = {i: t for i, t in self.listed.items() if i.rpartition("@")[0] != name}
        self.hidden = {i for i in self.hidden if i.rpartition("@")[0] != name}
