"""What the conformance suites share: the rule for overriding, odd texts, and threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

T = TypeVar("T")
THREADS = 8
SECONDS = 120.0  # after which a thread counts as hanging; nothing is measured by it
ROOM = __name__.rpartition(".")[0]

ODD_TEXTS = (
    *("", " \n\t", "\0", "a\0b", "\ud800", "好\udfff好", "\u202e\u2028\x85", "e\u0301 is not é"),
    *(
        "👩\u200d👩\u200d👧 😀",
        "！？，。",
        "مرحبا، नमस्ते",
        "x = f(a_b, 'c')  # 4711",
        "{{7*7}} %s '; --",
    ),
    *("<|endoftext|>", "[INST] </s>", '{"a": [1, null, "中"', "\\d+(?P<x>", "[" * 500),
)
PROSE = "Ms. Ann Lee paid $1,250.00 for invoice 4711 on 2024-05-15. "
CHINESE = "王芳经理在五月十五日支付了发票 4711 的 1,250.00 元。"


def examples(count: int) -> settings:
    """Return settings for a property test of `count` examples.

    A fixture makes what keeps nothing between examples: that is what is tested.
    """
    return settings(
        deadline=None,
        max_examples=count,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )


def not_overridden(fixture: str, what: str) -> NotImplementedError:
    """Return the error of a suite whose one fixture was left as it is."""
    return NotImplementedError(
        f"Override the fixture {fixture!r} in your subclass and return {what} to test."
    )


class Suite:
    """A conformance suite: subclass it, override its fixture, inherit its tests."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a subclass that replaces a law without a reason."""
        super().__init_subclass__(**options)
        replaced = [name for name in vars(cls) if _is_replaced(cls, name)]
        if replaced:
            raise TypeError(
                f"{cls.__name__} replaces {', '.join(replaced)} of its suite. A law that cannot be"
                " kept is overridden with a test that is marked"
                " @pytest.mark.xfail(reason='...'), or not at all."
            )


def _is_replaced(suite: type, name: str) -> bool:
    """Say whether `suite` overrides the law `name` without a reason."""
    laws = [cls for cls in suite.__mro__[1:] if name in vars(cls)]
    if not name.startswith("test_") or not laws or suite.__module__.startswith(f"{ROOM}."):
        return False
    marks = getattr(vars(suite)[name], "pytestmark", ())
    return not any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)


def from_threads(call: Callable[[int], T], count: int = THREADS) -> list[T]:
    """Return what `call(0)`, `call(1)`, ... give in threads that start together.

    The interpreter switches between them as often as it can, so that what is shared without
    a lock is felt. Raises what one of them raised, and AssertionError if one hangs.
    """
    start = threading.Barrier(count)
    found: dict[int, T] = {}
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(SECONDS)
            found[number] = call(number)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    with _switching_often():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
    hanging = sum(thread.is_alive() for thread in threads)
    assert not hanging, f"it is not usable from threads: {hanging} of {count} calls hang"
    if failures:
        raise AssertionError(
            f"it is not usable from threads: {len(failures)} of {count} calls raised, the first"
            f" {failures[0]!r}"
        ) from failures[0]
    return [found[number] for number in range(count)]


@contextmanager
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Fail with a sentence where what is tested raises at `what`."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as exc:
        raise AssertionError(f"it has to take {what}, and raised {exc!r:.200}") from exc


def kind_of(value: Any) -> str:
    """Return the name of a value's type, for messages."""
    return type(value).__name__
