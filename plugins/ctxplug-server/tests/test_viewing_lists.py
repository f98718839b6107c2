"""The viewer's lists: sessions, steps, findings, comparisons, spending, memories; and of whom."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ctxplug_server import ServerSettings
from ctxplug_server.running import Running
from ctxplug_server.serving import Serving

from ctxplug import AgentMemory, Message, ToolCallPart
from ctxplug.messages import ToolResultPart
from ctxplug.tokens.usage import Usage

MODEL = "claude-sonnet-4-5"
SECRET = "CANARY-7731"


def fill(path: Path) -> None:
    """Write sessions of three namespaces, in English and Chinese."""
    with AgentMemory.open(path, namespace="acme/alice", session="trip", budget=900) as memory:
        old = memory.remember("The user lives in Lisbon.", tags=["home"], importance=0.9)
        memory.remember("The user lives in Porto.", tags=["home"], supersedes=old.id)
        memory.remember("用户喜欢靠窗的座位。", kind="preference", tags=["旅行"])
        for n in range(8):
            memory.add("user", f"Where is order {n}? 订单{n}在哪里？" + " Tell me all of it." * 9)
            with memory.trace.span("answer", number=n):
                window = memory.context(system="You look orders up.")
                call = ToolCallPart(f"c{n}", "find", {"order": n})
                memory.add(Message("assistant", call))
                error = n in (3, 4)
                memory.trace.record(
                    "tool",
                    "find",
                    started_at=time.time(),
                    duration=0.1,
                    outcome="error" if error else "ok",
                    error="no such order" if error else None,
                )
                said = "Error: there is no such order" if error else f"Order {n} is in Porto."
                memory.add(Message("tool", ToolResultPart(call.id, said, is_error=error)))
                memory.record_usage(Usage(window.tokens - 10, 20, 10, model=MODEL))
            memory.add("assistant", f"Order {n} is in the blue warehouse of Porto. " * 6)
    with AgentMemory.open(path, namespace="acme/alice", session="成都旅行") as memory:
        memory.add("user", "请帮我查一下去成都的航班。")
        memory.add("assistant", "锦里附近的酒店已经订好了。")
        memory.session.complete()
    with AgentMemory.open(path, namespace="acme/alice", session="quiet", trace=False) as memory:
        for n in range(4):
            memory.add("user", f"note {n}")
            memory.add("assistant", f"noted {n}")
    with AgentMemory.open(path, namespace="acme/bob", session="secret-plan") as memory:
        memory.add("user", f"The code is {SECRET}, in the blue warehouse.")
        memory.context()
        memory.record_usage(Usage(100, 7, model=MODEL))
        memory.add("assistant", f"I keep {SECRET} to myself.")
        memory.remember(f"Bob's code is {SECRET}.")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lists") / "agent.db"
    fill(path)
    return path


@pytest.fixture(scope="module")
def view(written: Path) -> Iterator[httpx.Client]:
    """A client of the viewer's data, as the local user."""
    running = Running(Serving(written, ServerSettings(port=0, rate=None)))
    running.thread = threading.Thread(target=running.run, daemon=True)
    running.thread.start()
    with httpx.Client(base_url=f"{running.wait_until_ready()}/v1/view/", timeout=20) as client:
        yield client
    running.stop()


def got(client: httpx.Client, path: str, **params: Any) -> Any:
    """Return what is told, waiting for what is computed."""
    for _ in range(200):
        response = client.get(path, params=params)
        assert response.status_code in (200, 202), response.text
        if response.status_code == 200:
            return response.json()
        assert response.json()["pending"]
        time.sleep(0.05)
    raise AssertionError(f"{path} was not done in time")


def names(told: Any) -> list[str]:
    return [item["session"] for item in told["items"]]


ALICE = {"namespace": "acme/alice"}


# -- sessions ----------------------------------------------------------------------------


def test_sessions_of_all_namespaces_come_newest_first_in_pages(view: httpx.Client) -> None:
    whole = got(view, "sessions")
    assert names(whole) == ["secret-plan", "quiet", "成都旅行", "trip"]
    assert whole["next"] is None
    found, cursor = [], None
    for _ in range(4):
        page = got(view, "sessions", limit=1, **({"cursor": cursor} if cursor else {}))
        found += names(page)
        cursor = page["next"]
    assert found == names(whole)
    assert cursor is None
    assert names(got(view, "sessions", **ALICE)) == ["quiet", "成都旅行", "trip"]
    assert whole["items"][2]["title"] == "请帮我查一下去成都的航班。"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("trip", ["trip"]),  # a name
        ("TRIP", ["trip"]),
        ("成都", ["成都旅行"]),
        ("航班", ["成都旅行"]),  # the title
        ("where is order", ["trip"]),
        ("锦里附近", ["成都旅行"]),  # what was said in it
        ("blue warehouse", ["secret-plan", "trip"]),
        ("Ｏｒｄｅｒ 7", ["trip"]),  # in wide letters
        ("nothing like this", []),
    ],
)
def test_sessions_are_searched_by_name_title_and_content(
    view: httpx.Client, words: str, found: list[str]
) -> None:
    assert sorted(names(got(view, "sessions", q=words))) == sorted(found)


def test_what_was_said_is_shown_around_the_words(view: httpx.Client) -> None:
    (item,) = got(view, "sessions", q="酒店")["items"]
    assert "锦里附近的酒店" in item["snippet"]


def test_sessions_are_chosen_by_state(view: httpx.Client) -> None:
    assert names(got(view, "sessions", state="completed")) == ["成都旅行"]
    assert "成都旅行" not in names(got(view, "sessions", state="active"))
    assert view.get("sessions", params={"state": "asleep"}).status_code == 422
    assert view.get("sessions", params={"cursor": "AAAA"}).status_code == 422


# -- steps, findings, comparisons ---------------------------------------------------------


def test_steps_stand_behind_their_parents(view: httpx.Client) -> None:
    told = got(view, "sessions/trip/steps", limit=500, **ALICE)
    by_id = {step["id"]: step for step in told["items"]}
    for step in told["items"]:
        parent = by_id.get(step["parent"])
        assert step["depth"] == (parent["depth"] + 1 if parent else 0)
    assert told["kinds"]["window"] == 8
    assert told["errors"] == 2
    offsets = [s["offset_ms"] for s in told["items"] if s["kind"] == "window"]
    assert offsets == sorted(offsets)
    windows = [step["call"] for step in told["items"] if step["kind"] == "window"]
    assert windows == [1, 3, 5, 7, 9, 11, 13, 15]


def test_steps_are_chosen_and_found(view: httpx.Client) -> None:
    tools = got(view, "sessions/trip/steps", kind="tool", **ALICE)
    assert {step["kind"] for step in tools["items"]} == {"tool"}
    failed = got(view, "sessions/trip/steps", errors=True, **ALICE)
    assert [step["error"] for step in failed["items"]] == ["no such order"] * 2
    last = tools["items"][-1]["id"]
    around = got(view, "sessions/trip/steps", around=last, limit=5, **ALICE)
    assert last in [step["id"] for step in around["items"]]
    assert around["start"] % 5 == 0
    assert view.get("sessions/trip/steps", params={**ALICE, "kind": "no"}).status_code == 422


def test_findings_name_their_steps_and_calls(view: httpx.Client) -> None:
    english = got(view, "sessions/trip/findings", **ALICE)
    chinese = got(view, "sessions/trip/findings", lang="zh", **ALICE)
    kinds = [one["kind"] for one in english["findings"]]
    assert "tool_error" in kinds
    assert [one["label"] for one in english["findings"]] != [
        one["label"] for one in chinese["findings"]
    ]
    steps = {step["id"] for step in got(view, "sessions/trip/steps", limit=500, **ALICE)["items"]}
    for one in english["findings"]:
        assert set(one["steps"]) <= steps


def test_two_policies_are_compared_call_by_call(view: httpx.Client) -> None:
    told = got(
        view, "sessions/trip/compare", policies="conservative,aggressive", budget=700, **ALICE
    )
    assert told["recorded"]
    assert [one["name"] for one in told["policies"]] == ["conservative", "aggressive"]
    for policy in told["policies"]:
        assert sum(one["tokens"] for one in policy["calls"]) == policy["tokens"]
    tokens = [[one["tokens"] for one in policy["calls"]] for policy in told["policies"]]
    numbers = [one["number"] for one in told["policies"][0]["calls"]]
    other = {n for n, a, b in zip(numbers, *tokens, strict=True) if a != b}
    assert other
    assert other <= {one["number"] for one in told["differing"]}
    same = got(view, "sessions/trip/compare", policies="balanced", **ALICE)
    assert same["differing"] == []


def test_what_was_not_recorded_is_played_for_a_comparison(view: httpx.Client) -> None:
    told = got(view, "sessions/quiet/compare", policies="balanced,aggressive", budget=60, **ALICE)
    assert not told["recorded"]
    assert [len(one["calls"]) for one in told["policies"]] == [4, 4]
    bad = view.get("sessions/quiet/compare", params={**ALICE, "policies": "lazy"})
    assert bad.status_code == 422
    assert "lazy" in bad.json()["error"]["message"]


# -- spending and memories -----------------------------------------------------------------


def test_spending_adds_up_to_the_ledger(view: httpx.Client, written: Path) -> None:
    with AgentMemory.open(written, namespace="acme/alice", session="x") as memory:
        total = memory.usage.report(days=2).total
    for by in ("hour", "day"):
        told = got(view, "usage", by=by, **ALICE)
        assert told["whole"]
        assert sum(one["calls"] for one in told["buckets"]) == total.calls == 8
        assert sum(one["input"] for one in told["buckets"]) == total.usage.total_input
        assert sum(one["cost"] for one in told["buckets"]) == pytest.approx(total.cost)
    everything = got(view, "usage")["buckets"]
    assert sum(one["calls"] for one in everything) == 9
    assert got(view, "usage", since="2999-01-01T00:00:00+00:00")["buckets"] == []
    assert view.get("usage", params={"since": "yesterday"}).status_code == 422


def test_spending_that_comes_is_added(view: httpx.Client, written: Path) -> None:
    namespace = {"namespace": "acme/carol"}
    assert got(view, "usage", **namespace)["buckets"] == []
    with AgentMemory.open(written, namespace="acme/carol", session="x") as memory:
        for calls in (1, 2):
            memory.record_usage(Usage(10, 1, model=MODEL))
            told = got(view, "usage", **namespace)["buckets"]
            assert sum(one["calls"] for one in told) == calls


def test_memories_tell_what_took_the_place_of_what(view: httpx.Client) -> None:
    told = got(view, "memories", **ALICE)
    by_text = {item["record"]["content"]: item["record"] for item in told["items"]}
    assert len(by_text) == 3
    old, new = by_text["The user lives in Lisbon."], by_text["The user lives in Porto."]
    assert (old["current"], new["current"]) == (False, True)
    detail = got(view, f"memories/{old['id']}", **ALICE)
    assert detail["superseded_by"]["id"] == new["id"]
    assert [one["id"] for one in detail["history"]] == [old["id"], new["id"]]
    other = got(view, f"memories/{new['id']}", **ALICE)
    assert [one["id"] for one in other["supersedes"]] == [old["id"]]
    assert other["history"] == detail["history"]
    current = got(view, "memories", include="current", **ALICE)["items"]
    assert old["id"] not in [item["record"]["id"] for item in current]


def test_memories_are_found_with_reasons_and_filtered(view: httpx.Client) -> None:
    (found, *_) = got(view, "memories", q="靠窗", **ALICE)["items"]
    assert found["record"]["content"] == "用户喜欢靠窗的座位。"
    assert found["score"] > 0
    assert found["why"]["words"] > 0
    (liked,) = got(view, "memories", kind="preference", **ALICE)["items"]
    assert liked["record"]["tags"] == ["旅行"]
    tagged = got(view, "memories", tags=["home"], **ALICE)["items"]
    assert {item["record"]["tags"][0] for item in tagged} == {"home"}
    said = got(view, "memories", q="blue warehouse", include="all", **ALICE)["items"]
    assert {item["record"]["kind"] for item in said} == {"message"}
    first = got(view, "memories", limit=2, **ALICE)
    rest = got(view, "memories", limit=2, cursor=first["next"], **ALICE)
    ids = [item["record"]["id"] for item in (*first["items"], *rest["items"])]
    assert len(set(ids)) == len(ids) == 3
    assert rest["next"] is None


# -- whose -------------------------------------------------------------------------------


PATHS = (
    "sessions",
    "sessions/{s}",
    "sessions/{s}/size",
    "sessions/{s}/lines",
    "sessions/{s}/calls",
    "sessions/{s}/calls/1",
    "sessions/{s}/calls/1/window",
    "sessions/{s}/messages/1",
    "sessions/{s}/steps",
    "sessions/{s}/findings",
    "sessions/{s}/compare",
    "memories",
    "memories/{m}",
    "usage",
)


def test_a_key_sees_nothing_of_another_namespace(serve: Any, written: Path, tmp_path: Path) -> None:
    served = serve(store=Path(shutil.copy(written, tmp_path / "agent.db")), rate=None)
    with served.client() as client:
        bobs = client.get("/v1/view/memories", params={"namespace": "acme/bob"}).json()["items"]
    memory = bobs[0]["record"]["id"]
    _, key = served.keys.make("alice", "acme/alice", rights="read")
    with served.client(key) as client:
        for path in PATHS:
            path = "/v1/view/" + path.format(s="secret-plan", m=memory)
            for params in ({"namespace": "acme/bob"}, {"namespace": "acme/alice"}, {}):
                told = client.get(path, params=params)
                assert SECRET not in told.text
                if params.get("namespace") == "acme/bob":
                    nobody = client.get(path, params={"namespace": "acme/nobody"})
                    assert told.status_code == nobody.status_code == 404
                    assert told.text.replace("bob", "") == nobody.text.replace("nobody", "")
        assert names(client.get("/v1/view/sessions").json()) == ["quiet", "成都旅行", "trip"]
        assert names(client.get("/v1/view/sessions", params={"q": SECRET}).json()) == []
        spent = client.get("/v1/view/usage").json()["buckets"]
        assert sum(one["calls"] for one in spent) == 8


def test_an_agent_sees_what_its_access_rules_let_it(serve: Any, tmp_path: Path) -> None:
    path = tmp_path / "rules.db"
    with AgentMemory.open(path, namespace="acme/alice", session="s") as memory:
        memory.remember(f"The secret is {SECRET}.", tags=["private"])
        memory.remember("Everybody knows this.")
        memory.access.deny("writer", "read", tags=["private"])
    with serve(store=path).client(params={"namespace": "acme/alice"}) as client:
        owner = client.get("/v1/view/memories").text
        writer = client.get("/v1/view/memories", params={"agent": "writer"}).text
    assert SECRET in owner
    assert SECRET not in writer
    assert "Everybody knows this." in writer
