"""Advice in words: a tip and the evidence, said in one of the languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.tracing.step import MODEL
from ctxplug_server.monitoring.advice import words_en, words_zh
from ctxplug_server.monitoring.advice.evidence import Evidence
from ctxplug_server.monitoring.advice.tip import (
    EMPTY_RECALLS,
    NOT_MAINTAINED,
    RETRIED_TOOL,
    SLOW_STEPS,
    Saving,
    Tip,
)

LANGUAGES = ("en", "zh")
_WORDS: dict[str, ModuleType] = {"en": words_en, "zh": words_zh}


@dataclass(frozen=True, slots=True)
class Said:
    """A tip in words: its title, what was seen, why it matters, what to change, what it saves."""

    title: str
    seen: str
    why: str
    change: str
    saving: str


def words_of(lang: str) -> ModuleType:
    """Return the words of a language; raise InvalidValueError if there are none."""
    if lang not in _WORDS:
        raise InvalidValueError(
            f"lang is one of {', '.join(LANGUAGES)}, not {lang!r}.", path="lang"
        )
    return _WORDS[lang]


def said_of(tip: Tip, lang: str = "en") -> Said:
    """Return a tip in words."""
    words = words_of(lang)
    values = {"setting": tip.setting, "session": next(iter(tip.sessions), ""), **tip.data}
    if tip.kind == NOT_MAINTAINED:
        days = tip.data["days"]
        values["last"] = words.NEVER if days is None else words.AGO.format(days=days)
    if tip.kind == SLOW_STEPS:
        values["step"] = words.STEPS.get(tip.data["step"], tip.data["step"])
    if tip.kind in (EMPTY_RECALLS, RETRIED_TOOL):
        values["how"] = words.HOW[_how(tip)].format(**values)
    return Said(
        words.TITLES[tip.kind],
        words.SEEN[tip.kind].format(**values),
        words.WHY[tip.kind].format(**values),
        words.CHANGE[tip.kind].format(**values),
        _saved(tip.saving, words),
    )


def notes_of(evidence: Evidence, lang: str = "en") -> list[str]:
    """Return what could not be looked at, in words."""
    notes: dict[str, str] = words_of(lang).NOTES
    return [notes[key].format(model=evidence.model) for key in _missing(evidence)]


def to_dict(tips: Iterable[Tip], evidence: Evidence, lang: str = "en") -> dict[str, Any]:
    """Return advice as JSON data: figures and words."""
    told = []
    for tip in tips:
        said = said_of(tip, lang)
        words = {name: getattr(said, name) for name in ("title", "seen", "why", "change")}
        told.append({**tip.to_dict(), **words, "saves": said.saving})
    return {
        "namespace": evidence.namespace,
        "at": evidence.now.isoformat(),
        "lang": lang,
        "sessions": len(evidence.sessions),
        "records": len(evidence.records),
        "advice": told,
        "notes": notes_of(evidence, lang),
    }


def _how(tip: Tip) -> str:
    if tip.kind == EMPTY_RECALLS:
        return "without_query" if tip.data["by_meaning"] else "by_meaning"
    if tip.data["failed"] == tip.data["runs"]:
        return "never_works"
    if not tip.data["again"]:
        return "idempotent"
    return "no_retries" if tip.data["failed"] else "longer"


def _saved(saving: Saving | None, words: ModuleType) -> str:
    if saving is None:
        return str(words.NONE)
    parts = []
    for name, form in (
        ("tokens", words.TOKENS),
        ("dollars", words.DOLLARS),
        ("share", words.SHARE),
        ("seconds", words.SECONDS),
    ):
        value = getattr(saving, name)
        if value is not None:
            parts.append(form.format(**{name: value}))
    what = words.LABELS["and"].join(parts)
    return str(words.SAVED[saving.basis].format(what=what))


def _missing(evidence: Evidence) -> Iterator[str]:
    yield from evidence.notes
    if evidence.sessions and not any(seen.steps for seen in evidence.sessions):
        yield "no_steps"
    elif evidence.sessions and not any(True for _ in evidence.steps(MODEL)):
        yield "no_usage"
    elif evidence.model is not None and evidence.price is None:
        yield "no_price"
