"""The words of the interface, English and Chinese; `tests` hold the two against each other."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.inspector.words_en import ENGLISH
from ctxplug.inspector.words_zh import CHINESE

VERSIONS = ("version", "restored", "at")  # values that are no counts
LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "zh": CHINESE}


class Words:
    """The words of one language; calling it with a key and values gives a sentence."""

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise InvalidValueError(
                f"The inspector speaks {', '.join(LANGUAGES)}, not {language!r}.", path="lang"
            )
        self.language = language
        self._words = LANGUAGES[language]

    def __call__(self, key: str, /, **values: Any) -> str:
        """Return the sentence of `key`; numbers are written with separators."""
        shown = {
            name: f"{value:,}" if isinstance(value, int) and name not in VERSIONS else value
            for name, value in values.items()
        }
        return self._words[key].format(**shown)

    def known(self, group: str, name: str) -> str:
        """Return the word of `name` in a group, or the name itself: a plugin may have given it."""
        return self._words.get(f"{group}.{name}", name)


def language() -> str:
    """Return the language of the environment: Chinese where it says so, else English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "zh" if (locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"
