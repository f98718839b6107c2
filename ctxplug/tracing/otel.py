"""Steps as OpenTelemetry spans, by the semantic conventions for generative AI.

`export` sends steps that were recorded, `Exporting` those of a memory as they are stored.
Ids are those of the steps, so that a span is found by them in the trace, and the other way
round. What anybody said stays here unless `content` is asked for. Needs the extra
`ctxplug[otel]`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ctxplug.errors import CtxplugError, InvalidValueError, UnsupportedError
from ctxplug.tracing.otel_attributes import attributes_of, is_remote, span_name
from ctxplug.tracing.step import OK, Step

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

SCOPE = "ctxplug"
BATCH = 512  # spans that an exporter is given at once


def export(
    steps: Iterable[Step],
    to: TracerProvider | SpanExporter,
    *,
    content: bool = False,
    store: str | None = None,
) -> int:
    """Send `steps` to a tracer provider or an exporter, and return how many spans were sent.

    A provider samples and processes them as its own. With `content`, queries, arguments,
    results and error messages go too, as the trace has them; `store` is told as
    `gen_ai.memory.store.id`. Raises UnsupportedError without the extra, or where the provider
    is not that of OpenTelemetry's SDK.
    """
    return Exporting(to, content=content, store=store)(steps)


class Exporting:
    """Sends steps as they are stored: `memory.trace.listen(Exporting(provider))`.

    Usable from any thread. What an exporter raises does not reach the memory.
    """

    def __init__(
        self,
        to: TracerProvider | SpanExporter,
        *,
        content: bool = False,
        store: str | None = None,
    ) -> None:
        self._content, self._store = content, store
        self._made = _Collected(to) if _is_exporter(to) else None
        self._tracer = _tracer_of(self._made.provider if self._made else to)
        self._ids = _ids_of(self._tracer)

    def __call__(self, steps: Iterable[Step]) -> int:
        """Send `steps`; return how many spans were sent."""
        count = 0
        for step in steps:
            self._send(step)
            count += 1
            if self._made and count % BATCH == 0:
                self._made.send()
        if self._made:
            self._made.send()
        return count

    def _send(self, step: Step) -> None:
        from opentelemetry import trace
        from opentelemetry.trace import Status, StatusCode

        kind = trace.SpanKind.CLIENT if is_remote(step) else trace.SpanKind.INTERNAL
        with self._ids.given(step):
            span = self._tracer.start_span(
                span_name(step),
                context=trace.set_span_in_context(trace.NonRecordingSpan(_parent(step))),
                kind=kind,
                attributes=attributes_of(step, content=self._content, store=self._store),
                start_time=_nanoseconds(step.started_at),
                record_exception=False,
            )
        if step.outcome != OK:
            told = step.error if self._content else None
            span.set_status(Status(StatusCode.ERROR, told))
        span.end(_nanoseconds(step.started_at) + round(step.duration * 1e9))


def _parent(step: Step) -> Any:
    """Return the context of the step's parent; one without a parent has an invalid one."""
    from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags

    if step.parent is None:
        return INVALID_SPAN_CONTEXT
    return SpanContext(
        int(step.trace, 16), int(step.parent, 16), False, TraceFlags(TraceFlags.SAMPLED)
    )


def _nanoseconds(at: datetime) -> int:
    seconds = int(at.timestamp() // 1)
    return seconds * 1_000_000_000 + at.microsecond * 1_000


def _is_exporter(to: Any) -> bool:
    """Say whether `to` is an exporter; InvalidValueError if it is neither that nor a provider."""
    _sdk()
    from opentelemetry.sdk.trace.export import SpanExporter

    if hasattr(to, "get_tracer"):
        return False
    if isinstance(to, SpanExporter):
        return True
    raise InvalidValueError(
        f"Steps go to a TracerProvider or a SpanExporter of opentelemetry.sdk, not to {to!r:.60}.",
        path="to",
    )


def _tracer_of(provider: Any) -> Any:
    from importlib.metadata import version

    tracer = provider.get_tracer(SCOPE, version("ctxplug"))
    if not hasattr(tracer, "id_generator"):
        raise UnsupportedError(
            f"{type(provider).__name__} is not the TracerProvider of opentelemetry.sdk, and takes"
            " no ids from outside; give an exporter instead.",
            capability="otel",
        )
    return tracer


def _sdk() -> None:
    try:
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as exc:
        raise UnsupportedError(
            "Spans need OpenTelemetry's SDK: pip install 'ctxplug[otel]'.", capability="otel"
        ) from exc


def _ids_of(tracer: Any) -> Any:
    """Return the generator by which spans of our tracer get the ids of steps."""
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    class GivenIds(IdGenerator):
        """Gives the ids of the step that this thread is sending, else those of `others`."""

        def __init__(self, others: IdGenerator) -> None:
            self._others = others
            self._step = threading.local()

        @contextmanager
        def given(self, step: Step) -> Iterator[None]:
            self._step.value = step
            try:
                yield
            finally:
                self._step.value = None

        def generate_span_id(self) -> int:
            step = getattr(self._step, "value", None)
            return int(step.id, 16) if step else self._others.generate_span_id()

        def generate_trace_id(self) -> int:
            step = getattr(self._step, "value", None)
            return int(step.trace, 16) if step else self._others.generate_trace_id()

    if not hasattr(tracer.id_generator, "given"):  # the tracer is kept by its provider
        tracer.id_generator = GivenIds(tracer.id_generator)
    return tracer.id_generator


class _Collected:
    """A provider whose spans wait for an exporter."""

    def __init__(self, exporter: Any) -> None:
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

        waiting: list[ReadableSpan] = []

        class Collect(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                waiting.append(span)

        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(Collect())
        self._waiting, self._exporter = waiting, exporter

    def send(self) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        spans: Sequence[Any] = tuple(self._waiting)
        self._waiting.clear()
        if spans and self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise CtxplugError(
                f"{type(self._exporter).__name__} did not take {len(spans)} spans; what it logs"
                " says why."
            )
