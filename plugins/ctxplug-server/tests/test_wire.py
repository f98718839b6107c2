"""Whatever a verb takes or gives is the same value after a journey through JSON."""

from __future__ import annotations

import string
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from ctxplug_server.schemas.examples import example_of
from ctxplug_server.schemas.shown import model_of
from ctxplug_server.wire import from_json, read_window, to_json, write_window
from ctxplug_server.wire.forms import hints_of, sent_fields
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, ContextWindow, MemoryRecord, Message, Recalled, codec
from ctxplug.access.rule import AccessRule
from ctxplug.audit.checks import AuditReport
from ctxplug.audit.entry import AuditEntry
from ctxplug.audit.summary import AuditSummary
from ctxplug.context.sections import Section
from ctxplug.errors import InvalidValueError
from ctxplug.memories.archive import ArchiveReport, UnarchiveReport
from ctxplug.memories.erasure import ErasureReport
from ctxplug.memories.report import MaintenanceReport
from ctxplug.memories.stats import MemoryStats
from ctxplug.messages import Logged
from ctxplug.recall.weights import RecallWeights
from ctxplug.sessions.info import SessionState
from ctxplug.sessions.retention import RetireReport
from ctxplug.sessions.snapshots import Snapshot
from ctxplug.storage import CheckReport, EraseReceipt
from ctxplug.testing.histories import histories
from ctxplug.tokens.ledger import Recorded, Reservation
from ctxplug.tokens.limits import UsageLimits
from ctxplug.tokens.usage import Usage
from ctxplug.tokens.usage_report import UsageReport
from ctxplug.tools.runs import ToolRun
from ctxplug.tracing.analysis import Analysis
from ctxplug.tracing.difference import Difference
from ctxplug.tracing.rerun import Rerun
from ctxplug.tracing.step import Step

KINDS = (
    AccessRule, Analysis, ArchiveReport, AuditEntry, AuditReport, AuditSummary, CheckReport,
    Difference, EraseReceipt, ErasureReport, Logged, MaintenanceReport, MemoryRecord, MemoryStats,
    Recalled, RecallWeights, Recorded, Rerun, Reservation, RetireReport, SessionState, Snapshot,
    Step, ToolRun, UnarchiveReport, Usage, UsageLimits, UsageReport,
)  # fmt: skip
# Any code point, lone surrogates and NUL among them.
texts = st.text(st.characters(exclude_categories=()), max_size=8) | st.just("里斯本\x00\ud83d")
labels = st.text(string.ascii_letters + "里斯本", min_size=1, max_size=5)
zones = st.sampled_from([UTC, timezone(timedelta(hours=8))])
times = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=zones)
numbers = st.floats(0, 1e9)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | numbers | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(texts, json_values, max_size=2)
utc = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
messages: st.SearchStrategy[Message] = histories(max_turns=1).map(lambda found: found[-1])


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy of values of a type, whatever its fields are."""
    if kind in BY_HAND:
        return BY_HAND[kind]
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = hints_of(kind)
        return st.builds(kind, **{f.name: values(hints[f.name]) for f in sent_fields(kind)})
    if origin in (Union, UnionType):
        return st.one_of(*(st.none() if arg is NoneType else values(arg) for arg in args))
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple and args[1] is Ellipsis:
        return st.lists(values(args[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, args))
    if args[-1:] == (Any,):
        return objects
    if len(args) == 2:
        return st.dictionaries(texts, values(args[1]), max_size=2)
    return st.lists(values(args[0]), max_size=2)


verbs = st.lists(st.sampled_from(["read", "write", "share"]), min_size=1, unique=True)
BY_HAND: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(0, 2**70),
    float: numbers,
    bool: st.booleans(),
    datetime: times,
    Any: json_values,
    Message: messages,
    Usage: st.builds(
        lambda a, b, c, d, model: Usage(a, b, c, d + 5, model, d),
        *[st.integers(0, 10**9)] * 4,
        st.none() | texts,
    ),
    AccessRule: st.builds(
        AccessRule,
        action=st.sampled_from(["allow", "deny"]),
        verbs=verbs,
        agent=labels,
        session=labels,
        kinds=st.none() | st.lists(labels, min_size=1, max_size=2),
        tags=st.none() | st.lists(labels, min_size=1, max_size=2),
        id=texts,
        by=st.none() | labels,
        created_at=st.none() | times,
    ),
    EraseReceipt: st.builds(
        EraseReceipt,
        namespace=st.lists(labels, min_size=1, max_size=3).map(tuple),
        entries=st.integers(0, 9),
        records=st.integers(0, 9),
        remaining=st.just(0),
        erased_at=utc,
        salt=st.binary(min_size=16, max_size=16),
        marks=st.binary(min_size=8, max_size=8),
        sessions=st.lists(labels, max_size=2).map(tuple),
    ),
    MemoryRecord: st.builds(
        MemoryRecord,
        namespace=st.lists(labels, min_size=1, max_size=3).map(tuple),
        id=texts.filter(bool),
        kind=texts.filter(bool),
        content=texts,
        importance=st.floats(0, 1),
        tags=st.lists(texts.filter(bool), max_size=2).map(tuple),
        metadata=objects,
        created_at=utc,
        last_accessed=st.none() | utc,
        expires_at=st.none() | utc,
        sources=st.lists(texts, max_size=2).map(tuple),
        session=st.none() | texts,
    ),
    RecallWeights: st.builds(RecallWeights, words=numbers, half_life=st.floats(1, 100)),
    Step: st.builds(
        Step,
        **{name: texts for name in ("id", "trace", "kind", "name", "outcome", "session")},
        parent=st.none() | texts,
        started_at=utc,
        duration=numbers,
        cost=st.none() | numbers,
        data=objects,
    ),
    UsageLimits: st.builds(
        UsageLimits,
        daily_tokens=st.none() | st.integers(1, 10**9),
        daily_cost=st.none() | st.floats(0.01, 100),
    ),
}


def travelled(value: Any, kind: Any) -> Any:
    """Return `value` as it is on the other side."""
    return from_json(kind, codec.decode(codec.encode(to_json(value))))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_value_is_the_same_on_the_other_side(kind: Any, data: st.DataObject) -> None:
    value = data.draw(values(kind))
    assert travelled(value, kind) == value


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_messages_are_the_same_on_the_other_side(found: list[Message]) -> None:
    assert travelled(found, list[Message]) == found


def _window_is_the_same(window: ContextWindow) -> None:
    for fates in (True, False):
        data = codec.decode(codec.encode(write_window(window, fates=fates)))
        read = read_window(data)
        assert ("fates" in data["report"]) is fates
        assert codec.encode(read.to_openai()) == codec.encode(window.to_openai())
        for cache in (True, False):
            theirs, ours = (w.to_anthropic(cache=cache) for w in (read, window))
            assert codec.encode(theirs) == codec.encode(ours)
        for part in ("fates", "kept", "compressed", "left_out"):
            assert getattr(read.report, part) == getattr(window.report, part)
        assert (read.messages, read.tokens) == (window.messages, window.tokens)
        assert read.report == window.report
        assert str(read.report) == str(window.report)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(end="human", min_turns=2, features=("thinking", "odd_text", "odd_ids", "system")))
def test_a_window_gives_the_same_bytes_on_the_other_side(found: list[Message]) -> None:
    with AgentMemory.open("memory:", namespace="a/b", session="s", budget=20_000) as memory:
        memory.extend(found)
        _window_is_the_same(memory.context(system="Be brief. 请简短。"))


@pytest.mark.parametrize(
    "said", ["The flight to Lisbon leaves at 9:40. ", "去里斯本的航班九点四十起飞。"]
)
def test_a_compacted_window_gives_the_same_bytes_on_the_other_side(said: str) -> None:
    tools = [{"name": "f", "description": said, "input_schema": {"type": "object"}}]
    with AgentMemory.open("memory:", namespace="a/b", session="s", budget=2_000) as memory:
        memory.remember(said, kind="fact")
        forms = set()
        for turn in range(40):
            memory.add("user", f"{turn}: {said * 8}")
            memory.add("assistant", f"{turn}. {said * 5}")
            memory.add("user", f"{said}?")
            window = memory.context(
                said, tools=tools if turn % 2 else (), sections=[Section("where", said)]
            )
            forms |= {fate.fate for fate in window.report.fates}
            if turn % 4 == 3:
                _window_is_the_same(window)
        assert len(forms) > 1  # something was compacted


def test_a_replayed_window_is_exact_on_the_other_side() -> None:
    from ctxplug.context.recorded import Replayed

    with AgentMemory.open("memory:", namespace="a/b", session="s") as memory:
        memory.add("user", "Where is Lisbon? 里斯本在哪里？")
        window = memory.context()
        replayed = memory.trace.window(memory.trace.steps(kind="window")[0])
        read = travelled(replayed, Replayed)
        assert read.exact
        assert read.window.to_openai() == window.to_openai()


@pytest.mark.parametrize("kind", [*KINDS, Message, ContextWindow], ids=lambda k: k.__name__)
@pytest.mark.parametrize("data", [None, 5, [], "x", {}, {"id": 5}])
def test_what_is_no_such_value_is_told(kind: Any, data: Any) -> None:
    whole = kind in (RecallWeights, Usage, UsageLimits, AuditReport)
    if data == {} and whole:  # all fields have defaults
        assert from_json(kind, data) == kind()
        return
    if isinstance(data, dict) and whole:
        return
    with pytest.raises(InvalidValueError):
        from_json(kind, data)


def test_what_a_newer_server_adds_is_passed_over() -> None:
    snapshot = Snapshot("v1", 3, datetime(2026, 5, 1, tzinfo=UTC))
    assert from_json(Snapshot, {**to_json(snapshot), "more": 1}) == snapshot


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_example_is_of_the_form_that_is_documented(kind: Any) -> None:
    example = example_of(kind)
    if example is not None:
        model_of(kind).model_validate(example)
        assert travelled(from_json(kind, example), kind) == from_json(kind, example)
