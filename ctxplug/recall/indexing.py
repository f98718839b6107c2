"""What is indexed of a text: its terms, single Chinese characters, and who said it."""

from __future__ import annotations

import re
from functools import lru_cache

from ctxplug.recall.text import terms
from ctxplug.recall.traits import traits

NAME_MARK = "^"  # begins a term of the speaker's name; no term of a text begins with it
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def index_form(text: str, name: str | None = None) -> tuple[str, int]:
    """Return the `terms` and `traits` under which a text is stored (`Append`, `Put`).

    Besides the terms of the text these are its Chinese characters one by one, so that a
    query of one character finds it, and the words of the speaker's `name`, marked.
    """
    found = terms(text)
    if not text.isascii():
        held = set(found)
        found += [c for c in dict.fromkeys(HAN.findall(text)) if c not in held]
    if name:
        found += name_terms(name)
    return " ".join(found), int(traits(text))


@lru_cache(1024)
def name_terms(name: str) -> tuple[str, ...]:
    """Return the marked terms of a speaker's name."""
    return tuple(f"{NAME_MARK}{term}" for term in dict.fromkeys(terms(name)))
