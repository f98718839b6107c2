"""A state machine over sessions: edits, snapshots, restores, forks, states, erasure, reopening.

::

    class MyMachine(SessionMachine):
        def open_store(self):
            return MyBackend(self.folder / "my.db")

    TestSessions = MyMachine.TestCase

After every step the sessions are what a plain Python model says, for whoever reads them: the
memory that wrote, another that was open all the while, and one that was opened just now. A
store that is gone once it is closed says so by `keeps = False`.
"""

# Names of rules say what they do.
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from ctxplug.testing.session_model import LEGAL, ModelSession
from ctxplug.testing.session_world import LARGE, SMALL, SessionWorld, with_conflict

NAMES = ("a", "b", "里斯本", "d")
MARKS = ("v1", "v2", "出发前")
MOST = 3  # sessions
PICK = st.integers(0, 1_000_000)


class SessionMachine(SessionWorld):
    """The machine; override `open_store` to return an open backend in `self.folder`."""

    @initialize()
    def begin(self) -> None:
        self.model.sessions["a"] = ModelSession("a")

    @precondition(lambda self: len(self.model.sessions) < MOST)
    @rule(name=st.sampled_from(NAMES))
    def open_another(self, name: str) -> None:
        self.model.sessions.setdefault(name, ModelSession(name))

    @rule(pick=PICK, hand=st.integers(0, 1), count=st.integers(1, 5))
    def add(self, pick: int, hand: int, count: int) -> None:
        one, added = self.chosen(pick), self.messages(count)
        memory = self.memory(one.name, hand)
        if not one.is_open:
            self.refused(one, lambda: memory.extend(added))
            self.resumed(one, memory)
            return
        memory.extend(added)
        self.noted(one, memory, added)

    @rule(
        pick=PICK,
        hand=st.integers(0, 1),
        flags=st.lists(st.booleans(), max_size=12),
        then=st.integers(0, 2),
        recallable=st.booleans(),
    )
    def keep(self, pick: int, hand: int, flags: list[bool], then: int, recallable: bool) -> None:
        one, added = self.chosen(pick), self.messages(then)
        session = self.memory(one.name, hand).session
        log = session.log()
        flags = (flags + [True] * len(log))[: len(log)]
        versions = [logged.version for logged, kept in zip(log, flags, strict=True) if kept]
        if not one.is_open:
            self.refused(one, lambda: session.keep(versions, added))
            self.resumed(one, self.memory(one.name, hand))
            return
        session.keep(versions, added, recallable=recallable)
        view = tuple(said for said, kept in zip(one.now.view, flags, strict=True) if kept)
        if not recallable:
            self.model.viewed(one, view)
        one.went_on(session.head - len(added), view=view, begun=True)
        self.noted(one, self.memory(one.name, hand), added)

    @rule(pick=PICK, hand=st.integers(0, 1), name=st.sampled_from(MARKS), looks=st.booleans())
    def snapshot(self, pick: int, hand: int, name: str, looks: bool) -> None:
        one = self.chosen(pick)
        memory = self.memory(one.name, hand)
        window = self.window_of(memory, one, SMALL) if looks else None
        made = memory.session.snapshot(name, "在这里" if looks else None)
        one.went_on(made.version)
        one.snapshots.append((name, made.version))
        if window is not None:
            one.windows[made.version] = window

    @rule(pick=PICK, hand=st.integers(0, 1), where=PICK)
    def restore(self, pick: int, hand: int, where: int) -> None:
        one = self.chosen(pick)
        memory = self.memory(one.name, hand)
        place, version = self.place(one, where)
        if not one.is_open:
            self.refused(one, lambda: memory.session.restore(place))
            self.resumed(one, memory)
            return
        assert memory.session.restore(place) == version
        self.restored(one, memory, version)
        if version in one.windows:
            assert self.window_of(memory, one, SMALL) == one.windows[version]

    @rule(pick=PICK, hand=st.integers(0, 1), drop=st.integers(1, 4), where=PICK)
    def edit_and_go_back(self, pick: int, hand: int, drop: int, where: int) -> None:
        """Take something out of view, and return to where it was in it."""
        self.add(pick, hand, 2)
        one = self.chosen(1)
        before = one.now.version
        flags = [number % 4 != drop % 4 for number in range(len(one.now.view))]
        self.keep(1, hand, flags, 1, recallable=False)
        edited = one.now.version
        self.go_back(one, hand, before)
        self.go_back(one, 1 - hand, edited if where % 2 else before)

    def go_back(self, one: ModelSession, hand: int, version: int) -> None:
        memory = self.memory(one.name, hand)
        if one.is_open:
            memory.session.restore(version)
            self.restored(one, memory, version)
            self.compare(one.name)

    @precondition(lambda self: len(self.model.sessions) < MOST + 1)
    @rule(pick=PICK, hand=st.integers(0, 1), where=PICK, name=st.sampled_from(NAMES))
    def fork(self, pick: int, hand: int, where: int, name: str) -> None:
        one = self.chosen(pick)
        memory = self.memory(one.name, hand)
        place, version = self.place(one, where)
        if version == 0:
            return
        taken = name in self.model.sessions and self.model.sessions[name].now.version > 0
        if taken:
            with_conflict(lambda: memory.session.fork(name, at=place))
            return
        child = memory.session.fork(name, at=place)
        self.memories.pop((name, 0), None)
        self.memories[name, 0] = child
        self.model.sessions[name] = made = one.fork(name, version)
        made.went_on(child.session.head)
        self.compare(name)

    @rule(pick=PICK, hand=st.integers(0, 1), wanted=st.sampled_from(sorted(LEGAL)))
    def make(self, pick: int, hand: int, wanted: str) -> None:
        if wanted == "created":
            return
        one = self.chosen(pick)
        session = self.memory(one.name, hand).session
        verbs: dict[str, Callable[[], None]] = {
            "active": session.resume,
            "suspended": partial(session.suspend, "等等"),
            "completed": session.complete,
            "failed": partial(session.fail, "boom"),
        }
        if wanted not in LEGAL[one.state]:
            error = self.refused(one, verbs[wanted])
            assert error.wanted == wanted
            return
        verbs[wanted]()
        one.made = wanted
        one.went_on(session.head)

    @rule(pick=PICK, hand=st.integers(0, 1), key=st.sampled_from(("k", "键")), value=PICK)
    def update(self, pick: int, hand: int, key: str, value: int) -> None:
        one = self.chosen(pick)
        session = self.memory(one.name, hand).session
        given = None if value % 4 == 0 else value
        wanted = {**one.now.metadata, key: given}
        wanted = {key: value for key, value in wanted.items() if value is not None}
        assert session.update({key: given}) == wanted
        one.went_on(session.head, metadata=wanted)

    @rule(pick=PICK, hand=st.integers(0, 1), which=PICK)
    def forget(self, pick: int, hand: int, which: int) -> None:
        one = self.chosen(pick)
        own = [said.id for said in one.now.view if said.id in self.model.listed]
        if own:
            id = own[which % len(own)]
            self.memory(one.name, hand).forget(id)
            del self.model.listed[id]

    @rule(pick=PICK, hand=st.integers(0, 1), budget=st.sampled_from((SMALL, LARGE)))
    def window(self, pick: int, hand: int, budget: int) -> None:
        one = self.chosen(pick)
        window = self.window_of(self.memory(one.name, hand), one, budget)
        again = self.window_of(self.fresh(one.name), one, budget)
        assert again == window

    @rule(pick=PICK, hand=st.integers(0, 1), sure=st.integers(0, 3))
    def erase(self, pick: int, hand: int, sure: int) -> None:
        one = self.chosen(pick)
        if sure and not self.model.forks_of(one.name):
            return  # else there would be little of a past to return to
        session = self.memory(one.name, hand).session
        if self.model.forks_of(one.name):
            with_conflict(session.erase)
            return
        session.erase()
        self.model.erase(one.name)
        self.touched = None
        if not self.model.sessions:
            self.begin()

    @rule(pick=PICK, back=st.booleans())
    def archive(self, pick: int, back: bool) -> None:
        if "archive" not in self.store.capabilities:
            return
        one = self.chosen(pick)
        memory = self.memory(one.name, 0)
        memory.archive(timedelta(0), sessions=[one.name] if one.now.version else [], records=False)
        if back:
            memory.unarchive()

    @precondition(lambda self: self.keeps)
    @rule()
    def reopen(self) -> None:
        self.let_go()
        self.store = self.open_store()
