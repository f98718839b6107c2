"""Laws of what a block records of the messages that it is handed over again and again."""

from __future__ import annotations

from collections.abc import Sequence

from ctxplug_llamaindex.unseen import behind, beyond, leaving, unshared
from hypothesis import assume, given
from hypothesis import strategies as st

SAYS = st.lists(st.sampled_from("abcde"), max_size=12)


@given(log=SAYS, fresh=SAYS, start=st.integers(0, 12))
def test_a_history_that_goes_on_from_the_log_adds_what_is_after_it(
    log: Sequence[str], fresh: Sequence[str], start: int
) -> None:
    """Without repetitions, where it is certain what goes on where."""
    log = [f"{n}{one}" for n, one in enumerate(log)]
    fresh = [f"{n}{one}" for n, one in enumerate(fresh, start=100)]
    given_ = [*log[start:], *fresh]
    after = [*log, *fresh]
    for row, new in ((log, fresh), (after, [])):
        places = beyond(row, given_)
        if places is None:
            assert start >= len(log)  # they share nothing
            places = unshared(row, given_)
        assert [given_[place] for place in places] == list(new)
    assert beyond(log, fresh, put=True) == list(range(len(fresh)))
    assert unshared(after, given_) == []


@given(said=SAYS, left=st.integers(0, 12), recorded=st.integers(0, 12))
def test_behind_what_left_a_history_lacks_what_was_said_since_whatever_it_repeats(
    said: list[str], left: int, recorded: int
) -> None:
    history, since = said[left:], said[left : left + recorded]
    assert behind(since, history) == list(range(len(since), len(history)))
    assert behind(history, history[:-1]) == []  # of a chat store that is ahead
    assert behind(["x", *since], history) == (None if len(history) or since else [])


@given(said=SAYS, recorded=st.integers(0, 12), cuts=st.lists(st.integers(0, 4), max_size=8))
def test_what_leaves_piece_by_piece_ends_up_in_the_log_once_whatever_it_repeats(
    said: list[str], recorded: int, cuts: list[int]
) -> None:
    log, left, start = said[:recorded], 0, 0  # what was read before it left
    for cut in cuts:
        piece, start = said[start : start + cut], start + cut
        if not piece:
            continue
        # The very same once more, right behind itself, passes for a put that is tried again.
        assume(left < len(log) or log[len(log) - len(piece) :] != piece)
        place = leaving(log, piece, left)
        assert place is not None
        known, end = place
        log += piece[known:]
        left = len(log) if known < len(piece) else end
        assert log == said[: len(log)] and left == min(start, len(said))


@given(log=st.lists(st.sampled_from("ab"), max_size=8), new=st.lists(st.sampled_from("ab")))
def test_what_was_recorded_is_not_recorded_again(log: list[str], new: list[str]) -> None:
    places = beyond(log, new)
    after = [*log, *(new[place] for place in (unshared(log, new) if places is None else places))]
    assert beyond(after, after) == unshared(after, after) == []
    assert set(new) <= set(after)
    assert leaving(after, after[:3], 0) == (min(3, len(after)), min(3, len(after)))
