"""The usage ledger: totals that add up, and limits that hold under threads and processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug.errors import BudgetError, InvalidValueError, UnknownPriceError, UsageLimitError
from ctxplug.scope import Scope
from ctxplug.storage import Backend, Stream
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import open_sqlite
from ctxplug.tokens.ledger import UsageLedger
from ctxplug.tokens.limits import UsageLimits
from ctxplug.tokens.prices import Price, Prices
from ctxplug.tokens.usage import Usage
from ctxplug.tokens.usage_stream import CHECKPOINT_EVERY, GAP, SESSION

NOON = datetime(2024, 5, 15, 12, tzinfo=UTC)
SCOPE = Scope(("acme", "爱丽丝"), "trip", "planner")
# A dollar per million tokens of input, so that a token costs a millionth of a dollar.
PRICES = Prices({"m": Price(input=1.0, output=4.0, cache_read=0.1)}, environ={})


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class Reads(InMemoryBackend):
    """Counts the entries that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def read(self, *args: Any, **options: Any) -> Any:
        found = super().read(*args, **options)
        self.entries += len(found)
        return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "memory":
        made: Backend = InMemoryBackend()
    else:
        made = open_sqlite(str(tmp_path / "agent.db"))
    yield made
    made.close()


def ledger(backend: Backend, clock: Clock, scope: Scope = SCOPE, **options: Any) -> UsageLedger:
    limits = UsageLimits(**{k: options.pop(k) for k in list(options) if k in LIMITS})
    return UsageLedger(backend, scope, prices=PRICES, limits=limits, clock=clock, **options)


LIMITS = ("daily_tokens", "daily_cost", "request_tokens", "request_cost", "alert_at")


# -- totals ------------------------------------------------------------------------


def test_what_is_recorded_is_reported_by_day_session_agent_and_model(
    backend: Backend, clock: Clock
) -> None:
    mine = ledger(backend, clock)
    mine.record(Usage(1_000, 100, model="m"))
    mine.record({"input_tokens": 500, "output_tokens": 50}, model="m", session="聊天")
    clock.pass_(days=1)
    mine.record(Usage(10, 1, 2_000, model="m"), agent="critic")
    report = mine.report(days=3)
    assert (report.since, report.until) == ("2024-05-14", "2024-05-16")
    assert {day: line.tokens for day, line in report.by_day.items()} == {
        "2024-05-14": 0,
        "2024-05-15": 1_650,
        "2024-05-16": 2_011,
    }
    assert {k: v.tokens for k, v in report.by_session.items()} == {"trip": 3_111, "聊天": 550}
    assert {k: v.calls for k, v in report.by_agent.items()} == {"planner": 2, "critic": 1}
    assert list(report.by_model) == ["m"]
    assert report.total.cost == pytest.approx((1_510 + 4 * 151 + 200) / 1e6, abs=1e-15)
    assert report.total.cache_hit_share == 2_000 / 3_510


def test_a_report_reaches_back_as_far_as_it_is_asked_and_no_further(
    backend: Backend, clock: Clock
) -> None:
    mine = ledger(backend, clock)
    for _ in range(10):
        for _ in range(30):  # so that checkpoints fall anywhere in a day
            mine.record(Usage(1, model="m"))
        clock.pass_(days=1)
    clock.pass_(days=-1)
    for days in (1, 3, 7, 10, 20):
        assert mine.report(days).total.calls == 30 * min(days, 10)
        assert ledger(backend, clock).report(days) == mine.report(days)


def test_another_namespace_sees_nothing_of_it(backend: Backend, clock: Clock) -> None:
    ledger(backend, clock).record(Usage(1_000, model="m"))
    other = ledger(backend, clock, Scope(("acme",), "trip"), daily_tokens=1_000)
    assert other.report().total.calls == 0
    other.reserve(1_000)


def test_an_unknown_cost_is_unknown_and_not_zero(backend: Backend, clock: Clock) -> None:
    mine = ledger(backend, clock)
    assert mine.record(Usage(1_000, model="mystery")).cost is None
    assert mine.record(Usage(1_000, model="m")).cost == 0.001
    assert mine.record(Usage(1_000), cost=0.5).cost == 0.5
    report = mine.report()
    assert report.total.cost is None and report.total.unpriced_calls == 1
    assert report.total.priced_cost == 0.501
    assert report.by_model["mystery"].cost is None
    assert report.by_model["m"].cost == 0.001
    assert report.by_model["(none)"].cost == 0.5
    assert report.to_dict()["by_model"]["mystery"]["cost"] is None


def test_what_had_no_price_is_priced_once_it_is_known(backend: Backend, clock: Clock) -> None:
    ledger(backend, clock).record(Usage(1_000, model="mystery"))
    known = Prices({"mystery": Price(2.0, 2.0)}, environ={})
    later = UsageLedger(backend, SCOPE, prices=known, clock=clock)
    assert later.report().total.cost == 0.002


def test_a_report_is_json(backend: Backend, clock: Clock) -> None:
    from ctxplug import codec

    mine = ledger(backend, clock)
    mine.record(Usage(1, model="m"))
    data = mine.report().to_dict()
    assert codec.decode(codec.encode(data)) == data
    assert data["namespace"] == "acme/爱丽丝" and data["total"]["tokens"] == 1


@pytest.mark.parametrize("days", [0, -1, 1.5, True, "7"])
def test_a_report_of_no_days_is_refused(days: Any) -> None:
    with pytest.raises(InvalidValueError, match="days"):
        ledger(InMemoryBackend(), Clock()).report(days)


# -- limits ------------------------------------------------------------------------


def test_a_daily_limit_is_hit_exactly(backend: Backend, clock: Clock) -> None:
    mine = ledger(backend, clock, daily_tokens=1_000)
    for _ in range(10):
        mine.reserve(100)
    with pytest.raises(UsageLimitError) as caught:
        mine.reserve(1)
    error = caught.value
    assert isinstance(error, BudgetError)
    assert (error.limit, error.used, error.needed, error.budget) == (
        "daily_tokens",
        1_000,
        1,
        1_000,
    )
    assert "daily_tokens" in str(error) and "1,000" in str(error)


def test_a_cost_limit_is_hit_exactly_although_floats_do_not_add_up(
    backend: Backend, clock: Clock
) -> None:
    mine = ledger(backend, clock, daily_cost=0.3)
    for _ in range(3):
        mine.settle(mine.reserve(cost=0.1), Usage(1), cost=0.1)  # 0.1 + 0.1 + 0.1 > 0.3
    with pytest.raises(UsageLimitError) as caught:
        mine.reserve(cost=0.000001)
    assert (caught.value.limit, caught.value.used) == ("daily_cost", 0.3)


def test_settling_replaces_the_reservation_by_what_was_spent(
    backend: Backend, clock: Clock
) -> None:
    mine = ledger(backend, clock, daily_tokens=1_000)
    held = mine.reserve(900, model="m")
    with pytest.raises(UsageLimitError):
        mine.check(200)
    recorded = mine.settle(held, Usage(300, 50))
    assert recorded.cost == pytest.approx(500e-6)  # by the reservation's model
    mine.check(650)
    with pytest.raises(UsageLimitError):
        mine.check(651)


def test_releasing_gives_a_reservation_back(backend: Backend, clock: Clock) -> None:
    mine = ledger(backend, clock, daily_tokens=1_000)
    held = mine.reserve(1_000)
    mine.release(held)
    mine.release(held)
    mine.reserve(1_000)
    assert mine.report().total.calls == 0


def test_a_reservation_is_settled_once(backend: Backend, clock: Clock) -> None:
    mine = ledger(backend, clock)
    held = mine.reserve(100)
    mine.settle(held, Usage(50))
    with pytest.raises(InvalidValueError, match="before"):
        mine.settle(held, Usage(50))
    assert mine.report().total.tokens == 50


def test_a_stale_reservation_expires_and_may_still_be_settled(
    backend: Backend, clock: Clock
) -> None:
    mine = ledger(backend, clock, daily_tokens=1_000)
    held = mine.reserve(1_000)
    clock.pass_(minutes=14, seconds=59)
    with pytest.raises(UsageLimitError):
        mine.check(1)
    clock.pass_(seconds=1)
    mine.check(1_000)
    mine.settle(held, Usage(400))
    mine.check(600)
    with pytest.raises(UsageLimitError):
        mine.check(601)


def test_a_day_begins_at_midnight_utc_and_a_call_counts_on_the_day_it_began(
    backend: Backend, clock: Clock
) -> None:
    clock.now = datetime(2024, 5, 16, 0, 59, tzinfo=timezone(timedelta(hours=1)))  # 23:59 UTC
    mine = ledger(backend, clock, daily_tokens=1_000)
    held = mine.reserve(1_000)
    clock.pass_(minutes=2)
    fresh = mine.reserve(1_000)
    assert (held.day, fresh.day) == ("2024-05-15", "2024-05-16")
    mine.settle(held, Usage(700))
    mine.settle(fresh, Usage(800))
    by_day = {day: line.tokens for day, line in mine.report(2).by_day.items()}
    assert by_day == {"2024-05-15": 700, "2024-05-16": 800}


@pytest.mark.parametrize(
    ("limit", "call", "name"),
    [
        ({"request_tokens": 100}, {"tokens": 101}, "request_tokens"),
        ({"request_cost": 0.001}, {"tokens": 1, "cost": 0.0011}, "request_cost"),
        ({"request_cost": 0.001}, {"tokens": 251, "model": "m"}, "request_cost"),  # all output
        ({"request_cost": 0.001}, {"tokens": Usage(1_001, model="m")}, "request_cost"),
        ({"daily_cost": 0.001}, {"tokens": Usage(0, 251, model="m")}, "daily_cost"),
    ],
    ids=repr,
)
def test_a_single_request_may_be_too_much(
    limit: dict[str, Any], call: dict[str, Any], name: str
) -> None:
    backend = InMemoryBackend()
    mine = ledger(backend, Clock(), **limit)
    with pytest.raises(UsageLimitError) as caught:
        mine.reserve(**call)
    assert caught.value.limit == name
    assert backend.head(Stream(SCOPE.namespace, SESSION)) == 0


def test_the_largest_request_that_is_allowed_is_allowed() -> None:
    mine = ledger(InMemoryBackend(), Clock(), request_tokens=1_000, request_cost=0.001)
    mine.reserve(Usage(1_000, model="m"))
    mine.reserve(250, model="m")


def test_a_cost_limit_without_a_price_is_an_error_that_names_the_model(
    backend: Backend, clock: Clock
) -> None:
    mine = ledger(backend, clock, daily_cost=1.0)
    with pytest.raises(UnknownPriceError, match="mystery") as caught:
        mine.reserve(10, model="mystery")
    assert caught.value.model == "mystery"
    mine.record(Usage(10, model="mystery"))  # it was spent, and is kept
    with pytest.raises(UnknownPriceError, match="mystery"):
        mine.reserve(10, model="m")  # what is left of the day cannot be known
    known = Prices({"mystery": Price(1, 1), "m": Price(1, 1)}, environ={})
    limits = UsageLimits(daily_cost=1.0)
    UsageLedger(backend, SCOPE, prices=known, limits=limits, clock=clock).reserve(10, model="m")


def test_what_was_spent_is_kept_beyond_a_limit_and_the_next_call_is_refused(
    backend: Backend, clock: Clock
) -> None:
    mine = ledger(backend, clock, daily_tokens=100)
    mine.record(Usage(250))
    assert mine.report().total.tokens == 250
    with pytest.raises(UsageLimitError) as caught:
        mine.check(1)
    assert caught.value.used == 250


def test_a_call_says_its_size_where_tokens_are_limited() -> None:
    mine = ledger(InMemoryBackend(), Clock(), daily_tokens=100)
    with pytest.raises(InvalidValueError, match="tokens"):
        mine.reserve(cost=0.1)
    with pytest.raises(InvalidValueError, match="tokens"):
        mine.reserve(-1)


@pytest.mark.parametrize(
    "limit",
    [
        {"daily_tokens": -1},
        {"daily_tokens": 1.5},
        {"daily_cost": float("nan")},
        {"request_tokens": True},
        {"request_cost": "1"},
        {"alert_at": 0.0},
        {"alert_at": 1.1},
    ],
)
def test_limits_that_are_none_are_refused(limit: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(limit))):
        UsageLimits(**limit)


# -- alerts ------------------------------------------------------------------------


def test_crossing_the_threshold_is_told_once_a_day(backend: Backend, clock: Clock) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    def notify(kind: str, **data: Any) -> None:
        told.append((kind, data))

    one = ledger(backend, clock, daily_tokens=1_000, alert_at=0.5, notify=notify)
    two = ledger(backend, clock, daily_tokens=1_000, alert_at=0.5, notify=notify)
    one.record(Usage(499))
    assert told == []
    two.settle(two.reserve(1), Usage(1))
    data = {"limit": "daily_tokens", "day": "2024-05-15", "used": 500, "allowed": 1_000}
    assert told == [("usage.alert", data)]
    for _ in range(2 * CHECKPOINT_EVERY):  # a checkpoint does not forget it either
        one.record(Usage(1))
        two.record(Usage(1))
    ledger(backend, clock, daily_tokens=1_000, alert_at=0.5, notify=notify).record(Usage(1))
    assert len(told) == 1
    clock.pass_(days=1)
    two.record(Usage(600))
    assert [data["day"] for _, data in told] == ["2024-05-15", "2024-05-16"]


def test_each_daily_limit_has_its_alert(backend: Backend, clock: Clock) -> None:
    told: list[str] = []
    mine = ledger(
        backend,
        clock,
        daily_tokens=10_000,
        daily_cost=0.001,
        notify=lambda kind, limit, **data: told.append(limit),
    )
    mine.record(Usage(800, model="m"))
    assert told == ["daily_cost"]
    mine.record(Usage(7_200, model="m"))
    assert told == ["daily_cost", "daily_tokens"]


# -- concurrency -------------------------------------------------------------------


def test_threads_race_for_a_limit_and_take_exactly_what_there_is(
    backend: Backend, clock: Clock
) -> None:
    ledgers = [ledger(backend, clock, daily_tokens=1_000) for _ in range(4)]
    start = threading.Barrier(8)

    def race(n: int) -> int:
        start.wait()
        got = 0
        for _ in range(30):
            try:
                held = ledgers[n % 4].reserve(10)
            except UsageLimitError:
                continue
            got += 1
            ledgers[n % 4].settle(held, Usage(10, model="m"))
        return got

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(race, range(8)))
    assert sum(won) == 100
    for one in (*ledgers, ledger(backend, clock)):
        assert one.report().total.tokens == 1_000
        assert one.report().total.calls == 100


def test_threads_that_only_record_lose_nothing(backend: Backend, clock: Clock) -> None:
    ledgers = [ledger(backend, clock) for _ in range(3)]

    def run(n: int) -> None:
        for _ in range(50):
            ledgers[n % 3].record(Usage(1, 1, model="m"), session=f"s{n}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, range(6)))
    report = ledgers[0].report()
    assert report.total.tokens == 600
    assert {line.calls for line in report.by_session.values()} == {50}


RACER = """
import sys
from datetime import UTC, datetime
from ctxplug.errors import UsageLimitError
from ctxplug.scope import Scope
from ctxplug.storage.sqlite import open_sqlite
from ctxplug.tokens.ledger import UsageLedger
from ctxplug.tokens.limits import UsageLimits
from ctxplug.tokens.usage import Usage

backend = open_sqlite(sys.argv[1])
alerts = []
ledger = UsageLedger(
    backend,
    Scope(("acme",), "s"),
    limits=UsageLimits(daily_tokens=500, alert_at=0.5),
    clock=lambda: datetime(2024, 5, 15, 12, tzinfo=UTC),
    notify=lambda kind, **data: alerts.append(kind),
)
print("ready", flush=True)
sys.stdin.readline()
won = 0
for _ in range(60):
    try:
        held = ledger.reserve(10)
    except UsageLimitError:
        continue
    ledger.settle(held, Usage(10))
    won += 1
backend.close()
print(won, len(alerts))
"""


def test_processes_race_for_a_limit_and_take_exactly_what_there_is(tmp_path: Path) -> None:
    path = str(tmp_path / "shared.db")
    open_sqlite(path).close()
    command = [sys.executable, "-c", RACER, path]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdout and racer.stdout.readline() == "ready\n"
    answers = []
    for racer in racers:  # they wait for a line each, so that they run at the same time
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        out, _ = racer.communicate(timeout=120)
        assert racer.returncode == 0
        answers.append([int(number) for number in out.split()])
    backend = open_sqlite(path)
    total = UsageLedger(backend, Scope(("acme",), "s"), clock=Clock()).report().total
    backend.close()
    assert sum(won for won, _ in answers) == total.calls == 50
    assert total.tokens == 500
    assert sum(alerts for _, alerts in answers) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["reserve", "settle", "release", "wait"]),
            st.integers(0, 400),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=60)
def test_no_sequence_of_calls_exceeds_a_limit(steps: list[tuple[int, str, int]]) -> None:
    """Several ledgers take turns; whoever settles in time and within what it held is fine."""
    backend, clock = InMemoryBackend(), Clock()
    ledgers = [ledger(backend, clock, daily_tokens=1_000) for _ in range(3)]
    held: list[Any] = []
    for n, what, size in steps:
        held = [one for one in held if one.expires_at > clock.now]
        if what == "reserve":
            try:
                held.append(ledgers[n].reserve(size))
            except UsageLimitError as error:
                assert error.used + error.needed > 1_000
        elif what == "wait":
            clock.pass_(minutes=size / 40)
        elif held:
            one = held.pop(size % len(held))
            if what == "release":
                ledgers[n].release(one)
            else:
                ledgers[n].settle(one, Usage(min(size, one.tokens)))
        spent = ledgers[n].report(1).total.tokens
        assert spent + sum(one.tokens for one in held) <= 1_000


# -- cost of a call ----------------------------------------------------------------


def test_a_call_costs_the_same_however_long_the_history_is(clock: Clock) -> None:
    backend = Reads()
    mine = ledger(backend, clock, daily_tokens=10**9)
    reads = []
    for _ in range(1_000):
        before = backend.entries
        mine.settle(mine.reserve(10), Usage(10, model="m"), session="s")
        reads.append(backend.entries - before)
    assert max(reads[1:]) <= 4  # the last known entry, for each of the two
    before = backend.entries
    ledger(backend, clock, daily_tokens=10**9).check(1)
    assert backend.entries - before <= GAP + CHECKPOINT_EVERY + 3


def test_checkpoints_stay_small_however_many_sessions_there_are(clock: Clock) -> None:
    backend = InMemoryBackend()
    mine = ledger(backend, clock)
    for n in range(20 * CHECKPOINT_EVERY):
        mine.record(Usage(1, model="m"), session=f"session-{n}")
        clock.pass_(hours=1)
    checkpoints = backend.read(Stream(SCOPE.namespace, SESSION), kinds=["checkpoint"])
    assert len(checkpoints) == 20
    sizes = [len(entry.body["page"]) + len(entry.body["days"]) for entry in checkpoints]
    assert max(sizes) <= CHECKPOINT_EVERY + 2
    assert mine.report(days=60).total.calls == 20 * CHECKPOINT_EVERY


def test_a_ledger_that_others_left_far_behind_catches_up(clock: Clock) -> None:
    backend = Reads()
    behind, ahead = (ledger(backend, clock, daily_tokens=10**9) for _ in range(2))
    behind.record(Usage(1))
    for _ in range(5_000):
        ahead.record(Usage(1))
    before = backend.entries
    behind.check(1)
    assert backend.entries - before <= GAP + CHECKPOINT_EVERY + 3
    assert behind.report().total.tokens == 5_001


def test_after_an_erasure_the_ledger_starts_anew(backend: Backend, clock: Clock) -> None:
    one, two, three = (ledger(backend, clock, daily_tokens=1_000) for _ in range(3))
    for each in (one, two, three):
        each.record(Usage(300))
    backend.erase(SCOPE.namespace)
    assert one.report().total.calls == 0
    two.reserve(1_000)
    for _ in range(3):
        one.record(Usage(0))
    with pytest.raises(UsageLimitError):
        three.reserve(1)
    assert three.report().total.tokens == 0


# -- async -------------------------------------------------------------------------


async def test_the_async_twins_do_the_same(backend: Backend, clock: Clock) -> None:
    mine = ledger(backend, clock, daily_tokens=1_000)
    outcomes = await asyncio.gather(
        *(mine.areserve(100) for _ in range(15)), return_exceptions=True
    )
    held = [one for one in outcomes if not isinstance(one, BaseException)]
    assert len(held) == 10
    await mine.arelease(held[0])
    await asyncio.gather(*(mine.asettle(one, Usage(100)) for one in held[1:]))
    await mine.arecord(Usage(50))
    await mine.acheck(50)
    assert (await mine.areport()).total.tokens == 950
