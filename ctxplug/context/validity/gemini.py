"""Rules G01 to G06: Gemini `contents`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctxplug.context.validity.fault import Fault

Content = Mapping[str, Any]


def check_gemini(
    contents: Sequence[Content], *, before: Sequence[Content] | None = None
) -> list[Fault]:
    """Return the rules that `contents` break, in snake_case or camelCase.

    `before` are the contents that these were made from: a thought signature that is not
    among theirs has been altered (G06).
    """
    if not contents:
        return [Fault("G01", "contents", "there is no content")]
    faults: list[Fault] = []
    for i, content in enumerate(contents):
        path = f"contents[{i}]"
        previous = contents[i - 1] if i else {}
        following = contents[i + 1] if i + 1 < len(contents) else None
        faults += _part_faults(path, content)
        faults += _call_faults(path, content, previous, following)
    faults += _missing_signatures(contents)
    if before is not None:
        known = {signature for content in before for signature in _signatures(content)}
        faults += _altered_signatures(contents, known)
    return faults


def _part_faults(path: str, content: Content) -> Iterator[Fault]:
    if not content.get("parts"):
        yield Fault("G02", path, "a content has no parts")
    for j, part in enumerate(content.get("parts") or ()):
        if not any(value not in ("", None) for value in part.values()):
            yield Fault("G02", f"{path}.parts[{j}]", "a part is empty")


def _call_faults(
    path: str, content: Content, previous: Content, following: Content | None
) -> Iterator[Fault]:
    calls = _count(content, "function_call", "functionCall")
    answers = _count(content, "function_response", "functionResponse")
    if calls and previous.get("role") != "user":
        yield Fault("G03", path, "a call turn does not follow a user or a response turn")
    if calls and following is not None:
        answered = _count(following, "function_response", "functionResponse")
        if answered != calls:
            yield Fault("G04", path, f"{calls} calls have {answered} responses behind them")
    elif calls:
        yield Fault("G04", path, f"{calls} calls have no responses behind them")
    if answers and not _count(previous, "function_call", "functionCall"):
        yield Fault("G05", path, "a response turn does not follow a call turn")


def _missing_signatures(contents: Sequence[Content]) -> Iterator[Fault]:
    # A model that signs wants the first call of every step since the last user text
    # signed; earlier turns are not looked at.
    start = max((i for i, c in enumerate(contents) if _is_question(c)), default=0)
    steps = [i for i in range(start, len(contents)) if _calls(contents[i])]
    if not any(_signature(part) for i in steps for part in _calls(contents[i])):
        return
    for i in steps:
        if not _signature(_calls(contents[i])[0]):
            yield Fault("G06", f"contents[{i}]", "the first call has no thought_signature")


def _altered_signatures(contents: Sequence[Content], known: set[Any]) -> Iterator[Fault]:
    for i, content in enumerate(contents):
        for signature in _signatures(content):
            if signature not in known:
                yield Fault("G06", f"contents[{i}]", "a thought_signature was altered")


def _is_question(content: Content) -> bool:
    answers = _count(content, "function_response", "functionResponse")
    return content.get("role") == "user" and not answers


def _signatures(content: Content) -> list[Any]:
    found = (_signature(part) for part in content.get("parts") or ())
    return [signature for signature in found if signature]


def _signature(part: Mapping[str, Any]) -> Any:
    return part.get("thought_signature") or part.get("thoughtSignature")


def _calls(content: Content) -> list[Mapping[str, Any]]:
    parts = content.get("parts") or ()
    return [part for part in parts if part.keys() & {"function_call", "functionCall"}]


def _count(content: Content, *keys: str) -> int:
    return sum(1 for part in content.get("parts") or () if part.keys() & set(keys))
