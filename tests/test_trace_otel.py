"""Steps as OpenTelemetry spans: names of the conventions, ids of the trace, no content."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs the extra ctxplug[otel]")

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as names
from opentelemetry.trace import SpanKind, StatusCode

from ctxplug import AgentMemory, Message, ToolCallPart
from ctxplug.errors import CtxplugError, InvalidValueError, UnsupportedError
from ctxplug.tracing.otel import Exporting, export
from ctxplug.tracing.step import Step

SECRET, SECRET_ZH = "my PIN is 4711", "密码是四七一一"
# Names of the conventions for memory, which the package of names does not have yet.
MEMORY = {
    "gen_ai.memory.record.count",
    "gen_ai.memory.record.id",
    "gen_ai.memory.query.text",
    "gen_ai.memory.store.id",
}


def step(kind: str = "span", name: str = "plan", **fields: Any) -> Step:
    given = {
        "id": "0123456789abcdef",
        "trace": "fedcba98765432100123456789abcdef",
        "parent": None,
        "started_at": datetime(2026, 5, 1, 12, 0, 0, 123_456, UTC),
        "duration": 0.25,
        "outcome": "ok",
        "session": "trip",
    }
    return Step(kind=kind, name=name, **{**given, **fields})


def spans_of(*steps: Step, **options: Any) -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    assert export(steps, exporter, **options) == len(steps)
    return list(exporter.get_finished_spans())


def attributes(one: Step, **options: Any) -> dict[str, Any]:
    (span,) = spans_of(one, **options)
    return dict(span.attributes or {})


def recorded() -> tuple[AgentMemory, list[Step]]:
    """A session with a step of every kind that a memory makes, and secrets in all of them."""
    memory = AgentMemory.open(
        "memory:", namespace="acme/alice", session="trip", agent="planner", model="gpt-4o"
    )

    def find(what: str) -> str:
        """Find something."""
        if what == "nothing":
            raise ValueError(SECRET)
        return f"found {what}"

    memory.tools.add(find, side_effects=False)
    memory.remember(f"She said {SECRET}", kind="preference")
    memory.add("user", f"{SECRET}, {SECRET_ZH}")
    with memory.trace.span("plan", n=1, why=SECRET):
        memory.context(SECRET_ZH, system=f"Never say {SECRET}", tools=memory.tools)
        calls = [
            ToolCallPart(f"c{n}", "find", {"what": w}) for n, w in enumerate((SECRET, "nothing"))
        ]
        memory.add(Message("assistant", calls))
        memory.tools.run(calls)
        memory.record_usage({"prompt_tokens": 90, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}})  # fmt: skip # noqa: E501
    memory.forget(memory.recall(SECRET, kinds="preference")[0].record.id)
    return memory, memory.trace.steps()


# -- what a span is ----------------------------------------------------------------------


def test_ids_times_and_parents_are_those_of_the_steps() -> None:
    memory, steps = recorded()
    spans = {f"{s.context.span_id:016x}": s for s in spans_of(*steps) if s.context}
    assert {one.id for one in steps} == set(spans)
    for one in steps:
        span = spans[one.id]
        assert span.context and f"{span.context.trace_id:032x}" == one.trace
        parent = None if span.parent is None else f"{span.parent.span_id:016x}"
        assert parent == one.parent
        assert span.start_time and span.end_time
        assert span.start_time == round(one.started_at.timestamp() * 1e6) * 1000
        assert (span.end_time - span.start_time) / 1e9 == pytest.approx(one.duration, abs=1e-6)
    assert any(one.parent for one in steps)
    memory.close()


def test_a_microsecond_is_not_lost() -> None:
    (span,) = spans_of(step(duration=0.000_001))
    assert span.start_time == 1_777_636_800_123_456_000 and span.end_time
    assert span.end_time - span.start_time == 1_000


def test_names_are_those_of_the_conventions() -> None:
    known = {value for key, value in vars(names).items() if key.startswith("GEN_AI_")} | MEMORY
    memory, steps = recorded()
    used = {
        key
        for content in (True, False)
        for span in spans_of(*steps, content=content, store="acme/alice")
        for key in span.attributes or {}
    }
    ours = {key for key in used if key.startswith("ctxplug.")}
    assert {key for key in used - ours if key != "error.type"} <= known
    assert {"gen_ai.operation.name", "gen_ai.usage.cache_read.input_tokens", *MEMORY} <= used
    memory.close()


def test_a_model_call() -> None:
    usage = {"input": 50, "output": 10, "cache_read": 40, "cache_write": 5}
    call = step("model", "claude-sonnet-4-5", tokens=105, cost=0.25, data={"usage": usage, "stop_reason": "end_turn"})  # fmt: skip # noqa: E501
    (span,) = spans_of(call)
    assert (span.name, span.kind) == ("chat claude-sonnet-4-5", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "gen_ai.conversation.id": "trip",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.input_tokens": 95,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_creation.input_tokens": 5,
        "gen_ai.response.finish_reasons": ("end_turn",),
        "ctxplug.step.kind": "model",
        "ctxplug.outcome": "ok",
        "ctxplug.cost.usd": 0.25,
    }


def test_a_model_that_nobody_knows_has_no_made_up_provider() -> None:
    found = attributes(step("model", "unknown"))
    assert found["gen_ai.provider.name"] == "unknown" and "gen_ai.request.model" not in found


@pytest.mark.parametrize(
    ("kind", "name", "title", "operation"),
    [
        ("tool", "find", "execute_tool find", "execute_tool"),
        ("recall", "recall", "search_memory", "search_memory"),
        ("remember", "remember", "create_memory", "create_memory"),
        ("remember", "forget", "delete_memory", "delete_memory"),
        ("window", "balanced", "window balanced", None),
        ("compaction", "balanced", "compaction balanced", None),
        ("retry", "find", "retry find", None),
        ("span", "plan the trip 计划", "plan the trip 计划", None),
    ],
)
def test_what_is_not_a_model_call_is_internal(
    kind: str, name: str, title: str, operation: str | None
) -> None:
    (span,) = spans_of(step(kind, name))
    assert (span.name, span.kind) == (title, SpanKind.INTERNAL)
    assert (span.attributes or {}).get("gen_ai.operation.name") == operation


def test_an_error_has_its_class_and_no_message() -> None:
    one = step("tool", "find", outcome="error", error=f"ValueError: {SECRET}")
    (span,) = spans_of(one)
    assert span.status.status_code is StatusCode.ERROR and span.status.description is None
    assert (span.attributes or {})["error.type"] == "ValueError"
    (span,) = spans_of(one, content=True)
    assert span.status.description == f"ValueError: {SECRET}"
    assert attributes(step(outcome="timeout", error="it took 3 s"))["error.type"] == "timeout"
    assert attributes(step(outcome="cancelled"))["error.type"] == "cancelled"


# -- what was said -----------------------------------------------------------------------


def test_nothing_that_anybody_said_leaves_unless_it_is_asked_for() -> None:
    memory, steps = recorded()
    for content in (False, True):
        spans = [json.loads(span.to_json()) for span in spans_of(*steps, content=content)]
        told = json.dumps(spans, ensure_ascii=False)
        assert (SECRET in told) is content and (SECRET_ZH in told) is content
    memory.close()


def test_with_content_arguments_and_results_go_too() -> None:
    data = {"call_id": "c1", "arguments": {"城市": "里斯本"}, "result": "sun"}
    found = attributes(step("tool", "weather", data=data), content=True)
    assert json.loads(found["gen_ai.tool.call.arguments"]) == {"城市": "里斯本"}
    assert found["gen_ai.tool.call.result"] == "sun"
    own = step(data={"n": 3, "ok": True, "who": "Ann", "list": [1], "none": None})
    assert {k for k in attributes(own) if "data" in k} == {"ctxplug.data.n", "ctxplug.data.ok"}
    assert attributes(own, content=True)["ctxplug.data.list"] == "[1]"


# -- where they go -----------------------------------------------------------------------


def test_a_provider_processes_them_as_its_own() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "agent"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert export([step()], provider) == 1
    with provider.get_tracer("other").start_as_current_span("theirs"):
        assert export([step(id="00000000000000aa")], provider) == 1
    ours, inside, theirs = exporter.get_finished_spans()
    assert ours.resource.attributes["service.name"] == "agent"
    assert ours.instrumentation_scope and ours.instrumentation_scope.name == "ctxplug"
    assert inside.parent is None, "what is open in this thread is not the parent of a past step"
    assert theirs.context and theirs.context.span_id != int(step().id, 16)


def test_a_provider_that_samples_nothing_sends_nothing() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    export([step(), step(parent="00000000000000aa")], provider)
    assert [span.name for span in exporter.get_finished_spans()] == []


def test_many_steps_go_in_batches_and_in_order() -> None:
    sizes: list[int] = []

    class Counting(InMemorySpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            sizes.append(len(spans))
            return super().export(spans)

    exporter = Counting()
    assert export((step(id=f"{n:016x}") for n in range(1, 1_101)), exporter) == 1_100
    assert sizes == [512, 512, 76]
    found = [s.context.span_id for s in exporter.get_finished_spans() if s.context]
    assert found == list(range(1, 1_101))


def test_what_takes_no_spans_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="TracerProvider or a SpanExporter"):
        export([step()], object())  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="takes no ids from outside"):
        export([step()], trace.NoOpTracerProvider())  # type: ignore[arg-type]

    class Full(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.FAILURE

    with pytest.raises(CtxplugError, match="Full did not take 1 spans"):
        export([step()], Full())


def test_several_threads_keep_their_ids_apart() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def send(first: int) -> None:
        export([step(id=f"{n:016x}") for n in range(first, first + 200)], provider)

    threads = [threading.Thread(target=send, args=(1 + 200 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [s.context.span_id for s in exporter.get_finished_spans() if s.context]
    assert sorted(found) == list(range(1, 801))


# -- as they are recorded ----------------------------------------------------------------


def test_a_memory_sends_what_it_stores() -> None:
    exporter = InMemorySpanExporter()
    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        stop = memory.trace.listen(Exporting(exporter))
        memory.add("user", SECRET)
        memory.context()
        assert not exporter.get_finished_spans(), "it waits for the next write"
        memory.trace.flush()
        (span,) = exporter.get_finished_spans()
        (one,) = memory.trace.steps()
        assert span.context and f"{span.context.span_id:016x}" == one.id
        stop()
        memory.context()
        memory.trace.flush()
        assert len(exporter.get_finished_spans()) == 1


def test_closing_waits_for_who_listens_and_a_broken_one_breaks_nothing() -> None:
    heard: list[Step] = []

    def broken(steps: Any) -> None:
        raise RuntimeError("no network")

    memory = AgentMemory.open("memory:", namespace="acme/alice")
    memory.trace.listen(broken)
    memory.trace.listen(heard.extend)
    memory.add("user", "Hello 你好")
    memory.context()
    memory.close()
    assert [one.kind for one in heard] == ["window"]


def test_a_listener_is_a_function() -> None:
    with (
        AgentMemory.open("memory:", namespace="acme/alice") as memory,
        pytest.raises(InvalidValueError, match="A listener is a function"),
    ):
        memory.trace.listen("otel")  # type: ignore[arg-type]


def test_what_is_redacted_is_redacted_for_listeners_too() -> None:
    from ctxplug.tracing.policy import TracePolicy

    heard: list[Step] = []
    policy = TracePolicy(redact=lambda text: text.replace(SECRET, "[PIN]"))
    with AgentMemory.open("memory:", namespace="acme/alice", trace=policy) as memory:
        memory.trace.listen(heard.extend)
        memory.add("user", "Hello")
        memory.context(SECRET)
        memory.trace.flush()
    assert heard and SECRET not in str(heard) and "[PIN]" in str(heard)
