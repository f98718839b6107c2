"""Figures: percentiles that hold, routes by template, growth by namespace, and nobody's names."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from ctxplug_server.monitoring import Durations, Meters, Sampler, Sketch
from ctxplug_server.monitoring.meters import MOST_ROUTES, OTHER
from ctxplug_server.monitoring.prometheus import BOUNDS
from ctxplug_server.monitoring.sketch import ERROR, merged
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ctxplug import AgentMemory

NS = "acme/alice"
durations = st.lists(st.floats(1e-5, 1e4), min_size=1, max_size=300)


# -- percentiles -----------------------------------------------------------------------


@given(durations, st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_percentile_is_exact_to_one_percent(values: list[float], q: float) -> None:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    exact = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    assert sketch.quantile(q) == pytest.approx(exact, rel=1.01 * ERROR)


@given(durations, durations)
def test_merging_is_counting_all(one: list[float], other: list[float]) -> None:
    parts, whole = [Sketch(), Sketch()], Sketch()
    for sketch, values in zip(parts, (one, other), strict=True):
        for value in values:
            sketch.add(value)
            whole.add(value)
    both = merged(parts)
    assert (both.buckets, both.count, both.highest) == (whole.buckets, whole.count, whole.highest)
    assert both.total == pytest.approx(whole.total)


@given(durations)
def test_buckets_ascend_and_hold_what_they_say(values: list[float]) -> None:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    counts = sketch.below(BOUNDS)
    assert counts == sorted(counts)
    for bound, count in zip(BOUNDS, counts, strict=True):
        assert sum(v <= bound * (1 - 2 * ERROR) for v in values) <= count
        assert count <= sum(v <= bound * (1 + 2 * ERROR) for v in values)


def test_recent_percentiles_forget_and_counts_do_not() -> None:
    now = [0.0]
    took = Durations(clock=lambda: now[0])
    took.add(9.0)
    now[0] = 20 * 60.0
    took.add(0.01)
    told = took.to_dict()
    assert (told["count"], told["all"]) == (1, 2)
    assert told["p99"] == pytest.approx(0.01, rel=0.02)


# -- requests --------------------------------------------------------------------------


def answer(meters: Meters, path: str, status: int = 200, route: Any = None, **more: Any) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "route": route, **more}
    meters.begin(scope)
    meters.request(scope, status, 0.01)


def test_the_number_of_routes_is_bounded() -> None:
    meters = Meters()
    for number in range(2 * MOST_ROUTES):
        route = type("Route", (), {"path": f"/{number}"})()
        answer(meters, f"/{number}", route=route, method=f"M{number}")
    assert len(meters.routes()) <= MOST_ROUTES + 1
    assert {method for method, _, _ in meters.routes()} == {OTHER}
    assert meters.in_flight == 0


def test_requests_are_counted_by_template_and_status(client: Any, server: Any) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}]}
    for session in ("canary-1", "canary-2"):
        client.post(f"/v1/sessions/{session}/messages", json=body)
    client.get("/v1/memories/none-such")
    client.get("/v1/no-such-route")
    client.get("/app.js")
    routes = {
        (one["method"], one["route"]): one
        for one in client.get("/v1/monitoring").json()["requests"]["routes"]
    }
    posted = routes["POST", "/v1/sessions/{session}/messages"]
    assert (posted["all"], posted["client_errors"], posted["server_errors"]) == (2, 0, 0)
    assert 0 < posted["p50"] <= posted["p95"] <= posted["p99"] <= posted["highest"]
    looked = [one for key, one in routes.items() if key[1].startswith("/v1/memories/{")]
    assert [one["client_errors"] for one in looked] == [1]
    assert routes["GET", "/{path}"]["all"] == routes["GET", "unmatched"]["all"] == 1
    assert "canary" not in str(list(routes))


def test_verbs_of_memories_are_measured(client: Any, server: Any) -> None:
    client.post("/v1/sessions/s/messages", json={"messages": [{"role": "user", "content": "hi"}]})
    client.post("/v1/sessions/s/context", json={})
    client.post("/v1/recall", json={"query": "hi"})
    verbs = client.get("/v1/monitoring").json()["verbs"]
    assert {name: one["all"] for name, one in verbs.items()} == {
        "add": 1,
        "context": 1,
        "recall": 1,
    }


# -- growth ----------------------------------------------------------------------------


def test_growth_is_told_by_namespace(server: Any) -> None:
    now = [1e9]
    sampler = Sampler(server.serving.store, str(server.store), clock=lambda: now[0])
    memory = AgentMemory.open(server.store, namespace=NS, session="s")
    memory.add("user", "hello")
    memory.remember("Likes tea. 爱喝茶。")
    sampler.sample()
    for text in "abcd":
        memory.add("user", text)
    memory.close()
    now[0] += 86_400
    sampler.sample()
    (told,) = sampler.namespaces(lambda _: True)
    assert told["history"] == [[1_000_000_000, 1, 1], [1_000_086_400, 5, 1]]
    assert (told["namespace"], told["sessions"], told["messages"]) == (NS, 1, 5)
    assert told["per_day"] == {"sessions": 0.0, "messages": 4.0, "records": 0.0}
    assert sampler.store_bytes() > 0


def test_a_namespace_that_is_gone_is_forgotten(server: Any) -> None:
    memory = AgentMemory.open(server.store, namespace=NS, session="s")
    memory.add("user", "hello")
    sampler = Sampler(server.serving.store)
    sampler.sample_growth(0.0)
    assert [one["namespace"] for one in sampler.namespaces(lambda _: True)] == [NS]
    server.serving.store.erase(memory.scope.namespace)
    sampler.sample_growth(1.0)
    assert sampler.namespaces(lambda _: True) == []


def test_the_process_is_told_with_its_trend(client: Any, server: Any) -> None:
    told = client.get("/v1/monitoring", params={"lang": "zh"}).json()
    assert told["process"]["resident_bytes"] > 2**20
    assert told["process"]["trend"]["verdict"] == "too_short"
    assert "样本太少" in told["process"]["said"]
    assert told["store_bytes"] > 0 and told["uptime_seconds"] >= 0


# -- who may see -----------------------------------------------------------------------


def test_a_key_of_a_namespace_sees_its_growth_alone(server: Any) -> None:
    for name in ("alice", "bob"):
        with AgentMemory.open(server.store, namespace=f"acme/{name}", session="s") as memory:
            memory.add("user", "hello")
    alice = server.keys.make("alice", NS, rights="admin")[1]
    server.serving.sampler.sample_growth(time.time())
    with server.client(alice) as client:
        told = client.get("/v1/monitoring")
        assert [one["namespace"] for one in told.json()["namespaces"]] == [NS]
        assert set(told.json()) == {"at", "namespaces"}
        assert "bob" not in told.text
        assert client.get("/metrics").status_code == 403
        assert client.get("/v1/monitoring", params={"namespace": "acme/bob"}).status_code == 404
        assert client.get("/v1/advice", params={"namespace": "acme/bob"}).status_code == 404
    with server.client() as client:
        assert client.get("/metrics").status_code == 401


def test_an_agent_that_may_not_read_all_is_told_no_counts(server: Any) -> None:
    owner = AgentMemory.open(server.store, namespace=NS, session="hr-1")
    owner.add("user", "salary")
    owner.access.grant("hr-bot", ["read", "write"], session="hr-*")
    owner.close()
    planner = server.keys.make("planner", NS, agent="planner")[1]
    server.serving.sampler.sample_growth(time.time())
    with server.client(planner) as client:
        assert client.get("/v1/monitoring").json()["namespaces"] == []


def families(text: str) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_metrics_are_well_formed_and_name_nobody(client: Any, server: Any) -> None:
    memory = AgentMemory.open(server.store, namespace="acme/canary", session="canary-1")
    memory.add("user", "hello")
    memory.close()
    client.get("/v1/sessions/canary-1", params={"namespace": "acme/canary"})
    server.serving.sampler.sample_growth(0.0)
    for params in ({}, {"namespaces": "true"}):
        response = client.get("/metrics", params=params)
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "canary" not in response.text
    found = families(response.text)
    (messages,) = found["ctxplug_messages"].samples
    assert (messages.labels, messages.value) == ({}, 1.0)
    names = {label for family in found.values() for s in family.samples for label in s.labels}
    assert names <= {"method", "route", "class", "le", "verb"}
    assert "process_resident_memory_bytes" in found


def test_metrics_name_namespaces_where_the_settings_let_them(serve: Any) -> None:
    server = serve(metrics_namespaces=True)
    with AgentMemory.open(server.store, namespace=NS, session="s") as memory:
        memory.add("user", "hello")
    server.serving.sampler.sample_growth(0.0)
    with server.client() as client:
        assert NS not in client.get("/metrics").text
        found = families(client.get("/metrics", params={"namespaces": "true"}).text)
    assert [s.labels for s in found["ctxplug_messages"].samples] == [{"namespace": NS}]
