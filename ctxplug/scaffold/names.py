"""From the name that somebody gives to all the names that a plugin has."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from ctxplug.errors import InvalidValueError

PREFIX = "ctxplug"
LONGEST = 28  # characters of the distribution's: lines that hold a name stay under 100
# What the templates call things: a function of that name would stand in its place.
_OWN = frozenset("annotations command date roles sorted str tool typer".split())  # noqa: SIM905
_NAME = re.compile(r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE | re.ASCII)
_RUNS = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Names:
    """What a plugin is called: as a `distribution`, as a `module`, and in a spec (`name`).

    `name` is the entry point and the component too, `word` is the same as an identifier.
    """

    distribution: str
    module: str
    name: str

    @property
    def word(self) -> str:
        """The name as an identifier."""
        return self.name.replace("-", "_")


def names_of(given: str) -> Names:
    """Return the names that follow from `given`, such as "Support" or "acme-ctxplug-pii".

    It is normalised as PEP 503 says. The distribution's begins with "ctxplug-" unless
    "ctxplug" is a part of it already; `name` is without that part. Raises InvalidValueError for
    a name that no distribution can have, or of which no Python name can be made.
    """
    if not _NAME.fullmatch(given):
        raise _invalid(
            given, "is made of the letters a to z, digits and - . _, a letter or digit at both ends"
        )
    parts = _RUNS.sub("-", given).lower().split("-")
    name = "-".join(part for part in parts if part != PREFIX)
    if not name:
        raise _invalid(given, "says what the plugin does, such as 'support'")
    if not name[0].isalpha():
        raise _invalid(given, "begins with a letter, as functions are named for it")
    whole = "-".join(parts if PREFIX in parts else (PREFIX, *parts))
    if len(whole) > LONGEST:
        raise _invalid(given, f"has at most {LONGEST} characters, and {whole!r} has {len(whole)}")
    names = Names(whole, whole.replace("-", "_"), name)
    if keyword.iskeyword(names.word):
        raise _invalid(given, "is no keyword of Python, as functions are named for it")
    if names.word in _OWN:
        raise _invalid(given, "is none that the new plugin's own code uses")
    return names


def _invalid(given: str, rule: str) -> InvalidValueError:
    return InvalidValueError(
        f"{given!r:.80} cannot name a plugin: a name {rule}. Choose another.", path="name"
    )
