"""What to make of a provider's refusal of an input that is too long."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?<![\d.])\d{1,3}(?:[,_]\d{3})+(?!\d)|(?<![\d.])\d{4,}(?!\d)")
FACTOR = 0.6  # where the error names no numbers
SLACK = 0.95  # of what the numbers allow


def tighter_budget(error: BaseException, counted: int, budget: int) -> int:
    """Return the budget to try again with, after `counted` tokens were refused under `budget`.

    Errors such as "prompt is too long: 210000 tokens > 200000 maximum" say by how much the
    count was off; the two largest numbers are taken for that.
    """
    found = sorted({int(re.sub(r"\D", "", n)) for n in _NUMBER.findall(str(error))}, reverse=True)
    share = FACTOR
    if len(found) > 1 and 0.05 < found[1] / found[0] < 1:
        share = SLACK * found[1] / found[0]
    return max(1, int(min(counted, budget) * share))
