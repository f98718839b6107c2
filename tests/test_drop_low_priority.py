from __future__ import annotations

from dataclasses import replace

from ctxplug.compression import CompressionTools, Unit, merged, total
from ctxplug.compression.drop_low_priority import DropLowPriority
from ctxplug.messages import Logged, Message
from ctxplug.tokens.estimate import estimate

COUNTER = estimate()
TEXT = "The quick brown fox jumps over the lazy dog, 一只狐狸跳过了懒狗。" * 3


def ref(unit: Unit) -> str:
    first, last = unit.versions[0], unit.versions[-1]
    return f"trip@{first}" if first == last else f"trip@{first}-{last}"


TOOLS = CompressionTools(COUNTER, ref)


def units(*given: tuple[str, float]) -> list[Unit]:
    said = [
        Message("user", TEXT, priority=priority, created_at=i, id=str(i))
        for i, (priority, _) in enumerate(given)
    ]
    return [
        Unit((Logged(i, m, COUNTER.count(m)),), score=score)
        for i, (m, (_, score)) in enumerate(zip(said, given, strict=True), 1)
    ]


def left(after: tuple[Unit, ...]) -> list[int]:
    return [unit.versions[0] for unit in after if unit.form == "verbatim"]


def test_low_priority_goes_first_then_the_lowest_score_then_the_oldest() -> None:
    given = units(("medium", 0.2), ("low", 0.9), ("medium", 0.1), ("medium", 0.2), ("high", 0.0))
    gone = []
    for keep in (4, 3, 2, 1):
        after = DropLowPriority().compress(given, keep * given[0].tokens + 45, TOOLS)
        gone.append(sorted({1, 2, 3, 4, 5} - set(left(after))))
    assert gone == [[2], [2, 3], [1, 2, 3], [1, 2, 3, 4]]


def test_high_priority_never_goes_and_all_that_went_is_named() -> None:
    given = units(("medium", 0.5), ("high", 0.0), *[("medium", 0.5)] * 3)
    after = DropLowPriority().compress(given, 0, TOOLS)
    assert left(after) == [2]
    note = after[0].items[0].message.text
    assert note.startswith("[4 less important messages were left out here: trip@1, trip@3-5;")
    assert note.endswith("all within trip@1-5]")
    assert after[0].sources == (1, 3, 4, 5)


def test_nothing_more_than_needed_is_left_out() -> None:
    given = units(*[("medium", i / 50) for i in range(50)])
    for share in (0.3, 0.7, 0.95):
        target = int(share * total(given))
        after = DropLowPriority().compress(given, target, TOOLS)
        assert target - 2 * given[0].tokens < total(after) <= target


def test_what_was_left_out_before_is_told_in_the_same_unit() -> None:
    given = units(*[("medium", 0.5)] * 8)
    once = DropLowPriority().compress(given, 5 * given[0].tokens + 30, TOOLS)
    twice = DropLowPriority().compress(once, 3 * given[0].tokens + 30, TOOLS)
    notes = [unit for unit in twice if unit.form == "drop-low-priority"]
    assert len(notes) == 1
    assert set(once[0].sources) < set(notes[0].sources)


def test_a_digest_of_many_units_is_not_thrown_away() -> None:
    given = units(*[("medium", 0.9)] * 6)
    digest = replace(merged(given[:2], "digest", TEXT, COUNTER), score=0.0)
    after = DropLowPriority().compress([digest, *given[2:]], 0, TOOLS)
    assert after[0] is digest
    assert len(after) == 2
