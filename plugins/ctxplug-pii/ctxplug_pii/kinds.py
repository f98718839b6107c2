"""The kinds of data that are found, how sensitive each is, and their placeholders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Kind -> its class in the audit log and its compliance tags. What is found first comes first:
# a number that is a resident identity number is not a card.
KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "key": ("restricted", ("secret",)),
    "email": ("confidential", ("pii",)),
    "cn-id": ("restricted", ("pii",)),
    "iban": ("restricted", ("pii",)),
    "card": ("restricted", ("pci",)),
    "us-ssn": ("restricted", ("pii",)),
    "ip": ("confidential", ("pii",)),
    "phone": ("confidential", ("pii",)),
}
PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(KINDS)})(?:-[0-9a-f]{{8}})?\]")


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch of text; `value` is what it says, however it was written."""

    start: int
    end: int
    kind: str
    value: str
