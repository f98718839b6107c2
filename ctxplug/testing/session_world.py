"""What the state machine over sessions acts on, and what must hold after every step."""

# Names of invariants say what they say.
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine, invariant

from ctxplug import AgentMemory, Message
from ctxplug.errors import ConflictError, EmptyContextError, SessionStateError
from ctxplug.plugins import Plugins
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Where
from ctxplug.testing.session_model import LEGAL, Model, ModelSession, Said

OWN: Namespace = ("acme", "alice")
SMALL, LARGE = 320, 100_000
FILLER = ("the train to Lisbon leaves at nine ", "去里斯本的火车九点开出 ")


class SessionWorld(RuleBasedStateMachine):
    """A store, memories on its sessions, and the model; `open_store` opens the store."""

    keeps: ClassVar[bool] = True

    def open_store(self) -> Backend:
        """Return the store in `folder`, opened, and made if it is not there."""
        raise NotImplementedError("override open_store and return an open backend")

    def __init__(self) -> None:
        super().__init__()
        self._directory = TemporaryDirectory()
        self.folder = Path(self._directory.name)
        self.model = Model()
        self.count = 0
        self.touched: str | None = None
        self.store = self.open_store()
        self.memories: dict[tuple[str, int], AgentMemory] = {}

    def teardown(self) -> None:
        for name in list(self.model.sessions):
            self.compare(name)
        assert self.store.check().ok, self.store.check().problems
        self.let_go()
        self._directory.cleanup()

    # -- what is under test ----------------------------------------------------------------

    def memory(self, name: str, hand: int) -> AgentMemory:
        """Return one of two memories on a session, opened once and used again."""
        if (name, hand) not in self.memories:
            self.memories[name, hand] = self.fresh(name)
        return self.memories[name, hand]

    def fresh(self, name: str) -> AgentMemory:
        return AgentMemory.open(
            self.store,
            namespace=OWN,
            session=name,
            counter="estimate",
            budget=LARGE,
            plugins=Plugins(load_entry_points=False),
        )

    def let_go(self) -> None:
        for memory in self.memories.values():
            memory.close()
        self.memories.clear()
        self.store.close()

    def chosen(self, pick: int) -> ModelSession:
        """Return a session, most of the time the one that was touched last."""
        if self.touched not in self.model.sessions or pick % 4 == 0:
            self.touched = list(self.model.sessions)[pick // 4 % len(self.model.sessions)]
        return self.model.sessions[self.touched]

    def place(self, one: ModelSession, pick: int) -> tuple[str | int, int]:
        """Return a snapshot's name, or a version, and the version that is meant."""
        if one.snapshots and pick % 2:
            name = one.snapshots[pick % len(one.snapshots)][0]
            return name, [version for mark, version in one.snapshots if mark == name][-1]
        version = one.moments[pick % len(one.moments)].version
        return version, version

    def messages(self, count: int) -> list[Message]:
        made = []
        for _ in range(count):
            self.count += 1
            text = f"w{self.count} " + FILLER[self.count % 2] * (1 + self.count % 3)
            made.append(Message("assistant" if self.count % 3 == 0 else "user", text.strip()))
        return made

    def noted(self, one: ModelSession, memory: AgentMemory, added: Sequence[Message]) -> None:
        """Let the model follow messages that were added last."""
        first = memory.session.head - len(added) + 1
        for version, message in enumerate(added, first):
            said = Said(message.text, message.role, one.name, version)
            one.went_on(version, view=(*one.now.view, said), begun=True)
            self.model.listed[said.id] = said.text

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def the_touched_session_is_what_the_model_says(self) -> None:
        if self.touched is not None and self.touched in self.model.sessions:
            self.compare(self.touched)
            parent = self.model.sessions[self.touched].parent
            if parent is not None:
                self.compare(parent)

    @invariant()
    def recall_finds_what_is_in_view(self) -> None:
        where = Where(OWN, kinds=["message"])
        found = {record.id: record.content for record in self.store.find(where)}
        if "archive" in self.store.capabilities:
            shelved = [one.record for one in self.store.archived(where)]
            assert not found.keys() & {record.id for record in shelved}
            found |= {record.id: record.content for record in shelved}
        assert found == self.model.listed

    @invariant()
    def the_sessions_are_listed(self) -> None:
        memory = self.memory(next(iter(self.model.sessions)), 0)
        found = {(i.id, i.state, i.parent, i.forked_at) for i in memory.sessions()}
        wanted = {
            (one.name, one.state, one.parent, one.forked_at)
            for one in self.model.sessions.values()
            if one.now.version
        }
        assert found == wanted

    def compare(self, name: str) -> None:
        """Compare a session with the model, as three readers see it."""
        one = self.model.sessions[name]
        wanted = [said.text for said in one.now.view]
        for memory in (self.memory(name, 0), self.memory(name, 1), self.fresh(name)):
            assert [message.text for message in memory.messages()] == wanted
            assert [m.text for m in memory.messages(last=2)] == wanted[-2:]
            assert memory.session.state == one.state
            marks = [(mark.name, mark.version) for mark in memory.session.snapshots()]
            assert marks == one.snapshots
        info = self.fresh(name).session.info()
        assert info.metadata == one.now.metadata
        assert (info.messages, info.snapshots) == (len(wanted), len(one.snapshots))
        assert (info.parent, info.forked_at) == (one.parent, one.forked_at)

    def window_of(self, memory: AgentMemory, one: ModelSession, budget: int) -> Any:
        """Return what the model would be sent, after comparing it with what is in view."""
        users = [said for said in one.now.view if said.role == "user"]
        if not users:
            try:
                memory.context(budget=budget)
            except EmptyContextError:
                return None
            raise AssertionError("a window without a user message")
        window = memory.context(budget=budget)
        one.went_on(memory.session.head)  # a compaction may have been written
        shown = " ".join(message.text for message in window.messages)
        if budget == LARGE and one.now.view[0].role == "user":
            assert [m.text for m in window.messages] == [said.text for said in one.now.view]
        texts = {said.text.partition(" ")[0] for said in one.now.view}
        for number in range(1, self.count + 1):
            assert f"w{number}" in texts or f"w{number} " not in f"{shown} ", "shown unseen"
        return window.messages

    def resumed(self, one: ModelSession, memory: AgentMemory) -> None:
        """Open a session again, or most of a run would be refusals."""
        memory.session.resume()
        one.made = "active"
        one.went_on(memory.session.head)

    def restored(self, one: ModelSession, memory: AgentMemory, version: int) -> None:
        """Let the model follow a restore."""
        view = one.at(version).view
        self.model.viewed(one, view)
        one.went_on(memory.session.head, view=view, begun=True)

    def refused(self, one: ModelSession, act: Any) -> SessionStateError:
        try:
            act()
        except SessionStateError as error:
            assert (error.session, error.state) == (one.name, one.state)
            assert set(error.legal) == set(LEGAL[one.state])
            return error
        raise AssertionError(f"{one.name} is {one.state}, and let it happen")


def with_conflict(act: Any) -> None:
    """Do what must be refused with a ConflictError."""
    try:
        act()
    except ConflictError:
        return
    raise AssertionError("no conflict was found")
