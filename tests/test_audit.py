"""The audit log tells who did what, in the same write; it is sealed, erased and reported."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ctxplug import AgentMemory, Message, ToolCallPart, hookimpl
from ctxplug.audit import AuditPolicy, Classification, chain
from ctxplug.audit.entry import CHAINS, STREAM
from ctxplug.audit.verify import verify_store
from ctxplug.errors import (
    AccessError,
    AuditError,
    GuardError,
    InvalidValueError,
    NotFoundError,
    ReadOnlyError,
    StorageFullError,
    TranscriptError,
)
from ctxplug.events import Event
from ctxplug.exchange import export_lines, import_export, import_memories, memory_lines
from ctxplug.plugins import Plugins
from ctxplug.storage import Append, Backend, Delete, Op, Put, Stream, Where
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.tools import ToolPolicy, ToolRule

NS = ("acme", "alice")
SECRETS = ("zqvlisbonx", "里斯本小提琴")


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "memory":
        opened: Backend = InMemoryBackend()
    else:
        opened = SqliteBackend(tmp_path / "agent.db", synchronous="normal")
    with opened:
        yield opened
        report = verify_store(opened)
        assert report.ok, report.problems


class Listener:
    """A plugin that keeps the audit events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @hookimpl
    def on_event(self, event: Event) -> None:
        if event.kind.startswith("audit."):
            self.events.append(event)


def plugins_with(*given: object) -> Plugins:
    plugins = Plugins(load_entry_points=False)
    for number, plugin in enumerate(given):
        plugins.register(plugin, f"plugin{number}")
    return plugins


def opened(backend: Backend, *given: object, **options: Any) -> AgentMemory:
    options = {"namespace": NS, "session": "trip", "agent": "planner", **options}
    return AgentMemory.open(backend, counter="estimate", plugins=plugins_with(*given), **options)


def verbs(memory: AgentMemory) -> list[str]:
    return [entry.what for entry in memory.audit.entries()]


def told(memory: AgentMemory, act: Callable[[], Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Return what is entered while `act` runs."""
    seen = len(memory.audit.entries())
    act()
    return [(entry.what, entry.ids) for entry in memory.audit.entries()[seen:]]


# -- what is entered -----------------------------------------------------------------------


def test_every_change_is_one_entry_with_its_ids(backend: Backend) -> None:
    memory = opened(backend)
    memory.extend([Message("user", f"turn {n}") for n in range(6)])
    assert verbs(memory) == []
    first = memory.remember("Lives in Lisbon")
    assert [(e.what, e.ids) for e in memory.audit.entries()] == [("remember", (first.id,))]
    second = memory.remember("Lives in Porto", supersedes=first.id)
    (entry,) = memory.audit.entries(id=first.id)[1:]
    assert (entry.what, entry.ids) == ("remember", (second.id, first.id))
    assert entry.data["also"] == {"supersede": [first.id]}
    id = second.id
    change = told(memory, lambda: memory.update(id, content="Lives in Porto now"))
    assert change == [("update", (id,))]
    assert memory.audit.entries(last=1)[0].data == {"changed": ["content"]}
    short = memory.remember("Took the tram", kind="event", importance=0.1)
    assert told(memory, lambda: memory.promote(short.id)) == [("promote", (short.id,))]
    assert told(memory, lambda: memory.forget(short.id)) == [("forget", (short.id,))]
    assert told(memory, lambda: memory.session.keep([1, 2, 3])) == [
        ("keep", ("trip", "trip@4", "trip@5", "trip@6"))
    ]
    named = told(memory, lambda: memory.session.snapshot("v1"))
    assert [what for what, _ in named] == ["snapshot"]
    assert [what for what, _ in told(memory, lambda: memory.session.restore("v1"))] == ["restore"]
    forked = told(memory, lambda: memory.session.fork("other"))
    assert forked[0][0] == "fork"
    assert {"trip", "other"} <= {*forked[0][1]}


def test_maintenance_archive_and_states_are_entered(backend: Backend) -> None:
    memory = opened(backend)
    memory.add("user", "hello")
    for _ in range(2):
        memory.remember("Prefers window seats on trains", importance=0.6)
    ids = {record.id for record in memory.memories()}
    merged = told(memory, memory.consolidate)
    assert [what for what, _ in merged] == ["consolidate"]
    assert {*merged[0][1]} & ids
    assert memory.audit.entries(last=1)[0].data["changes"] == {"merged": 1}
    assert told(memory, memory.maintain) == []
    shelved = told(memory, lambda: memory.archive(timedelta(0), sessions="trip"))
    assert shelved[0] == ("archive", ("trip",))
    assert told(memory, lambda: memory.unarchive("trip"))[0] == ("unarchive", ("trip",))
    states = told(memory, lambda: memory.session.suspend("later"))
    assert states == [("session.suspended", ("trip",))]
    assert told(memory, memory.session.resume)[0][0].startswith("session.")


def test_grants_denials_and_refused_tools_are_entered(backend: Backend) -> None:
    owner = opened(backend, agent=None, session="trip")
    owner.add("user", "hello")
    rule = owner.access.grant("planner", "read", session="trip")
    planner = owner.beside(session="trip", agent="planner")
    other = owner.beside(session="trip", agent="other")
    denied: list[Callable[[], Any]] = [
        lambda: planner.add("user", "x"),
        lambda: other.messages(),
        lambda: other.messages(),  # once a minute
        lambda: planner.erase(),
    ]
    for act in denied:
        with pytest.raises(AccessError):
            act()
    owner.access.revoke(rule)
    assert [(e.what, e.agent, e.outcome) for e in owner.audit.entries()] == [
        ("grant", None, "ok"),
        ("add", "planner", "denied"),
        ("read", "other", "denied"),
        ("erase", "planner", "denied"),
        ("revoke", None, "ok"),
    ]
    assert owner.audit.entries("grant")[0].ids == owner.audit.entries("revoke")[0].ids
    assert [e.what for e in owner.audit.report().denied] == ["add", "read", "erase"]

    policy = ToolPolicy(rules=[ToolRule("deny", "forget")])
    guarded = opened(backend, tool_policy=policy, session="tools")
    guarded.tools.add_memory_tools()
    call = ToolCallPart("call1", "forget", {"memory_id": "x"})
    guarded.tools.run([call], store=True)
    refused = guarded.audit.entries("tool.refused")
    assert [(e.ids, e.data["tools"], e.session) for e in refused] == [
        (("call1",), ["forget"], "tools")
    ]


def test_what_goes_around_the_verbs_is_entered_too(backend: Backend) -> None:
    memory = opened(backend)
    record = memory.remember("Lives in Lisbon")
    stored = backend.get(NS, record.id)
    assert stored is not None
    op = Put(stored.evolve(id="by-hand", made_by="import"))
    assert told(memory, lambda: memory.backend.write(op)) == [("import", ("by-hand",))]
    delete: Op = Delete(NS, "by-hand")
    assert told(memory, lambda: memory.backend.write(delete)) == [("forget", ("by-hand",))]
    anew = AgentMemory.open(memory.backend, namespace=NS, audit=False, counter="estimate")
    assert told(memory, lambda: anew.remember("around it"))[0][0] == "remember"
    at = datetime.now(UTC)
    for stream in (Stream(NS, STREAM), Stream((*CHAINS, "x"), "y"), Stream(CHAINS, "z")):
        with pytest.raises(InvalidValueError, match="written by ctxplug alone"):
            memory.backend.write(Append(stream=stream, kind="audit", body={}, created_at=at))
    with pytest.raises(InvalidValueError, match="written by ctxplug alone"):
        memory.backend.erase(CHAINS)
    with pytest.raises(InvalidValueError, match="written by ctxplug alone"):
        memory.backend.erase_session(NS, STREAM)


def test_other_namespaces_have_logs_of_their_own(backend: Backend) -> None:
    memory = opened(backend)
    other = memory.beside(namespace="acme/bob", agent="helper")
    memory.remember("Lives in Lisbon")
    other.remember("Lives in Porto")
    (entry,) = other.audit.entries()
    assert (entry.agent, entry.namespace) == ("helper", ("acme", "bob"))
    assert [entry.agent for entry in memory.audit.entries()] == ["planner"]


def test_no_text_is_ever_in_it(backend: Backend, tmp_path: Path) -> None:
    memory = opened(backend, audit="all")
    for text in SECRETS:
        message = memory.add("user", f"I live in {text}")
        record = memory.remember(f"Lives in {text}", tags=[f"tag{text}"], metadata={text: text})
        memory.update(record.id, content=f"Moved to {text}")
        memory.recall(text)
        memory.context(query=text)
        memory.original("@1")
        memory.session.keep([1], [Message("user", text)], note={"by": text})
        memory.forget(record.id)
    assert message.id in [id for entry in memory.audit.entries() for id in entry.ids]
    memory.audit.export(tmp_path / "all.jsonl")
    exported = (tmp_path / "all.jsonl").read_text(encoding="utf-8")
    assert not [text for text in SECRETS if text in exported]
    with pytest.raises(Exception, match="cannot be written"):
        memory.audit.export(tmp_path / "all.jsonl")


def test_all_enters_adds_and_reads(backend: Backend) -> None:
    memory = opened(backend, audit="all")
    message = memory.add("user", "Where do I live?")
    record = memory.remember("Lives in Lisbon", tags=["compliance:gdpr"])
    found = memory.recall("Lisbon")
    memory.messages()
    memory.context("Lisbon")
    memory.original("@1")
    memory.expand("@1")
    memory.memories()
    memory.session.log()
    asyncio.run(memory.arecall("Lisbon"))
    memory.tools.add_memory_tools()
    memory.tools.call("recall", {"query": "Lisbon"})
    names = "add remember recall messages context original expand memories session.log recall"
    assert verbs(memory)[:10] == names.split()
    assert verbs(memory)[10:] == ["recall"]
    (step,) = memory.trace.steps(kind="window")
    assert memory.trace.window(step).exact
    memory.trace.replay()
    assert [(e.what, e.ids) for e in memory.audit.entries(last=2)] == [
        ("trace.window", (step.id,)),
        ("trace.replay", ("trip",)),
    ]
    assert memory.audit.entries("add")[0].ids == (message.id,)
    recalled = memory.audit.entries("recall")[0]
    assert recalled.ids == tuple(one.record.id for one in found)
    assert recalled.tags == ("gdpr",)
    assert memory.audit.entries("context")[0].ids == (record.id,)
    only = opened(backend, audit=AuditPolicy(("recall", "forget")), session="only")
    before = len(only.audit.entries())
    only.add("user", "x")
    only.remember("y")
    only.recall("y")
    only.messages()
    assert verbs(only)[before:] == ["recall"]


def test_nothing_is_entered_where_audit_is_off(backend: Backend) -> None:
    memory = opened(backend, audit=False)
    memory.remember("Lives in Lisbon")
    assert memory.audit.entries() == []
    memory.audit.note("looked at", ids=["a"])  # what is asked for is entered
    assert verbs(memory) == ["looked at"]
    memory.close()


# -- purposes, notes, classes, rules -------------------------------------------------------


def test_purposes_nest_and_hold_in_tasks(backend: Backend) -> None:
    memory = opened(backend, audit=AuditPolicy(purpose="service", actor="alice"))

    async def both() -> None:
        async def one(name: str) -> None:
            with memory.audit.purpose(name):
                await asyncio.sleep(0)
                await memory.aremember(f"{name} 里斯本")

        await asyncio.gather(one("a"), one("b"))

    asyncio.run(both())
    memory.remember("plain")
    with memory.audit.purpose("case 12", actor="bob"), memory.audit.purpose(actor="carol"):
        memory.remember("nested")
    memory.remember("after")
    seen = [(entry.purpose, entry.actor) for entry in memory.audit.entries()]
    assert sorted(seen[:2]) == [("a", "alice"), ("b", "alice")]
    assert seen[2:] == [("service", "alice"), ("case 12", "carol"), ("service", "alice")]
    with pytest.raises(InvalidValueError, match="for what purpose"):
        memory.audit.purpose()


def test_notes_are_redacted_and_take_no_verb_of_ours(backend: Backend) -> None:
    class Redactor:
        @hookimpl
        def redact(self, text: str) -> str:
            return text.replace("密码", "[secret]")

    memory = opened(backend, Redactor())
    with memory.audit.purpose("密码 reset"):
        memory.audit.note("report.sent", ids=["a"], pages=3, to=["密码", {"x": "密码"}])
    (entry,) = memory.audit.entries()
    assert entry.purpose == "[secret] reset"
    assert entry.data == {"pages": 3, "to": ["[secret]", {"x": "[secret]"}]}
    for verb in ("erase", "remember", "session.closed", "chain", "alert"):
        with pytest.raises(InvalidValueError, match="entered by ctxplug itself"):
            memory.audit.note(verb)
    with pytest.raises(InvalidValueError, match="not JSON"):
        memory.audit.note("looked", when=datetime.now(UTC))
    memory.audit.note("odd", text="\ud800 lone", number=1.5, big=2**70)
    assert memory.audit.verify().ok


def test_alerts_are_events_and_entries(backend: Backend) -> None:
    listener = Listener()
    memory = opened(backend, listener, audit="all")
    memory.remember("Takes insulin", tags=["sensitivity:restricted"])
    memory.remember("Likes tea", tags=["sensitivity:internal"])
    with memory.audit.purpose("treatment"):
        memory.recall("insulin")
    assert memory.audit.entries("alert") == []
    memory.recall("insulin tea")
    (alert,) = memory.audit.entries("alert")
    assert alert.data["rule"] == "sensitive-read"
    assert alert.sensitivity == "restricted"
    records = [memory.remember(f"Number {n}").id for n in range(3)]
    memory.backend.write(*(Delete(NS, f"none{n}") for n in range(499)))
    assert len(memory.audit.entries("alert")) == 1
    memory.backend.write(*(Delete(NS, id) for id in records))
    memory.forget(memory.remember("one more").id)
    rules = [entry.data["rule"] for entry in memory.audit.entries("alert")]
    assert rules == ["sensitive-read", "mass-forget"]
    memory.erase()
    memory.close()
    kinds = [(event.kind, event.data.get("rule")) for event in listener.events]
    assert kinds == [
        ("audit.alert", "sensitive-read"),
        ("audit.alert", "mass-forget"),
        ("audit.alert", "erase-without-purpose"),
        ("audit.erased", None),
    ]
    assert listener.events[-1].data["agent"] == "planner"


def test_a_plugin_that_fails_fails_closed_where_audit_is_required(backend: Backend) -> None:
    class Broken:
        broken = True

        @hookimpl
        def classify(self, record: Any) -> Any:
            return "top secret" if self.broken else Classification("public")

        @hookimpl
        def judge_audit(self, entry: Any) -> Any:
            return 7 if self.broken else None

    plugin = Broken()
    lenient = opened(backend, plugin)
    lenient.remember("Lives in Lisbon")
    first, alert = lenient.audit.entries()
    assert first.data["unclassified"] == "plugin0"
    assert alert.data["text"] == "The rule failed, so this was not judged."
    strict = opened(backend, plugin, audit=AuditPolicy(mode="required"))
    with pytest.raises(AuditError) as caught:
        strict.remember("Lives in Porto")
    assert isinstance(caught.value.__cause__, GuardError)
    assert [record.content for record in strict.memories()] == ["Lives in Lisbon"]
    plugin.broken = False
    strict.remember("Lives in Porto")
    assert strict.audit.entries(last=1)[0].sensitivity == "public"


def test_required_returns_nothing_that_cannot_be_entered(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = opened(backend, audit=AuditPolicy("all", mode="required"))
    lenient = opened(backend, listener := Listener(), audit="all")
    strict.add("user", "hello")
    for error in (StorageFullError("full"), ReadOnlyError("read-only")):

        def fail(*ops: Op, error: Exception = error) -> list[int]:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(backend, "write", fail)
            with pytest.raises(AuditError) as caught:
                strict.messages()
            assert caught.value.__cause__ is error
            assert [message.text for message in lenient.messages()] == ["hello"]
    strict.messages()
    lenient.close()
    assert [event.kind for event in listener.events] == ["audit.failed"] * 2
    assert strict.audit.entries("messages", outcome="ok")


@pytest.mark.parametrize(
    ("audit", "path"),
    [
        (3, "audit"),
        ("some", "audit"),
        ({"verbs": "remember"}, "verbs"),
        ({"verbs": ()}, "verbs"),
        ({"verbs": ("remember", "recal")}, "verbs"),
        ({"mode": "strict"}, "mode"),
        ({"rules": ("mine",)}, "rules"),
        ({"rules": "mass-read"}, "rules"),
        ({"seal_every": 0}, "seal_every"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(audit: Any, path: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        policy = AuditPolicy(**audit) if isinstance(audit, dict) else audit
        AgentMemory.open(namespace="a", audit=policy)
    assert caught.value.path == path


# -- sealing, erasing, reporting -----------------------------------------------------------


def test_entries_are_sealed_in_time_and_at_close(backend: Backend) -> None:
    memory = opened(backend, audit=AuditPolicy(seal_every=5))
    for number in range(4):
        memory.remember(f"Number {number} is a thing of its own")
    assert backend.sessions(CHAINS) == []
    memory.remember("The fifth one")
    (only,) = backend.sessions(CHAINS)
    assert only.version == 1
    memory.remember("Another")
    beside = memory.beside(session="two")
    beside.remember("Of another session")
    memory.close()
    (only,) = backend.sessions(CHAINS)
    report = verify_store(backend)
    assert (report.sealed, report.unsealed) == (8, 0)
    assert backend.namespaces() == [NS]
    digests = [d for e in backend.read(Stream(CHAINS, only.session)) for d in e.body["digests"]]
    stored = [entry.body["digest"] for entry in backend.read(Stream(NS, STREAM))]
    assert digests == stored


def test_an_erased_namespace_leaves_a_chain_that_tells_nothing(backend: Backend) -> None:
    anchors = []
    for name in ("bob", "zqvlisbonx"):
        memory = opened(backend, namespace=f"acme/{name}", session=name, agent=name)
        memory.add("user", f"I am {name}")
        memory.remember(f"Name is {name}")
        anchors.append(memory.audit.anchor())
    receipt = memory.erase()
    assert receipt.remaining == 0
    assert backend.namespaces() == [("acme", "bob")]
    left = [e for i in backend.sessions(CHAINS) for e in backend.read(Stream(CHAINS, i.session))]
    for entry in left:
        assert "zqvlisbonx" not in json.dumps(entry.body)
        assert entry.agent is None
    report = verify_store(backend, anchors[0])
    assert (report.ok, report.erased, report.chains) == (True, 1, 2)
    assert memory.audit.verify(anchors[1]).ok
    assert not memory.audit.verify(anchors[0]).ok  # an anchor that is not its own
    assert memory.audit.verify({**anchors[0], "of": "store"}).ok
    links = [entry.body for entry in left]
    (erased,) = [link["erased"] for link in links if "erased" in link]
    assert erased["entries"] == receipt.entries
    memory.remember("Begun anew")
    memory.audit.flush()
    report = verify_store(backend)
    assert (report.ok, report.erased, report.chains) == (True, 1, 3)


def test_what_was_never_sealed_is_sealed_by_the_erasure(backend: Backend) -> None:
    memory = opened(backend)
    memory.remember("Lives in Lisbon")
    memory.erase()
    memory.erase()  # of nothing
    opened(backend, namespace="acme/bob").erase()
    (only,) = backend.sessions(CHAINS)
    links = [entry.body for entry in backend.read(Stream(CHAINS, only.session))]
    assert [len(link["digests"]) for link in links] == [1, 0]
    assert [sorted({"erasing", "erased"} & link.keys()) for link in links] == [
        ["erasing"],
        ["erased"],
    ]
    assert memory.audit.verify().ok
    assert backend.namespaces() == []


def test_an_erasure_past_the_audit_is_a_problem(backend: Backend) -> None:
    memory = opened(backend)
    memory.remember("Lives in Lisbon")
    memory.audit.flush()
    backend.erase(NS)
    report = verify_store(backend)
    assert [problem.text for problem in report.problems] == [
        "the entries that it seals are gone, and it tells of no erasure"
    ]
    (only,) = backend.sessions(CHAINS)
    backend.erase(CHAINS)  # so that the fixture finds a sound store
    assert only.version == 1


def test_an_erasure_that_fails_is_entered(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = opened(backend)
    memory.remember("Lives in Lisbon")

    def fail(namespace: Any) -> Any:
        raise StorageFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(backend, "erase", fail)
        with pytest.raises(StorageFullError):
            memory.erase()
    assert [(e.what, e.outcome) for e in memory.audit.entries("erase")] == [("erase", "error")]
    assert memory.audit.verify().ok


def test_threads_that_write_and_seal_lose_nothing(backend: Backend) -> None:
    memory = opened(backend, audit=AuditPolicy(seal_every=3))

    def write(name: int) -> None:
        for number in range(20):
            memory.remember(f"Thread {name} remembers thing {number}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.audit.verify().ok
    report = memory.audit.verify()
    assert report.ok
    assert (report.sealed, report.unsealed, report.chains) == (81, 0, 1)


@pytest.mark.parametrize("erased", [False, True])
def test_who_seals_at_the_same_moment_begins_no_second_chain(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, erased: bool
) -> None:
    memory = opened(backend)
    memory.remember("Lives in Lisbon")
    plain, waiting = chain.chain_of, [True]

    def overtaken(*given: Any) -> str | None:
        name = plain(*given)
        if waiting and not erased:  # another one begins the chain, after we saw none
            waiting.clear()
            chain.seal(backend, NS)
        elif waiting and name:  # another one erases the namespace, and it begins anew
            waiting.clear()
            memory.erase()
            for number in range(4):
                memory.remember(f"Number {number} is a thing of its own")
        return name

    if erased:
        memory.audit.flush()
    monkeypatch.setattr(chain, "chain_of", overtaken)
    memory.audit.flush()
    assert not waiting
    report = verify_store(backend)
    assert (report.ok, report.chains, report.erased) == (True, 1 + erased, erased)
    assert report.unsealed == 0


def test_the_report_counts_by_everything(backend: Backend) -> None:
    memory = opened(backend)
    with memory.audit.purpose("care"):
        memory.remember("Takes insulin", tags=["sensitivity:restricted", "compliance:hipaa"])
    memory.beside(agent="guest").remember("Likes tea")
    memory.audit.flush()
    summary = memory.audit.report()
    assert summary.by_verb == {"remember": 2}
    assert summary.by_agent == {"planner": 1, "guest": 1}
    assert summary.by_purpose == {"care": 1, "(none)": 1}
    assert summary.by_sensitivity == {"restricted": 1}
    assert summary.by_tag == {"hipaa": 1}
    later = datetime.now(UTC) + timedelta(hours=1)
    assert memory.audit.report(since=later).entries == 0
    assert json.loads(json.dumps(summary.to_dict()))["entries"] == 2


def test_every_verb_has_a_twin(backend: Backend, tmp_path: Path) -> None:
    memory = opened(backend)

    async def run() -> None:
        await memory.aremember("Lives in Lisbon")
        await memory.audit.anote("looked")
        await memory.audit.aflush()
        anchor = await memory.audit.aanchor()
        assert (await memory.audit.averify(anchor)).ok
        assert await memory.audit.aexport(tmp_path / "a.jsonl") == 3
        assert (await memory.audit.areport()).entries == 2
        assert [e.what for e in await memory.audit.aentries("looked")] == ["looked"]

    asyncio.run(run())
    assert memory.backend.count(Where(NS)) == 1


def test_imports_are_entered_and_bring_no_log_of_another_store(
    backend: Backend, tmp_path: Path
) -> None:
    with InMemoryBackend() as source:
        memory = opened(source, agent="elsewhere")
        memory.extend([Message("user", f"turn {n}") for n in range(3)])
        record = memory.remember("Lives in Lisbon", tags=["compliance:gdpr"])
        whole, some = tmp_path / "all.jsonl", tmp_path / "some.jsonl"
        whole.write_bytes(b"".join(export_lines(source, [NS])))
        some.write_bytes(b"".join(memory_lines(memory.memories())))
    assert b"ctxplug:audit" not in whole.read_bytes()
    plugins = plugins_with()
    import_export(str(whole), backend, plugins)
    import_memories(str(some), backend, plugins, namespace=("acme", "bob"))
    here = opened(backend)
    assert [(e.what, e.ids, e.agent) for e in here.audit.entries()] == [
        ("import", ("trip",), None),
        ("import", (record.id,), None),
    ]
    assert here.audit.entries(id="trip")[0].data == {"entries": 3}
    (entry,) = here.beside(namespace="acme/bob").audit.entries()
    assert (entry.what, entry.tags) == ("import", ("gdpr",))
    forged = whole.read_text(encoding="utf-8").replace('"session":"trip"', f'"session":"{STREAM}"')
    whole.write_text(forged, encoding="utf-8")
    with pytest.raises(TranscriptError, match="belongs to the store"):
        import_export(str(whole), backend, plugins)


def test_a_session_that_is_erased_is_entered_before_and_after(backend: Backend) -> None:
    memory = opened(backend)
    memory.add("user", "hello")
    memory.remember("Lives in Lisbon")
    memory.backend.erase_session(NS, "trip")
    begun, done = memory.audit.entries("erase_session")
    assert (begun.outcome, begun.ids) == ("begun", ("trip",))
    assert (done.outcome, done.ids, done.data["entries"]) == ("ok", ("trip",), 1)
    (alert,) = memory.audit.entries("alert")
    assert alert.data["rule"] == "erase-without-purpose"


def test_an_answer_of_the_wrong_sort_is_told_of_in_the_entry(backend: Backend) -> None:
    class Broken:
        @hookimpl
        def classify(self, record: Any) -> Any:
            return "restricted", 5

    memory = opened(backend, Broken())
    memory.remember("Lives in Lisbon")
    assert [e.data for e in memory.audit.entries()] == [{"unclassified": "plugin0"}]
    strict = opened(backend, Broken(), audit=AuditPolicy(mode="required"))
    with pytest.raises(AuditError, match="answered with tuple"):
        strict.remember("Lives in Porto")


def test_what_is_denied_goes_by_the_verbs_of_the_policy(backend: Backend) -> None:
    owner = opened(backend, agent=None, audit=False)
    owner.access.deny("planner", ["read", "write"])
    policy = AuditPolicy(verbs=("remember",))
    planner = opened(backend, agent="planner", audit=policy)
    for act in (planner.messages, lambda: planner.remember("x"), lambda: planner.forget("y")):
        with pytest.raises((AccessError, NotFoundError)):
            act()
    assert [(e.what, e.outcome) for e in owner.audit.entries()] == [("remember", "denied")]


def test_a_rule_that_denies_is_entered_as_such(backend: Backend) -> None:
    owner = opened(backend, agent=None)
    rule = owner.access.deny("planner", "write")
    assert [(e.what, e.ids) for e in owner.audit.entries()] == [("deny", (rule.id,))]


def test_what_was_written_before_another_erased_it_is_not_sealed_anew(backend: Backend) -> None:
    first, other = opened(backend), opened(backend)  # as in two processes: neither knows
    for number in range(3):
        first.audit.note(f"old {number}")
    with other.audit.purpose("a case"):
        other.erase()
    for number in range(3):
        other.audit.note(f"new {number}")
    first.audit.note("new 3")  # it follows what it wrote before, to all appearances
    first.audit.flush()
    report = first.audit.verify()
    assert report.ok, report.problems
    assert (report.sealed, report.unsealed) == (5, 0)
    assert verify_store(backend).ok
