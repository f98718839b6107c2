"""Tokens that a caller adds to a request himself: kept free, counted, and told in the report."""

import pytest

from ctxplug import AgentMemory, BudgetError
from ctxplug.errors import InvalidValueError


def filled(budget: int = 2_000) -> AgentMemory:
    memory = AgentMemory.open("memory:", namespace="acme", budget=budget)
    for n in range(60):
        memory.add("user", f"Question {n}: {'word ' * 20}")
        memory.add("assistant", f"回答 {n}：{'好的' * 20}")
    memory.add("user", "And now? 现在呢？")
    return memory


@pytest.mark.parametrize("reserved", [1, 300, 900, 1_700])
def test_what_is_reserved_stays_free(reserved: int) -> None:
    memory = filled()
    window = memory.context(reserved=reserved)
    messages = sum(map(memory.counter.count, window.messages))
    assert messages + memory.counter.request_tokens + reserved == window.tokens
    assert window.tokens <= window.report.limit <= 2_000
    assert window.report.tokens["reserved"] == reserved
    assert window.messages[-1].text == "And now? 现在呢？"


def test_nothing_is_reserved_unless_it_is_said() -> None:
    memory = filled()
    assert memory.context().messages == memory.context(reserved=0).messages
    assert "reserved" not in memory.context().report.tokens


def test_reserving_goes_on_from_the_same_compactions() -> None:
    memory = filled()
    done = memory.context().report.compactions
    assert memory.context(reserved=100).report.compactions <= done + 1
    assert memory.context(reserved=900).report.compactions >= done
    again = memory.beside(session=memory.session.id).context(reserved=900)
    assert again.messages == memory.context(reserved=900).messages


def test_what_cannot_be_reserved() -> None:
    memory = filled()
    with pytest.raises(BudgetError, match="reserved 1999"):
        memory.context(reserved=1_999)
    with pytest.raises(InvalidValueError, match="-1"):
        memory.context(reserved=-1)
