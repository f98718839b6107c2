"""The life of sessions: states, policy, metadata, snapshots, restores, forks, retention."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ctxplug import AgentMemory, Message, hookimpl
from ctxplug.cli.app import app
from ctxplug.errors import (
    ClosedError,
    ConflictError,
    InvalidNamespaceError,
    InvalidValueError,
    NotFoundError,
    SessionStateError,
)
from ctxplug.plugins import Plugins
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.sessions.states import LEGAL, STATES
from ctxplug.storage import Append, Stream

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
DAYS = SessionPolicy(idle_after=HOUR, expire_after=timedelta(days=2), suspended_for=5 * HOUR)


@pytest.fixture(params=["memory", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'agent.db'}"


@pytest.fixture
def memory(target: str) -> Iterator[AgentMemory]:
    with opened(target) as memory:
        yield memory


def opened(target: Any, session: str = "trip", **options: Any) -> AgentMemory:
    return AgentMemory.open(target, namespace="acme/alice", session=session, **options)


def said(memory: AgentMemory) -> list[str]:
    return [message.text for message in memory.messages()]


def say(memory: AgentMemory, *texts: str) -> None:
    memory.extend(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts))


def bring_to(memory: AgentMemory, state: str) -> None:
    """Bring the session, which is new and of policy DAYS, into `state`."""
    ages = {"active": 0 * HOUR, "idle": 2 * HOUR, "expired": 99 * HOUR}
    if state in ages:
        memory.add("user", "hello", created_at=NOW - ages[state])
    elif state != "created":
        verbs = {"suspended": "suspend", "completed": "complete", "failed": "fail"}
        getattr(memory.session, verbs[state])()
    assert memory.session.state == state


# -- states ------------------------------------------------------------------------------


def test_a_session_that_nobody_touches_has_no_entries_of_its_life(memory: AgentMemory) -> None:
    assert memory.session.state == "created"
    assert memory.session.info().to_dict()["created_at"] is None
    assert memory.sessions() == []
    say(memory, "hello", "hi")
    assert memory.session.state == "active"
    kinds = {entry.kind for entry in memory.backend.read(Stream(("acme", "alice"), "trip"))}
    assert kinds == {"message"}


@pytest.mark.parametrize(
    ("state", "verb"), list(product(STATES, ["suspend", "resume", "complete", "fail"]))
)
def test_every_transition_is_legal_or_refused_with_what_is(state: str, verb: str) -> None:
    """The table as the documentation gives it."""
    allowed = {
        "created": "suspend complete fail",
        "active": "suspend complete fail",
        "idle": "suspend complete fail",
        "suspended": "resume complete fail",
        "completed": "resume",
        "failed": "resume",
        "expired": "resume complete fail",
    }[state].split()
    to = {"suspend": "suspended", "complete": "completed", "fail": "failed", "resume": "active"}
    with opened("memory:", session_policy=DAYS) as memory:
        bring_to(memory, state)
        if verb in allowed:
            getattr(memory.session, verb)()
            begun = state in ("active", "idle", "expired")
            wanted = to[verb] if verb != "resume" or begun else "created"
            assert memory.session.state == wanted
            return
        with pytest.raises(SessionStateError) as caught:
            getattr(memory.session, verb)()
        assert (caught.value.state, caught.value.wanted) == (state, to[verb])
        assert set(caught.value.legal) == {to[one] for one in allowed} == set(LEGAL[state])
        for one in allowed:
            assert f"session.{one}()" in str(caught.value)
        assert memory.session.state == state


@pytest.mark.parametrize("state", ["suspended", "completed", "failed", "expired"])
def test_nothing_is_added_to_what_is_not_open(target: str, state: str) -> None:
    with opened(target, session_policy=DAYS) as memory:
        bring_to(memory, state)
        before = memory.session.head
        call = Message.from_openai(
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            }
        )[0]
        writes = [
            lambda: memory.add("user", "more"),
            lambda: memory.extend([Message("user", "二"), Message("user", "三")]),
            lambda: memory.session.keep(()),
            lambda: memory.session.keep((), [Message("user", "x")], expected=before),
            lambda: memory.session.restore(0),
            lambda: memory.tools.run(call),
            lambda: asyncio.run(memory.aadd("user", "more")),
        ]
        for write in writes:
            with pytest.raises(SessionStateError, match="resume") as caught:
                write()
            assert (caught.value.session, caught.value.state) == ("trip", state)
        assert memory.session.head == before
        memory.remember("Memories are the namespace's, and go on")
        memory.session.resume()
        memory.add("user", "more")
        assert said(memory)[-1] == "more"


def test_a_reason_is_told_until_it_is_resumed(memory: AgentMemory) -> None:
    say(memory, "hello")
    memory.session.suspend("等待付款")
    info = memory.session.info()
    assert (info.state, info.reason) == ("suspended", "等待付款")
    assert info.since is not None and info.since >= NOW
    with pytest.raises(SessionStateError, match="等待付款"):
        memory.add("user", "x")
    memory.session.resume()
    assert memory.session.info().reason is None


def test_what_one_memory_closes_is_closed_for_all(target: str) -> None:
    with opened(target) as one, opened(one.backend) as other:
        say(one, "a"), say(other, "b")
        one.session.suspend()
        with pytest.raises(SessionStateError):
            other.add("user", "c")
        other.session.resume()
        one.add("user", "d")
        other.session.update({"k": 1})
        one.add("user", "e")
        other.erase()
        say(other, "x")
        other.session.complete()
        with pytest.raises(SessionStateError):
            one.add("user", "f")
        assert said(one) == ["x"]


def test_no_message_stands_behind_a_suspension(tmp_path: Path) -> None:
    """However they race: what was added is before it, or refused."""
    target = f"sqlite:///{tmp_path / 'agent.db'}?synchronous=normal"
    with opened(target) as memory:
        refused: list[str] = []

        def add(number: int) -> None:
            with opened(target) as own:
                try:
                    for i in range(100_000):  # until it is suspended
                        own.add("user", f"{number}:{i}")
                except SessionStateError as error:
                    refused.append(error.state)

        threads = [threading.Thread(target=add, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        while memory.session.head < 50:
            time.sleep(0.001)
        memory.session.suspend()
        for thread in threads:
            thread.join()
        entries = memory.backend.read(Stream(("acme", "alice"), "trip"))
        assert entries[-1].kind == "session"
        assert refused == ["suspended"] * 3


def test_threads_that_share_a_memory_are_told_that_another_suspended_it(tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path / 'agent.db'}?synchronous=normal"
    for _ in range(5):
        with opened(target) as shared, opened(target) as other:
            errors: list[BaseException] = []

            def add(shared: AgentMemory = shared, errors: list[BaseException] = errors) -> None:
                try:
                    while True:
                        shared.add("user", "go on")
                except BaseException as exc:
                    errors.append(exc)

            threads = [threading.Thread(target=add) for _ in range(6)]
            head = other.session.head
            for thread in threads:
                thread.start()
            while other.session.head < head + 30:
                time.sleep(0.001)
            other.session.suspend()
            for thread in threads:
                thread.join()
            assert [type(error) for error in errors] == [SessionStateError] * 6
            other.session.resume()


def _suspend(path: str) -> None:
    with opened(path) as memory:
        memory.session.suspend("by a process")


def test_what_another_process_closes_is_closed_here(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")
    with opened(path) as memory:
        say(memory, "a", "b")
        process = multiprocessing.get_context("spawn").Process(target=_suspend, args=(path,))
        process.start()
        process.join()
        assert process.exitcode == 0
        with pytest.raises(SessionStateError, match="by a process"):
            memory.add("user", "c")


def test_of_two_transitions_at_once_one_is_refused(target: str) -> None:
    with opened(target) as memory:
        say(memory, "hello")
        done: list[bool] = []

        def close() -> None:
            try:
                memory.session.complete()
                done.append(True)
            except SessionStateError:
                done.append(False)

        threads = [threading.Thread(target=close) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(done) == [False] * 5 + [True]


# -- time --------------------------------------------------------------------------------


def test_what_is_idle_goes_on_by_itself_and_what_has_expired_does_not() -> None:
    with opened("memory:", session_policy=DAYS) as memory:
        memory.add("user", "hello", created_at=NOW - 3 * HOUR)
        info = memory.session.info()
        assert (info.state, info.since) == ("idle", NOW - 2 * HOUR)
        memory.add("user", "again")
        assert memory.session.state == "active"
    with opened("memory:", session_policy=DAYS) as memory:
        memory.add("user", "hello", created_at=NOW - 50 * HOUR)
        info = memory.session.info()
        assert (info.state, info.since) == ("expired", NOW - 2 * HOUR)
        with pytest.raises(SessionStateError):
            memory.add("user", "again")
        memory.session.resume()
        assert memory.session.state == "active"


def test_an_old_conversation_can_be_brought_in_message_by_message() -> None:
    with opened("memory:", session_policy=DAYS) as memory:
        for hour in range(5):
            memory.add("user", f"{hour}", created_at=NOW - 999 * HOUR + hour * HOUR)
        assert len(memory.messages()) == 5
        with pytest.raises(SessionStateError):
            memory.add("user", "now")


def test_what_others_added_meanwhile_keeps_a_session_from_expiring(target: str) -> None:
    with (
        opened(target, session_policy=DAYS) as one,
        opened(one.backend, session_policy=DAYS) as other,
    ):
        one.add("user", "a", created_at=NOW - 60 * HOUR)
        other.add("user", "b", created_at=NOW - 20 * HOUR)
        one.add("user", "c")
        assert said(one) == ["a", "b", "c"]


def test_a_suspended_session_may_expire_too() -> None:
    with opened("memory:", session_policy=DAYS) as memory:
        say(memory, "hello")
        memory.session.suspend()
        assert memory.session.state == "suspended"
        old = NOW - 6 * HOUR
        body = {"event": "suspended", "state": "suspended", "since": old.isoformat()}
        stream = Stream(("acme", "alice"), "trip")
        memory.backend.write(
            Append(stream=stream, kind="session", body=body, created_at=old, pinned=True)
        )
        info = memory.session.info()
        assert (info.state, info.since) == ("expired", old + 5 * HOUR)


@pytest.mark.parametrize("name", ["idle_after", "expire_after", "suspended_for", "retain"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "1", timedelta(0)])
def test_a_policy_has_times_above_zero_or_none(name: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=name):
        SessionPolicy(**{name: value})
    assert SessionPolicy(**{name: None}).time(name) is None
    assert SessionPolicy(**{name: 60}).time(name) == timedelta(minutes=1)


def test_a_policy_is_a_policy() -> None:
    with pytest.raises(InvalidValueError, match="session_policy"):
        opened("memory:", session_policy="short")
    with opened("memory:", session_policy=DAYS) as memory:
        assert memory.beside(session="two").session_policy is DAYS


# -- metadata ----------------------------------------------------------------------------


def test_metadata_is_merged_and_none_takes_a_key_away(memory: AgentMemory) -> None:
    assert memory.session.update({"用户": "李雷", "n": 1}) == {"用户": "李雷", "n": 1}
    assert memory.session.state == "created"
    assert memory.session.update({"n": None, "list": [1, {"a": None}]}) == {
        "用户": "李雷",
        "list": [1, {"a": None}],
    }
    memory.session.complete()
    memory.session.update({"grade": "good"})
    info = memory.session.info()
    assert info.state == "completed" and info.metadata["grade"] == "good"
    with pytest.raises(InvalidValueError):
        memory.session.update({"n": float("nan")})
    with pytest.raises(InvalidValueError, match="keys are strings"):
        memory.session.update({1: "one"})  # type: ignore[dict-item]
    with pytest.raises(InvalidValueError):
        memory.session.update("text")  # type: ignore[arg-type]


def test_what_redactors_hide_is_stored_nowhere(tmp_path: Path) -> None:
    class Redactor:
        @hookimpl
        def redact(self, text: str) -> str:
            return text.replace("canary7", "[X]")

    plugins = Plugins(load_entry_points=False)
    plugins.register(Redactor(), "redactor")
    path = tmp_path / "agent.db"
    with opened(path, plugins=plugins) as memory:
        say(memory, "hello")
        memory.session.update({"mail": ["canary7"]})
        memory.session.snapshot("at canary7", "note canary7")
        memory.session.suspend("canary7")
        assert memory.session.snapshots()[0].name == "at [X]"
        memory.session.resume()
        memory.session.restore("at canary7")
    for file in tmp_path.iterdir():
        assert b"canary7" not in file.read_bytes()


# -- snapshots and restores ---------------------------------------------------------------


def test_restoring_brings_back_what_was_in_view_and_loses_nothing(memory: AgentMemory) -> None:
    say(memory, "The violin is in the attic", "Noted.")
    mark = memory.session.snapshot("v1", "before the trip")
    say(memory, "小提琴在地下室里", "好的。")
    after = memory.session.snapshot("v2")
    assert memory.session.restore("v1") == mark.version
    assert said(memory) == ["The violin is in the attic", "Noted."]
    assert [m.text for m in memory.context().messages] == said(memory)
    assert memory.recall("violin") and not memory.recall("小提琴")
    say(memory, "Another way")
    assert memory.session.restore("v2") == after.version
    assert said(memory)[2:] == ["小提琴在地下室里", "好的。"]
    assert memory.recall("小提琴") and not memory.recall("another way")
    assert [mark.name for mark in memory.session.snapshots()] == ["v1", "v2"]
    assert len(memory.session.log(kept=False)) == 5
    assert memory.original("@8")[0].text == "Another way"


def test_a_restored_message_is_found_as_it_was(memory: AgentMemory) -> None:
    memory.add("user", "The violin is in the attic", name="Ada", metadata={"page": 3})
    before = memory.recall("violin")[0].record
    memory.session.restore(0)
    assert said(memory) == [] and memory.recall("violin") == []
    memory.session.restore(1)
    found = memory.recall("violin", metadata={"page": 3})[0].record
    assert found.evolve(access_count=0, last_accessed=None) == before


def test_what_was_forgotten_stays_forgotten(memory: AgentMemory) -> None:
    say(memory, "The violin is red", "The cello is blue")
    memory.forget("trip@1")
    memory.session.snapshot("v1")
    memory.session.keep(())
    memory.session.restore("v1")
    assert said(memory) == ["The violin is red", "The cello is blue"]
    assert (
        not memory.recall("violin red", k=1)
        or memory.recall("violin", k=1)[0].record.id == "trip@2"
    )
    assert memory.backend.get(("acme", "alice"), "trip@1") is None
    assert memory.backend.get(("acme", "alice"), "trip@2") is not None


def test_edits_of_before_they_said_what_they_took_out_can_be_undone(memory: AgentMemory) -> None:
    """A store that was written by a version without restores."""
    say(memory, "The violin is red", "The cello is blue")
    namespace = ("acme", "alice")
    memory.session.keep([2])
    stream = Stream(namespace, "trip")
    edit = memory.backend.read(stream, kinds=["kept"])[0]
    memory.session.erase()
    say(memory, "The violin is red", "The cello is blue")
    old = Append(
        stream=stream, kind="kept", body={"runs": edit.body["runs"]}, created_at=NOW, pinned=True
    )
    from ctxplug.storage import Delete

    memory.backend.write(old, Delete(namespace, "trip@1"))
    assert said(memory) == ["The cello is blue"]
    memory.session.restore(2)
    assert memory.backend.get(namespace, "trip@1") is not None


def test_a_name_means_its_newest_snapshot_and_a_number_is_a_version(memory: AgentMemory) -> None:
    say(memory, "one")
    memory.session.snapshot("v")
    say(memory, "two")
    memory.session.snapshot("v")
    say(memory, "three")
    memory.session.restore("v")
    assert said(memory) == ["one", "two"]
    memory.session.restore(2)
    assert said(memory) == ["one"]
    for unknown in ("w", 999, -1):
        with pytest.raises(NotFoundError):
            memory.session.restore(unknown)
    for wrong in (True, 1.5, None):
        with pytest.raises(InvalidValueError):
            memory.session.restore(wrong)  # type: ignore[arg-type]
    for wrong in ("", " ", 3, "x" * 201):
        with pytest.raises(InvalidValueError):
            memory.session.snapshot(wrong)  # type: ignore[arg-type]


def test_after_a_restore_the_window_is_the_one_of_the_snapshot(tmp_path: Path) -> None:
    """Compacted as it was then, to the byte: what a provider has cached counts again."""
    path = tmp_path / "agent.db"
    with opened(path, budget=700) as memory:
        for i in range(60):
            say(memory, f"Question {i}: " + "how far is it? " * 5, f"Answer {i}: " + "far. " * 9)
            memory.context()
        memory.add("user", "Now")
        window = memory.context()
        assert window.report.compactions
        memory.session.snapshot("v1")
        for i in range(60):
            say(memory, f"Later {i}: " + "how far is it? " * 5, f"Answer {i}: " + "far. " * 9)
        memory.context()
        memory.session.restore("v1")
        assert memory.context().messages == window.messages
    with opened(path, budget=700) as again:
        assert again.context().messages == window.messages


def test_one_may_go_back_as_often_as_one_likes(target: str) -> None:
    """Each return rests on the one before: that is no deeper to read than a long session is."""
    memory = opened(target, budget=50_000)
    for i in range(200):
        memory.add("user", f"Step {i}, 第{i}步")
        done = memory.session.head
        memory.add("assistant", f"A wrong turn {i}")
        if i % 40 == 0:
            memory.context()
        memory.session.restore(done)
    window = memory.context()
    assert [m.text for m in window.messages] == [f"Step {i}, 第{i}步" for i in range(200)]
    assert all(memory.trace.window(step).exact for step in memory.trace.steps(kind="window"))
    fork = memory.session.fork("f", at=done)
    assert fork.context().messages == (*window.messages[:-1], *memory.messages()[-1:])


@pytest.mark.parametrize("wrong", [-1, True, "2", 1.5])
def test_how_many_is_a_number_from_0_on(memory: AgentMemory, wrong: Any) -> None:
    say(memory, "One", "Two")
    for ask in (
        lambda: memory.session.log(last=wrong),
        lambda: memory.session.log(after=wrong),
        lambda: memory.session.log(last=wrong, kept=False),
        lambda: memory.sessions(limit=wrong),
    ):
        with pytest.raises(InvalidValueError, match="number from 0 on"):
            ask()
    assert [one.message.text for one in memory.session.log(after=1, last=9)] == ["Two"]


# -- forks ---------------------------------------------------------------------------------


def test_a_fork_shares_the_past_and_nothing_else(memory: AgentMemory) -> None:
    say(memory, "We fly to Lisbon", "When?")
    memory.session.snapshot("v1")
    memory.session.update({"plan": "里斯本"})
    say(memory, "In May")
    fork = memory.session.fork("what-if", at="v1")
    assert said(fork) == ["We fly to Lisbon", "When?"]
    fork.add("user", "Never")
    memory.add("assistant", "Fine")
    assert said(memory) == ["We fly to Lisbon", "When?", "In May", "Fine"]
    assert said(fork) == ["We fly to Lisbon", "When?", "Never"]
    info = fork.session.info()
    assert (info.parent, info.forked_at, info.state) == ("trip", 3, "active")
    assert info.metadata == {} and [mark.name for mark in fork.session.snapshots()] == ["v1"]
    assert [m.text for m in fork.context().messages] == said(fork)
    assert fork.original("@1")[0].text == "We fly to Lisbon"
    assert [one.id for one in memory.sessions(parent="trip")] == ["what-if"]
    grandchild = fork.session.fork()
    assert said(grandchild) == said(fork) and grandchild.session.info().parent == "what-if"
    assert len(grandchild.scope.session) == 32


def test_a_fork_can_go_back_beyond_where_it_branched_off(memory: AgentMemory) -> None:
    say(memory, "The violin is red", "The cello is blue", "The harp is green")
    fork = memory.session.fork("f")
    fork.session.restore(1)
    assert said(fork) == ["The violin is red"]
    assert len(said(memory)) == 3 and memory.recall("cello")
    fork.session.restore(3)
    assert len(said(fork)) == 3
    assert len(memory.recall("harp", k=50)) == len(
        {r.record.id for r in memory.recall("harp", k=50)}
    )


def test_a_fork_may_be_closed_after_what_it_was_forked_from(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    memory = opened(path)
    say(memory, "One")
    fork = memory.session.fork("f")
    fork.add("user", "Two 二")
    fork.context()
    memory.close()
    fork.close()
    with opened(path, session="f") as again:
        assert said(again) == ["One", "Two 二"]
        assert len(again.trace.steps(kind="window")) == 1


def test_what_a_fork_sees_again_is_no_record_of_its_own(memory: AgentMemory) -> None:
    say(memory, "The violin is red", "The cello is blue")
    memory.session.keep([2])
    fork = memory.session.fork("f")
    fork.session.restore(2)
    assert said(fork) == ["The violin is red", "The cello is blue"]
    assert said(memory) == ["The cello is blue"]
    found = {one.record.id for one in fork.recall("violin cello", k=9)}
    assert found == {"trip@2"}


def test_a_fork_of_what_is_closed_is_open(memory: AgentMemory) -> None:
    say(memory, "hello")
    memory.session.update({"k": 1})
    memory.session.complete()
    fork = memory.session.fork("f")
    assert fork.session.state == "active" and fork.session.info().metadata == {"k": 1}
    fork.add("user", "again")
    assert memory.session.state == "completed"


def test_what_cannot_be_forked(memory: AgentMemory) -> None:
    with pytest.raises(InvalidValueError):
        memory.session.fork("f")  # there is no past to share
    say(memory, "hello")
    memory.session.fork("f")
    for taken in ("f", "trip"):
        with pytest.raises(ConflictError):
            memory.session.fork(taken)
    with pytest.raises(InvalidNamespaceError):
        memory.session.fork("ctxplug:mine")
    with pytest.raises(NotFoundError):
        memory.session.fork("g", at="nowhere")


# -- the end -------------------------------------------------------------------------------


def test_erasing_a_session_leaves_the_others_and_the_memories(memory: AgentMemory) -> None:
    say(memory, "The violin is red")
    memory.context("violin")
    memory.remember("Plays the violin")
    other = memory.beside(session="other")
    say(other, "The violin is blue")
    fork = memory.session.fork("f")
    with pytest.raises(ConflictError, match="fork"):
        memory.session.erase()
    assert said(fork) == ["The violin is red"]
    fork.session.erase()
    streams = {info.session for info in memory.backend.sessions(("acme", "alice"))}
    assert "ctxplug:trace:trip" in streams
    receipt = memory.session.erase()
    assert receipt.entries == 1  # its trace is gone too, and not counted
    assert said(memory) == [] and memory.session.state == "created"
    assert {one.id for one in memory.sessions()} == {"other"}
    contents = {one.record.content for one in memory.recall("violin", k=9)}
    assert contents == {"Plays the violin", "The violin is blue"}
    streams = {info.session for info in memory.backend.sessions(("acme", "alice"))}
    assert "ctxplug:trace:trip" not in streams
    say(memory, "Begun anew")
    assert [m.text for m in memory.context().messages] == ["Begun anew"]


def test_retention_removes_what_ended_long_ago(target: str) -> None:
    policy = SessionPolicy(expire_after=timedelta(days=1), retain=timedelta(days=10))
    with opened(target, session="now", session_policy=policy) as memory:
        for name, days in (("old", 30), ("young", 5), ("parent", 40)):
            memory.beside(session=name).add("user", name, created_at=NOW - timedelta(days=days))
        parent = memory.beside(session="parent")
        parent.session.fork("child").add("user", "goes on")
        say(memory, "hello")
        asked: list[tuple[int, int]] = []
        dry = memory.retire(dry_run=True)
        assert (dry.sessions, dry.kept) == (("old",), {"parent": ("child",)})
        assert len(memory.sessions()) == 5
        report = memory.retire(progress=lambda done, of: asked.append((done, of)))
        assert report.sessions == ("old",) and report.entries >= 1 and asked == [(1, 1)]
        assert report.to_dict()["kept"] == {"parent": ["child"]} and "parent" in str(report)
        assert {one.id for one in memory.sessions()} == {"now", "young", "parent", "child"}
        child = memory.beside(session="child")
        assert said(child) == ["parent", "goes on"]
        child.session.fail("no good")
        gone = memory.retire(timedelta(microseconds=1)).sessions
        assert set(gone) == {"child", "young", "parent"}
        assert memory.retire().sessions == ()


def test_maintenance_retires_where_the_policy_says_so(target: str) -> None:
    ended = NOW - timedelta(days=9)
    policy = SessionPolicy(expire_after=timedelta(days=1), retain=timedelta(days=3))
    with opened(target, session="now", session_policy=policy) as memory:
        memory.beside(session="old").add("user", "hi", created_at=ended)
        assert [c.id for c in memory.maintain(dry_run=True).of("retired")] == ["old"]
        report = memory.maintain()
        assert [c.id for c in report.of("retired")] == ["old"]
        assert "1 retired" in str(report)
        assert memory.maintenance_log(1)[0].of("retired") == report.of("retired")
        assert memory.maintain().of("retired") == []
    with opened(target, session="now") as memory:
        assert memory.maintain().counts["retired"] == 0
        with pytest.raises(InvalidValueError, match="retain"):
            memory.retire()


def test_sessions_are_listed_by_state_newest_first(memory: AgentMemory) -> None:
    for number, name in enumerate(("a", "b", "c", "丁")):
        one = memory.beside(session=name)
        one.add("user", name, created_at=NOW - HOUR * (9 - number))
    memory.beside(session="b").session.complete()
    assert [one.id for one in memory.sessions()] == ["b", "丁", "c", "a"]
    assert [one.id for one in memory.sessions("idle", limit=2)] == ["丁", "c"]
    assert [one.id for one in memory.sessions(["completed", "failed"])] == ["b"]
    assert memory.sessions(limit=0) == [] and memory.sessions(parent="a") == []
    with pytest.raises(InvalidValueError, match="sleeping"):
        memory.sessions("sleeping")


async def test_every_verb_has_a_twin(target: str) -> None:
    async with await AgentMemory.aopen(target, namespace="acme", session="s") as memory:
        await memory.aadd("user", "hello")
        session = memory.session
        assert (await session.asnapshot("v1", note="n")).version == 2
        await memory.aadd("user", "more")
        assert await session.arestore("v1") == 2
        fork = await session.afork("f", at=1)
        assert [m.text for m in await fork.amessages()] == ["hello"]
        await session.asuspend("why")
        await session.aresume()
        assert await session.aupdate({"k": 1}) == {"k": 1}
        await session.acomplete()
        await session.aresume()
        await session.afail("bad")
        assert (await session.ainfo()).state == "failed"
        assert len(await session.asnapshots()) == 1
        assert {one.id for one in await memory.asessions()} == {"s", "f"}
        await fork.session.aerase()
        assert (await memory.aretire(timedelta(microseconds=1))).sessions == ("s",)


def test_what_happens_is_told_to_observers(target: str) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    class Observer:
        @hookimpl
        def on_event(self, event: Any) -> None:
            told.append((event.kind, dict(event.data)))

    plugins = Plugins(load_entry_points=False)
    plugins.register(Observer(), "observer")
    memory = opened(target, plugins=plugins)
    say(memory, "hello")
    memory.session.snapshot("v1")
    memory.session.restore("v1")
    with memory.session.fork("f") as fork:
        fork.session.erase()
    memory.session.suspend("why")
    memory.session.update({"k": 1})
    memory.close()
    kinds = sorted(kind for kind, _ in told if kind.startswith("session."))
    assert kinds == [
        "session.erased", "session.forked", "session.restored", "session.snapshot",
        "session.suspended", "session.updated",
    ]  # fmt: skip
    assert dict(told)["session.suspended"] == {"before": "active", "reason": "why"}


def test_a_closed_memory_has_no_session_to_ask(target: str) -> None:
    memory = opened(target)
    say(memory, "hello")
    memory.close()
    session = memory.session
    for verb in (session.info, session.suspend, session.snapshots, memory.sessions, session.erase):
        with pytest.raises(ClosedError):
            verb()
    with pytest.raises(ClosedError):
        _ = session.state


# -- commands --------------------------------------------------------------------------------


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands_do_what_the_verbs_do(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with opened(path) as memory:
        say(memory, "We fly to Lisbon", "什么时候？")
    assert "version 3" in run("session", "snapshot", path, "出发前", "--note", "计划")
    with opened(path) as memory:
        memory.add("user", "In May")
        memory.session.update({"用户": ["李雷"]})
    made = json.loads(run("session", "fork", path, "what-if", "--at", "出发前", "--json"))
    assert (made["parent"], made["forked_at"], made["messages"]) == ("trip", 3, 2)
    assert "2 messages" in run("session", "restore", path, "出发前", "-s", "trip")
    assert json.loads(run("session", "restore", path, "5", "-s", "trip", "--json"))["messages"] == 3
    assert "trip is suspended" in run("session", "suspend", path, "-s", "trip", "-r", "等等")
    shown = run("session", "show", path, "-s", "trip")
    for text in ("suspended", "等等", "李雷", "出发前", "计划", "what-if", "3 in view"):
        assert text in shown
    data = json.loads(run("session", "show", path, "-s", "trip", "--json"))
    assert data["forks"] == ["what-if"] and data["snapshots"][0]["name"] == "出发前"
    refused = CliRunner().invoke(app, ["session", "suspend", str(path), "-s", "trip"])
    assert refused.exit_code == 1 and "session.resume()" in refused.stderr
    run("session", "resume", path, "-s", "trip")
    run("session", "complete", path, "-s", "trip")
    assert json.loads(run("session", "fail", path, "-s", "what-if", "--json"))["state"] == "failed"
    listed = json.loads(run("sessions", path, "--json"))
    found = [(one["session"], one["state"], one["parent"]) for one in listed]
    assert found == [("trip", "completed", None), ("what-if", "failed", "trip")]
    assert [
        one["session"] for one in json.loads(run("sessions", path, "--state", "failed", "--json"))
    ] == ["what-if"]
    assert "trip @3" in run("sessions", path)
    asked = ("session", "retire", path, "--older-than", "1e-9")
    assert "2 sessions would be retired" in run(*asked, "--dry-run")
    assert json.loads(run("sessions", path, "--json")) == listed
    assert set(json.loads(run(*asked, "--json"))["sessions"]) == {"trip", "what-if"}
    assert json.loads(run("sessions", path, "--json")) == []
    with opened(path) as memory:
        say(memory, "hello")
    wrong = CliRunner().invoke(app, ["sessions", str(path), "--state", "asleep"])
    assert wrong.exit_code == 1 and "suspended" in wrong.stderr
