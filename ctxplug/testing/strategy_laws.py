"""The rules of compression strategies, one test each, on conversations that are always the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy

from hypothesis import given

from ctxplug.compression import VERBATIM, CompressionStrategy, Unit, total
from ctxplug.context.law import DROP
from ctxplug.messages import Logged, Message, ThinkingPart
from ctxplug.testing.strategy_data import (
    COUNTER,
    conversations,
    ref,
    tools_for_tests,
    units_of,
    working_histories,
)
from ctxplug.testing.suite import Suite, answering, examples, from_threads, kind_of

Units = tuple[Unit, ...]
_SHARES = (20, 60)  # percent of the tokens that are asked for


class StrategyLaws(Suite):
    """One test for each rule of `ctxplug.compression.strategy`."""

    def test_it_is_a_strategy_with_a_name(self, strategy: CompressionStrategy) -> None:
        """It has `name` and `compress`, and is not called verbatim."""
        assert isinstance(strategy, CompressionStrategy), (
            f"a {kind_of(strategy)} has no `name`, or no method compress(units, target, tools)"
        )
        assert strategy.name and strategy.name != VERBATIM, (
            f"{strategy.name!r} is no name for a strategy: it stands on what it has changed"
        )

    def test_no_units_give_no_units(self, strategy: CompressionStrategy) -> None:
        """Nothing in, nothing out."""
        with answering("a window without units"):
            found = tuple(strategy.compress((), 0, tools_for_tests()))
        assert not found, f"of no units it made {len(found)}"

    def test_it_gives_units(self, strategy: CompressionStrategy) -> None:
        """A sequence of `Unit` with messages in them."""
        for _, after in _compressed(strategy):
            odd = [kind_of(unit) for unit in after if not isinstance(unit, Unit) or not unit.items]
            assert not odd, f"it gave {', '.join(odd)} where units with messages are wanted"

    def test_the_same_arguments_give_the_same(self, strategy: CompressionStrategy) -> None:
        """Rule 1: byte for byte, or the prompt cache is lost with every call."""
        first, again = (
            [list(map(said, after)) for _, after in _compressed(strategy)] for _ in range(2)
        )
        assert first == again, "asked again, it gave something else"

    def test_nothing_that_is_passed_in_is_changed(self, strategy: CompressionStrategy) -> None:
        """Rule 1: the units are those of the log."""
        for name, units in conversations().items():
            before = deepcopy(units)
            strategy.compress(units, total(units) // 5, tools_for_tests())
            assert units == before, f"it changed the units of the conversation {name!r}"

    def test_calls_and_their_results_stay_together(self, strategy: CompressionStrategy) -> None:
        """Rule 2: a unit keeps its calls and results, or has none; providers refuse halves."""
        for before, after in _compressed(strategy):
            known = [_calls(unit) for unit in before]
            for unit in after:
                asked, answered = _calls(unit)
                assert sorted(asked) == sorted(answered), (
                    f"it took calls and results apart: {asked} were asked, {answered} answered"
                )
                assert not asked or any(asked == calls for calls, _ in known), (
                    f"it made a unit with the calls {asked}, which no unit had"
                )

    def test_thinking_is_not_edited(self, strategy: CompressionStrategy) -> None:
        """Rule 2: its signature fits the message as it was; a changed one drops it whole."""
        for before, after in _compressed(strategy):
            kept = [
                item.version
                for item in _changed(before, after)
                if any(isinstance(part, ThinkingPart) for part in item.message.content)
            ]
            assert not kept, f"it changed the messages {kept} and kept their thinking"

    def test_it_never_grows(self, strategy: CompressionStrategy) -> None:
        """Rule 3, whatever the target."""
        for before, after in _compressed(strategy, shares=(0, 20, 99)):
            assert total(after) <= total(before), (
                f"it grew from {total(before)} to {total(after)} tokens"
            )

    def test_tokens_are_counted_and_not_claimed(self, strategy: CompressionStrategy) -> None:
        """Rule 3: a changed message has the tokens that `tools.counter` counts."""
        for before, after in _compressed(strategy):
            for item in _changed(before, after):
                counted = COUNTER.count(item.message)
                assert item.tokens >= counted, (
                    f"it says {item.tokens} tokens of a message that has {counted}"
                )

    @examples(20)
    @given(messages=working_histories())
    def test_nothing_is_changed_where_the_target_is_met(
        self, strategy: CompressionStrategy, messages: list[Message]
    ) -> None:
        """Rule 3: a strategy stops once the target is met."""
        units = units_of(messages)
        found = tuple(strategy.compress(units, total(units), tools_for_tests()))
        assert found == units, "it changed units that already were at the target"

    def test_no_version_disappears(self, strategy: CompressionStrategy) -> None:
        """Rule 4: what stands for a message says so, or the original cannot be asked for."""
        for before, after in _compressed(strategy):
            was = {version for unit in before for version in unit.versions}
            left = [version for unit in after for version in unit.versions]
            assert len(left) == len(set(left)), "a version is in two units"
            assert set(left) <= was, f"the versions {sorted(set(left) - was)} are made up"
            assert strategy.name == DROP or set(left) == was, (
                f"the versions {sorted(was - set(left))} are in no unit's sources"
            )

    def test_order_is_kept(self, strategy: CompressionStrategy) -> None:
        """Rule 4: what was said first stands first."""
        for _, after in _compressed(strategy):
            places = [unit.versions[0] for unit in after]
            assert places == sorted(places), f"the units stand in another order: {places}"

    def test_a_changed_unit_says_what_it_is(self, strategy: CompressionStrategy) -> None:
        """Rule 4: the strategy's name as form, its sources, and the reference in its text."""
        for before, after in _compressed(strategy):
            known = {unit.versions: unit for unit in before}
            for unit in after:
                if unit == known.get(unit.versions):
                    continue
                assert unit.form == strategy.name, (
                    f"a changed unit has the form {unit.form!r} instead of {strategy.name!r}"
                )
                assert unit.sources, "a changed unit does not name its sources"
                text = "\n".join(item.message.text for item in unit.items)
                wanted = ref(known.get(unit.versions, unit))
                assert wanted in text, f"a changed unit lacks its reference {wanted!r}"

    def test_nothing_is_kept_of_another_conversation(self, strategy: CompressionStrategy) -> None:
        """Rule 1: what other users said is no argument."""
        talk, *others = conversations().values()
        before = _made(strategy, talk)
        for units in others:
            _made(strategy, units)
        assert _made(strategy, talk) == before, "after another conversation it gives something else"

    def test_no_other_conversation_is_told_of(self, strategy: CompressionStrategy) -> None:
        """Rule 1: versions, ids and references are the same in many conversations."""
        for name, units in conversations().items():
            _made(strategy, conversations("ZEBRA-7319 ")[name])
            assert "ZEBRA-7319" not in str(_made(strategy, units)), (
                "it tells of another conversation: versions and ids are no key for a cache"
            )

    def test_it_gives_the_same_from_several_threads(self, strategy: CompressionStrategy) -> None:
        """Windows of many users are made at once, with one strategy."""
        talks = list(conversations().values())
        expected = [_made(strategy, units) for units in talks]
        found = from_threads(lambda n: _made(strategy, talks[n % len(talks)]))
        for n, made in enumerate(found):
            assert made == expected[n % len(talks)], "other threads got other units"


def said(unit: Unit) -> tuple[object, ...]:
    """Return what can be compared of a unit: all but the times of new messages."""
    return unit.form, unit.sources, [repr(item.message.to_dict()) for item in unit.items]


def _compressed(
    strategy: CompressionStrategy, shares: Sequence[int] = _SHARES
) -> Iterator[tuple[Units, Units]]:
    """Yield each conversation before and after."""
    for units in conversations().values():
        for share in shares:
            target = total(units) * share // 100
            yield units, tuple(strategy.compress(units, target, tools_for_tests()))


def _made(strategy: CompressionStrategy, units: Units) -> list[tuple[object, ...]]:
    return list(map(said, strategy.compress(units, total(units) // 5, tools_for_tests())))


def _calls(unit: Unit) -> tuple[list[str], list[str]]:
    asked = [call.id for item in unit.items for call in item.message.tool_calls]
    answered = [result.call_id for item in unit.items for result in item.message.tool_results]
    return asked, answered


def _changed(before: Units, after: Units) -> Iterator[Logged]:
    known = {id(item) for unit in before for item in unit.items}
    for unit in after:
        yield from (item for item in unit.items if id(item) not in known)
