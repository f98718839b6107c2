"""The figures as Prometheus reads them; on a registry of its own, without names of anybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ctxplug.scope import namespace_key
from ctxplug_server.monitoring.meters import Meters
from ctxplug_server.monitoring.sketch import Sketch

if TYPE_CHECKING:
    from ctxplug_server.live import Hub
    from ctxplug_server.monitoring.sampler import Sampler

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Figures(Collector):
    """Reads the meters when it is asked; `namespaces`: with the names of namespaces."""

    def __init__(
        self,
        meters: Meters,
        *,
        sampler: Sampler | None = None,
        hub: Hub | None = None,
        namespaces: bool = False,
    ) -> None:
        self._meters = meters
        self._sampler = sampler
        self._hub = hub
        self._namespaces = namespaces

    def describe(self) -> list[Metric]:
        """Return nothing: what there is depends on what was asked for so far."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield from self._requests()
        yield from self._verbs()
        if self._hub is not None:
            readers = GaugeMetricFamily("ctxplug_live_subscribers", "Readers of live events.")
            readers.add_metric([], len(self._hub.readers))
            yield readers
        if self._sampler is not None:
            yield from self._grown(self._sampler)

    def _requests(self) -> Iterator[Metric]:
        labels = ["method", "route"]
        errors = CounterMetricFamily(
            "ctxplug_requests_failed", "Requests answered with an error.", labels=[*labels, "class"]
        )
        took = HistogramMetricFamily(
            "ctxplug_request_seconds", "Time to the last byte of an answer.", labels=labels
        )
        for method, route, meter in self._meters.routes():
            errors.add_metric([method, route, "4xx"], meter.client_errors)
            errors.add_metric([method, route, "5xx"], meter.server_errors)
            _add(took, [method, route], meter.durations.all())
        flying = GaugeMetricFamily(
            "ctxplug_requests_in_flight", "Requests at work or waiting for a place."
        )
        flying.add_metric([], self._meters.in_flight)
        waiting = GaugeMetricFamily("ctxplug_requests_waiting", "Requests that wait for a place.")
        waiting.add_metric([], self._meters.waiting())
        yield from (errors, took, flying, waiting)

    def _verbs(self) -> Iterator[Metric]:
        took = HistogramMetricFamily(
            "ctxplug_memory_seconds", "Time in a verb of a memory.", labels=["verb"]
        )
        for name, durations in self._meters.verbs.items():
            _add(took, [name], durations.all())
        yield took

    def _grown(self, sampler: Sampler) -> Iterator[Metric]:
        leak = GaugeMetricFamily(
            "ctxplug_process_leak_suspected", "1 if the process takes more and more memory."
        )
        leak.add_metric([], float(sampler.leak().suspected))
        yield leak
        labels = ["namespace"] if self._namespaces else []
        histories = {one: list(history.samples) for one, history in list(sampler.growth.items())}
        for place, name in enumerate(("sessions", "messages", "records"), start=1):
            held = GaugeMetricFamily(f"ctxplug_{name}", f"How many {name} are held.", labels=labels)
            last = {one: found[-1][place] for one, found in histories.items() if found}
            if self._namespaces:
                for namespace, count in sorted(last.items()):
                    held.add_metric([namespace_key(namespace)], count)
            else:
                held.add_metric([], sum(last.values()))
            yield held


def exposition(figures: Figures) -> bytes:
    """Return the figures in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(figures)
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _add(family: HistogramMetricFamily, labels: list[str], found: Sketch) -> None:
    counts = found.below(BOUNDS)
    buckets = [(str(bound), float(n)) for bound, n in zip(BOUNDS, counts, strict=True)]
    family.add_metric(labels, [*buckets, ("+Inf", float(found.count))], sum_value=found.total)
