"""Access rules: who may read, write and share what, whichever way it is tried."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ctxplug import AgentMemory, Message
from ctxplug.access import AccessBackend, AccessRule, guarded
from ctxplug.errors import AccessError, InvalidValueError, NotFoundError
from ctxplug.storage import Append, Backend, Delete, Fork, Put, Stream, Where
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend

NS = ("acme",)
SECRET, GEHEIM = "zqvkanarienvogelx", "驤麤龘靐齉"
ALL = ("read", "write", "share")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    backend: Backend
    if request.param == "memory":
        backend = InMemoryBackend()
    else:
        backend = SqliteBackend(tmp_path / "agent.db", synchronous="normal")
    with backend:
        yield backend


def opened(
    store: Any, agent: str | None = None, session: str = "trip", **options: Any
) -> AgentMemory:
    return AgentMemory.open(
        store, namespace="acme", session=session, agent=agent, counter="estimate", **options
    )


def closed_hr(store: Backend) -> AgentMemory:
    """Fill a store: sessions of hr are the hr-bot's, all others everybody's. The owner's memory."""
    owner = opened(store)
    for session in ("trip", "hr-1"):
        own = opened(store, "hr-bot" if session == "hr-1" else "planner", session)
        said = SECRET if session == "hr-1" else "window seats"
        own.extend([Message("user", f"My salary: {said} {GEHEIM if said == SECRET else '靠窗'}")])
        own.remember(f"Salary of {said}", tags=["money"])
    owner.access.grant("hr-bot", ALL, session="hr-*")
    return owner


# -- the owner ------------------------------------------------------------------------


def test_no_rules_let_everybody_do_everything(store: Backend) -> None:
    planner = opened(store, "planner")
    planner.add("user", "Hello")
    assert opened(store, "other").messages() == planner.messages()
    assert planner.access.rules() == []
    assert planner.access.allows("planner", "share")


def test_no_set_of_rules_locks_the_owner_out(store: Backend) -> None:
    owner = closed_hr(store)
    rule = owner.access.deny("*", ALL)
    owner.access.deny("*", ALL, session="ctxplug:access")
    owner.add("user", "Still here")
    assert opened(store, None, "hr-1").messages()
    assert owner.access.allows(None, "read", "hr-1")
    planner = opened(store, "planner")
    with pytest.raises(AccessError):
        planner.messages()
    with pytest.raises(AccessError):
        planner.access.grant("planner", ALL)
    assert owner.access.revoke(rule, owner.access.rules()[-1]) == 2
    assert len(planner.messages()) == 2


def test_a_rule_is_made_once_and_revoked_by_itself_or_its_id(store: Backend) -> None:
    access = opened(store).access
    rule = access.grant("hr-bot", ["write", "read"], session="hr-*", tags="money")
    assert rule.verbs == ("read", "write") and rule.tags == ("money",) and rule.by is None
    assert access.grant("hr-bot", ["read", "write"], session="hr-*", tags=["money"]) == rule
    assert access.rules() == [rule]
    other = access.deny("*", "share")
    assert access.revoke(rule, rule.id) == 1
    assert access.rules() == [other]
    with pytest.raises(NotFoundError, match=r"ctxplug access list"):
        access.revoke(rule)
    assert access.revoke() == 0


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("", "read"), {}),
        (("a/b", "read"), {}),
        (("planner", "red"), {}),
        (("planner", ()), {}),
        (("planner", "read"), {"session": ""}),
        (("planner", "read"), {"kinds": ()}),
        (("planner", "read"), {"kinds": "message"}),
        (("planner", "read"), {"tags": [""]}),
    ],
)
def test_what_makes_no_rule_is_refused(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    with opened("memory:") as memory, pytest.raises(InvalidValueError):
        memory.access.grant(*arguments, **options)


# -- what rules mean --------------------------------------------------------------------


def test_what_is_allowed_to_one_is_closed_to_others(store: Backend) -> None:
    owner = closed_hr(store)
    allows = owner.access.allows
    for verb in ALL:
        assert allows("hr-bot", verb, "hr-1") and not allows("planner", verb, "hr-1")
        assert allows("planner", verb, "trip") and allows("hr-bot", verb, "trip")
    owner.access.grant("planner", "read", session="hr-2")
    assert allows("planner", "read", "hr-2") and not allows("planner", "write", "hr-2")


def test_deny_wins_and_closes_nothing_to_others(store: Backend) -> None:
    owner = closed_hr(store)
    owner.access.deny("hr-bot", "write", session="hr-1")
    owner.access.deny("planner", "read", session="trip")
    allows = owner.access.allows
    assert not allows("hr-bot", "write", "hr-1") and allows("hr-bot", "read", "hr-1")
    assert not allows("planner", "read", "trip") and allows("hr-bot", "read", "trip")


def test_rules_of_tags_and_kinds_are_about_memories_alone(store: Backend) -> None:
    owner = opened(store)
    owner.add("user", "My salary is secret")
    owner.remember("Salary of 5000", tags=["money"])
    owner.remember("Likes salad", kind="preference")
    owner.access.deny("planner", "read", tags="money")
    owner.access.deny("planner", "write", kinds="preference")
    planner = opened(store, "planner")
    assert [one.content for one in planner.memories()] == ["Likes salad"]
    assert {one.record.kind for one in planner.recall("salary salad")} == {"message", "preference"}
    planner.remember("Salary of 6000", tags=["money"])  # it may write what it may not read
    with pytest.raises(AccessError, match="preference"):
        planner.remember("Likes soup", kind="preference")
    with pytest.raises(AccessError):
        planner.forget(planner.memories()[0].id)
    assert not owner.access.allows("planner", "read", kind="fact", tags="money")
    assert owner.access.allows("planner", "read")


def test_a_closed_session_is_named_in_vain_and_is_in_no_list(store: Backend) -> None:
    closed_hr(store)
    planner = opened(store, "planner", "hr-1")
    for session in ("hr-1", "hr-none"):  # whether there is one
        with pytest.raises(AccessError) as refused:
            opened(store, "planner", session).messages()
        assert (refused.value.agent, refused.value.verb) == ("planner", "read")
        assert refused.value.session == session
        assert "grant" in str(refused.value) and "ctxplug access list" in str(refused.value)
    for call in (
        lambda: planner.add("user", "Hello"),
        planner.context,
        lambda: planner.original("@1"),
        lambda: planner.expand("@1"),
        lambda: planner.session.head,
        lambda: planner.session.keep([1]),
        lambda: planner.remember("x"),
        lambda: opened(store, "planner").original("hr-1@1"),
        lambda: planner.tools.history(session="hr-1"),
    ):
        with pytest.raises(AccessError):
            call()
    assert {info.session for info in planner.backend.sessions(NS)} <= {"trip"}
    stats = opened(store, "planner").stats()
    assert stats.sessions == 1 and stats.memories["medium"] == 1


def test_what_another_process_grants_holds_from_the_next_operation_on(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with opened(path, "planner") as planner:
        planner.add("user", "Hello")

        def elsewhere(change: str) -> str:
            code = (
                "import sys; from ctxplug import AgentMemory\n"
                "with AgentMemory.open(sys.argv[1], namespace='acme') as memory:\n"
                f"    print({change})"
            )
            done = subprocess.run(
                [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
            )
            return done.stdout.strip()

        id = elsewhere("memory.access.grant('hr-bot', 'read', session='trip').id")
        with pytest.raises(AccessError):
            planner.messages()
        with pytest.raises(AccessError):
            planner.add("user", "More")
        elsewhere(f"memory.access.revoke({id!r})")
        assert [m.text for m in planner.messages()] == ["Hello"]
        # As many rules as before, in a log that was begun anew.
        deny = "memory.access.deny('planner', {!r})"
        elsewhere(f"memory.erase(), {deny.format('read')}, {deny.format('write')}")
        with pytest.raises(AccessError):
            planner.messages()


# -- ways around ------------------------------------------------------------------------


def test_a_denied_agent_finds_no_trace_of_what_is_closed(store: Backend) -> None:
    owner = closed_hr(store)
    before = snapshot_of(store)
    planner = opened(store, "planner")
    seen: list[Any] = [planner.recall(q, k=50) for q in (SECRET, GEHEIM, "salary", "window")]
    seen += [planner.memories(), planner.stats(), planner.access.rules(), planner.tools.history()]
    seen += [planner.context(q) for q in ("salary", SECRET)]
    seen += [planner.search_archive(SECRET), planner.session.log(), planner.sessions()]
    seen += [planner.usage.report(), [step.id for step in planner.trace.steps()]]
    for hidden in (lambda: planner.trace.steps(session="hr-1"), planner.maintain):
        with pytest.raises(AccessError):
            hidden()
    for where in (Where(NS), Where(NS, session="hr-1"), Where(NS, kinds=["fact"])):
        backend = planner.backend
        seen += [backend.find(where), backend.count(where), backend.glance(where)]
        seen += [backend.search(where, terms=[SECRET, "salari"], limit=50)]
        seen += [backend.occurrences(where, [SECRET, "salari"], limit=50)]
        seen += [backend.archived(where), backend.archive_state(NS), backend.sessions(NS)]
    text = repr(seen)
    assert SECRET not in text and GEHEIM not in text and "hr-1" not in text
    owner.close()
    assert snapshot_of(store)["hr-1"] == before["hr-1"]


def snapshot_of(store: Backend) -> dict[str, Any]:
    found: dict[str, Any] = {
        info.session: store.read(Stream(NS, info.session)) for info in store.sessions(NS)
    }
    found["records"] = store.find(Where(NS, session="hr-1"))
    return found


def test_another_agent_beside_an_agents_memory_may_do_no_more(store: Backend) -> None:
    owner = closed_hr(store)
    planner = opened(store, "planner")
    for way in (
        planner.beside(agent="hr-bot", session="hr-1"),
        planner.beside(session="hr-1"),
        AgentMemory.open(planner.backend, namespace="acme", session="hr-1"),
        AgentMemory.open(planner.backend, namespace="acme", session="hr-1", agent="hr-bot"),
        planner.beside(agent="hr-bot").beside(agent="hr-bot", session="hr-1"),
        AgentMemory.open(planner.opened_with["target"], namespace="acme", session="hr-1"),
    ):
        with pytest.raises(AccessError):
            way.messages()
    assert owner.beside(agent="hr-bot", session="hr-1").messages()
    owner.access.deny("hr-bot", "read", session="trip")
    assert planner.messages()
    with pytest.raises(AccessError, match="hr-bot"):
        planner.beside(agent="hr-bot", session="trip").messages()


def test_one_agents_memories_share_one_backend_and_threads(store: Backend) -> None:
    one, two = (guarded(store, "planner") for _ in range(2))
    assert one is two and isinstance(one, AccessBackend) and guarded(store, None) is store
    assert one.capabilities == store.capabilities and repr(one) == repr(store)
    assert asyncio.run(one.arun(lambda: 3)) == 3
    assert getattr(one, "path", None) == getattr(store, "path", None)
    with pytest.raises(AttributeError):
        one.index_vectors  # noqa: B018


def test_no_public_attribute_leads_to_the_store_itself(store: Backend) -> None:
    closed_hr(store)
    planner = opened(store, "planner")
    seen: set[int] = set()

    def look(value: Any, path: str, depth: int) -> None:
        if depth > 4 or id(value) in seen or isinstance(value, str | int | float | bytes | type):
            return
        seen.add(id(value))
        assert value is not store, path
        if isinstance(value, Mapping):
            for key, one in value.items():
                look(one, f"{path}[{key!r}]", depth + 1)
            return
        if not type(value).__module__.startswith("ctxplug"):
            return
        for name in dir(value):
            if not name.startswith("_") and name not in ("conftest",):
                try:
                    one = getattr(value, name)
                except Exception:
                    continue
                if not inspect.isroutine(one):
                    look(one, f"{path}.{name}", depth + 1)

    look(planner, "memory", 0)
    assert len(seen) > 20


def test_the_log_of_rules_is_closed_to_agents(store: Backend) -> None:
    closed_hr(store)
    planner = opened(store, "planner")
    now = datetime.now(UTC)
    stream = Stream(NS, "ctxplug:access")
    [mine] = [r for r in opened(store).access.rules() if r.agent == "hr-bot"]
    body = {"id": "x", "action": "allow", "verbs": ["read"], "agent": "*", "session": "*"}
    forged = Append(stream=Stream(NS, "trip"), kind="rule", body=body, created_at=now, agent=None)
    [version] = planner.backend.write(forged)  # as if it were a rule, in a log of its own
    for op in (
        Append(stream=stream, kind="rule", body=body, created_at=now),
        Append(stream=stream, kind="rule", body=body, created_at=now, agent="planner"),
        Append(stream=stream, kind="rule", body=body, created_at=now, agent="hr-bot"),
        Append(stream=stream, kind="revoked", body={"ids": [mine.id]}, created_at=now),
        Append(
            stream=stream, kind="revoked", body={"ids": [mine.id]}, created_at=now, agent="planner"
        ),
        Append(stream=stream, kind="note", body={}, created_at=now, agent="planner"),
        Fork(Stream((*NS, "new"), "ctxplug:access"), "trip", version),
    ):
        with pytest.raises(AccessError):
            planner.backend.write(op)
    with pytest.raises(AccessError):
        planner.backend.read(stream)
    with pytest.raises(AccessError):
        planner.backend.erase_session(NS, "ctxplug:access")
    with pytest.raises(AccessError):
        planner.erase()
    assert [r.id for r in opened(store).access.rules()] == [mine.id]


def test_an_agent_without_rules_against_it_may_not_make_any(store: Backend) -> None:
    planner = opened(store, "planner")
    planner.add("user", "Hello")
    for make in (planner.access.grant, planner.access.deny):
        with pytest.raises(AccessError):
            make("planner", "read")
    with pytest.raises(AccessError):
        planner.backend.erase_session(NS, "ctxplug:access")
    planner.erase()  # all of it is open, and so is its end


def test_a_rule_that_cannot_be_read_keeps_everything_from_agents(store: Backend) -> None:
    owner = opened(store)
    owner.add("user", "Hello")
    body = {"id": "of tomorrow", "action": "allow", "verbs": ["dream"], "agent": "*", "when": 1}
    at = datetime.now(UTC)
    store.write(Append(stream=Stream(NS, "ctxplug:access"), kind="rule", body=body, created_at=at))
    planner = opened(store, "planner")
    with pytest.raises(AccessError):
        planner.messages()
    [rule] = owner.access.rules()
    assert rule.id == "of tomorrow" and rule.action == "deny" and rule.verbs == ALL
    owner.access.revoke(rule)
    assert planner.messages()


# -- handing on --------------------------------------------------------------------------


def test_an_agent_hands_on_what_it_was_allowed_together_with_share(store: Backend) -> None:
    owner = closed_hr(store)
    bot = opened(store, "hr-bot", "hr-1")
    handed = bot.access.grant("planner", "read", session="hr-1")
    assert handed.by == "hr-bot"
    planner = opened(store, "planner", "hr-1")
    assert planner.messages() == bot.messages()
    with pytest.raises(AccessError):
        planner.add("user", "Not this")
    with pytest.raises(AccessError):
        planner.access.grant("other", "read", session="hr-1")  # it has no share of it
    for wider in (
        {"session": "*"},
        {"session": "h*"},
        {"session": "trip"},
        {"session": "hr-[1]*x?"},
    ):
        if wider["session"] == "hr-[1]*x?":
            bot.access.grant("other", "read", **wider)  # begins as its own does
            continue
        with pytest.raises(AccessError):
            bot.access.grant("other", "read", **wider)
    with pytest.raises(AccessError):
        bot.access.deny("planner", "read", session="hr-1")
    assert bot.access.revoke(handed) == 1
    with pytest.raises(AccessError):
        planner.messages()
    assert len(owner.access.rules()) == 2


def test_what_was_handed_on_ends_with_what_it_was_handed_on_from(store: Backend) -> None:
    owner = closed_hr(store)
    bot = opened(store, "hr-bot", "hr-1")
    bot.access.grant("planner", ALL, session="hr-1")
    planner = opened(store, "planner", "hr-1")
    planner.access.grant("third", "read", session="hr-1")
    third = opened(store, "third", "hr-1")
    assert third.messages()
    for other in owner.access.rules()[:2]:
        with pytest.raises((AccessError, NotFoundError)):
            planner.access.revoke(other)
    deny = owner.access.deny("hr-bot", "share")
    for memory in (planner, third):
        with pytest.raises(AccessError):
            memory.messages()
    owner.access.revoke(deny)
    assert third.messages()


def test_the_log_of_rules_is_read_with_suspicion(store: Backend) -> None:
    """What stands in it against the law, however it came there, counts for nothing."""
    owner = closed_hr(store)
    [rule] = owner.access.rules()
    stream, at = Stream(NS, "ctxplug:access"), datetime.now(UTC)
    wide = {"id": "w", "action": "allow", "verbs": ["read"], "agent": "planner", "session": "hr-1"}
    for kind, body, agent in (
        ("revoked", {"ids": [rule.id]}, "planner"),
        ("rule", wide, "planner"),
        ("rule", {**wide, "id": "d", "action": "deny"}, "hr-bot"),
        ("rule", {**wide, "id": rule.id}, None),
        ("rule", {**wide, "agent": 7}, "hr-bot"),
        ("note", {}, None),
    ):
        store.write(Append(stream=stream, kind=kind, body=body, created_at=at, agent=agent))
        assert owner.access.rules() == [rule]
    bot = opened(store, "hr-bot", "hr-1")
    taken = Append(
        stream=stream, kind="rule", body={**wide, "id": rule.id}, created_at=at, agent="hr-bot"
    )
    with pytest.raises(AccessError):
        bot.backend.write(taken)


def test_agents_see_the_rules_that_are_for_them(store: Backend) -> None:
    owner = closed_hr(store)
    mine = owner.access.deny("plan*", "share")
    planner = opened(store, "planner")
    assert planner.access.rules() == [mine]
    assert planner.access.allows("planner", "read") and not planner.access.allows(
        "planner", "share"
    )
    with pytest.raises(AccessError):
        planner.access.allows("hr-bot", "read", "hr-1")


# -- what is derived ---------------------------------------------------------------------


def test_a_fork_is_closed_wherever_its_past_is(store: Backend) -> None:
    owner = closed_hr(store)
    bot = opened(store, "hr-bot", "hr-1")
    fork = bot.session.fork("open-name")
    fork.add("user", f"More of {SECRET}")
    again = fork.session.fork("again")
    again.add("user", f"And {SECRET}")
    planner = opened(store, "planner")
    for name in ("open-name", "again"):
        for verb in ALL:
            assert not owner.access.allows("planner", verb, name)
            assert owner.access.allows("hr-bot", verb, name)
        with pytest.raises(AccessError):
            opened(store, "planner", name).messages()
        with pytest.raises(AccessError):
            opened(store, "planner", name).add("user", "x")
    assert not [r for r in planner.recall(SECRET, k=50) if SECRET in r.record.content]
    with pytest.raises(AccessError):
        planner.beside(session="hr-1").session.fork("mine")
    owner.access.grant("planner", "read", session="hr-*")
    assert len(opened(store, "planner", "again").messages()) == 3
    opened(store, "planner", "again").add("user", "It is open, and its past is readable")
    with pytest.raises(AccessError, match="share"):
        opened(store, "planner", "hr-1").session.fork("mine")


def test_a_merged_memory_is_for_those_who_may_read_all_that_is_in_it(store: Backend) -> None:
    owner = opened(store)
    for session in ("a", "b"):
        opened(store, None, session).remember("Lives in Lisbon by the river", metadata={session: 1})
    owner.consolidate()
    assert len(owner.memories()) == 1
    owner.access.grant("hr-bot", ALL, session="b")
    assert opened(store, "planner").memories() == []
    assert len(opened(store, "hr-bot").memories()) == 1


def test_maintenance_merges_and_supersedes_only_under_the_same_rules(store: Backend) -> None:
    owner = closed_hr(store)
    for memory in (opened(store, "planner"), opened(store, "hr-bot", "hr-1")):
        memory.remember("Lives in Lisbon by the river")
    opened(store, "hr-bot", "hr-1").remember("The user's name is Anna")
    planner = opened(store, "planner")
    planner.remember("The user's name is Berta")
    before = planner.memories()
    owner.maintain()
    assert {one.content for one in planner.memories()} == {one.content for one in before}
    with pytest.raises(AccessError):
        planner.maintain()
    with pytest.raises(AccessError):
        planner.maintenance_log()


def test_what_is_remembered_ends_only_what_is_under_the_same_rules(store: Backend) -> None:
    owner = closed_hr(store)
    for session in ("hr-1", "talk"):
        opened(store, None, session).remember("Lives in Lisbon")
    owner.remember("Lives in Porto")  # the owner sees both, and others will not
    lives = {one.session: one.valid_to for one in owner.memories(include_superseded=True)}
    assert lives["hr-1"] is None and lives["talk"] is not None
    bot = opened(store, "hr-bot")
    assert {one.content for one in bot.memories() if "Lives" in one.content} == {
        "Lives in Lisbon",
        "Lives in Porto",
    }


def test_capture_keeps_to_what_the_agent_may_see(store: Backend) -> None:
    owner = closed_hr(store)
    text = "I live in Lisbon."
    opened(store, "hr-bot", "hr-1", capture="auto").add("user", text)
    planner = opened(store, "planner", capture="auto")
    planner.add("user", text)
    lives = [one for one in planner.memories() if "Lisbon" in one.content]
    assert len(lives) == 1 and lives[0].session == "trip"
    assert len([one for one in owner.memories() if "Lisbon" in one.content]) == 2


def test_summaries_are_under_the_rules_of_their_session(store: Backend) -> None:
    owner = closed_hr(store)
    record = owner.remember(f"About {SECRET}").evolve(
        id="summary:hr-1@1-1", kind="summary", session="hr-1", sources=("hr-1@1-1",)
    )
    store.write(Put(record, SECRET))
    planner = opened(store, "planner")
    assert planner.backend.get(NS, record.id) is None
    with pytest.raises(NotFoundError):
        planner.forget(record.id)
    owner.access.grant("planner", "read", session="hr-*", kinds="summary")
    assert planner.backend.get(NS, record.id) == record
    with pytest.raises(AccessError):
        planner.beside(session="hr-1").messages()


def test_archived_things_stay_closed(store: Backend) -> None:
    owner = closed_hr(store)
    owner.archive(timedelta(0), sessions="hr-1")
    owner.archive(timedelta(0))
    planner = opened(store, "planner")
    assert not [r for r in planner.search_archive(SECRET) if SECRET in r.record.content]
    with pytest.raises(NotFoundError):
        planner.unarchive("hr-1")
    hidden = [one.record for one in store.archived(Where(NS, session="hr-1"))]
    assert hidden
    for record in hidden:
        planner.backend.write(Delete(NS, record.id))
    planner.unarchive()
    assert {one.record.id for one in store.archived(Where(NS, session="hr-1"))} == {
        record.id for record in hidden
    }
    assert opened(store, "hr-bot").search_archive(SECRET)


def test_the_ids_of_hidden_records_cannot_be_taken(store: Backend) -> None:
    closed_hr(store)
    hidden = store.find(Where(NS, session="hr-1"))
    planner = opened(store, "planner")
    mine = planner.remember("Mine")
    for record in hidden:
        with pytest.raises(AccessError):
            planner.backend.write(Put(mine.evolve(id=record.id), "mine"))
        with pytest.raises(NotFoundError):
            planner.forget(record.id)
        with pytest.raises(NotFoundError):
            planner.update(record.id, content="mine")
        with pytest.raises(NotFoundError):
            planner.remember("Anew", supersedes=record.id)
    with pytest.raises(AccessError):
        planner.backend.write(Put(mine.evolve(id="hr-1@99"), "mine"))
    assert store.find(Where(NS, session="hr-1")) == hidden


def test_a_reader_gets_its_windows_and_writes_nothing(store: Backend) -> None:
    owner = opened(store)
    owner.extend(
        Message("user" if n % 2 == 0 else "assistant", f"Word {n} " * 40) for n in range(60)
    )
    owner.remember("Likes window seats")
    owner.access.deny("reader", ["write", "share"])
    reader = opened(store, "reader", budget=2_000)
    before = store.head(Stream(NS, "trip"))
    window = reader.context("window")
    assert window.tokens <= 2_000 and len(window.messages) < 60, "compacted for itself alone"
    assert reader.context("window").messages[:-1] == window.messages[:-1]
    assert store.head(Stream(NS, "trip")) == before
    with pytest.raises(AccessError):
        reader.add("user", "x")
    reader.close()


def test_twins_obey_too(store: Backend) -> None:
    closed_hr(store)

    async def tried() -> None:
        planner = opened(store, "planner", "hr-1")
        for call in (
            lambda: planner.aadd("user", "x"),
            lambda: planner.amessages(),
            lambda: planner.acontext(),
            lambda: planner.aoriginal("@1"),
            lambda: planner.aremember("x"),
            lambda: planner.session.alog(),
            lambda: planner.backend.aread(Stream(NS, "hr-1")),
            lambda: planner.backend.ahead(Stream(NS, "hr-1")),
            lambda: planner.backend.aerase(NS),
            lambda: planner.access.agrant("planner", "read"),
            lambda: planner.access.adeny("hr-bot", "read"),
        ):
            with pytest.raises(AccessError):
                await call()
        assert await planner.arecall(SECRET) == []
        assert await planner.backend.acount(Where(NS, session="hr-1")) == 0
        assert await planner.access.arules() == []
        assert not await planner.access.aallows("planner", "read")
        with pytest.raises(NotFoundError):
            await planner.access.arevoke("x")

    asyncio.run(tried())


def test_events_tell_of_changed_rules() -> None:
    from ctxplug.plugins import Plugins
    from ctxplug.testing.isolation_world import Recorder

    recorder, plugins = Recorder(), Plugins(load_entry_points=False)
    plugins.register(recorder, "recorder")
    with opened("memory:", plugins=plugins) as memory:
        rule = memory.access.grant("planner", "read", session="trip")
        memory.access.deny("planner", "write")
        memory.access.revoke(rule)
    told = [event for event in recorder.events if event.kind.startswith("access.")]
    assert [event.kind for event in told] == ["access.granted", "access.denied", "access.revoked"]
    assert told[0].data["id"] == rule.id and told[2].data["ids"] == [rule.id]


def test_rules_are_json_and_sentences() -> None:
    rule = AccessRule(
        action="allow", verbs=("write", "read"), agent="hr-*", kinds=("fact",), tags=("money",)
    )
    assert str(rule) == (
        "allow 'hr-*' to read, write memories of kind 'fact' or tag 'money' in everything"
    )
    assert AccessRule.from_dict({**rule.to_dict(), "id": "x"}).to_dict() == {
        "id": "x",
        "action": "allow",
        "verbs": ["read", "write"],
        "agent": "hr-*",
        "session": "*",
        "kinds": ["fact"],
        "tags": ["money"],
    }
