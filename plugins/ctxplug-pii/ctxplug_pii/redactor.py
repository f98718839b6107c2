"""Redactor: what a memory asks before it stores a text, and when it audits a record."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Iterator, Sequence

from ctxplug import hookimpl
from ctxplug.audit import LEVELS
from ctxplug.errors import InvalidValueError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, Scope
from ctxplug_pii.finding import REGIONS, finders, found, found_in_each
from ctxplug_pii.json_text import Leaf, changed_json, is_json
from ctxplug_pii.kinds import KINDS, PLACEHOLDER, Found

SHORTEST_SECRET = 16  # bytes: a shorter key can be tried out, and with it every phone number
_KEY_BEFORE = re.compile(r'"\s*:\s*\Z')  # what stands before a number of JSON inside prose
_AFTER = re.compile(r"\s*[,}\]\n]|\Z")


class Redactor:
    """Take personal data and secrets out of texts; register it as a plugin, or call `clean`.

    `kinds` are some of KINDS. Each find becomes its kind, such as "[email]"; with a `secret` (16
    bytes or more) it becomes a pseudonym such as "[email-3f9c01ab]", the same for one value in
    one namespace however it was written, and another in every other namespace. `regions` are
    those whose phone numbers are found without "+". Never changes; usable from any thread.
    Raises InvalidValueError for kinds or regions that do not exist and for a short secret.
    """

    def __init__(
        self,
        *,
        kinds: Collection[str] = tuple(KINDS),
        regions: Sequence[str] = REGIONS,
        secret: str | bytes | None = None,
    ) -> None:
        if isinstance(secret, str):
            secret = secret.encode("utf-8", "surrogatepass")
        if secret is not None and len(secret) < SHORTEST_SECRET:
            raise InvalidValueError(
                f"A secret for pseudonyms has {SHORTEST_SECRET} bytes or more, not {len(secret)};"
                " make one with `python -c 'import secrets; print(secrets.token_hex(32))'`.",
                path="secret",
            )
        self.kinds = tuple(kind for kind in KINDS if kind in kinds)
        self._finders = finders(kinds, regions)
        self._every = finders(KINDS, regions)
        self._secret = secret

    @hookimpl
    def redact(self, text: str, scope: Scope) -> str | None:
        """Return `text` without what is found in it, or None where nothing is."""
        cleaned = self.clean(text, scope.namespace)
        return None if cleaned == text else cleaned

    @hookimpl
    def classify(self, record: MemoryRecord) -> tuple[str, list[str]] | None:
        """Return the class and tags of what a record still holds; "internal" if all is taken out.

        Every kind counts, also those that are not redacted.
        """
        texts = [record.content, *record.tags, *_texts(record.metadata)]
        kinds = {one.kind for text in texts for one in self._all(text)}
        if kinds:
            tags = {tag for kind in kinds for tag in KINDS[kind][1]}
            return max((KINDS[kind][0] for kind in kinds), key=LEVELS.index), sorted(tags)
        if any(PLACEHOLDER.search(text) for text in texts):
            return "internal", ["redacted"]
        return None

    def find(self, text: str) -> list[Found]:
        """Return what would be taken out of plain `text`, by place; JSON is not read as such."""
        return found(text, self._finders)

    def clean(self, text: str, namespace: Namespace = ()) -> str:
        """Return `text` with a placeholder for all that is found; JSON stays JSON.

        Cleaning twice is cleaning once.
        """
        cleaned = self._all_cleaned([(text, "")], namespace)[0]
        if is_json(text):
            return cleaned
        return cleaned if cleaned == text else self.clean(cleaned, namespace)

    def _all_cleaned(self, leaves: Sequence[Leaf], namespace: Namespace) -> list[str]:
        """Return the texts of `leaves` without what is found, those that are JSON as JSON.

        All are looked through as one text: much faster, where there are many.
        """
        result = [text for text, _ in leaves]
        left = []
        for i, (text, _) in enumerate(leaves):
            if is_json(text):
                result[i] = changed_json(text, lambda told: self._all_cleaned(told, namespace))
            else:
                left.append(i)
        while left:  # what was taken out may let something else be seen
            before = [f"{leaves[i][1]}: " if leaves[i][1] else "" for i in left]
            finds = found_in_each(
                [b + result[i] for b, i in zip(before, left, strict=True)], self._finders
            )
            changed = []
            for i, lead, here in zip(left, map(len, before), finds, strict=True):
                cleaned = self._without(result[i], here, lead, namespace)
                if cleaned != result[i]:
                    result[i] = cleaned
                    changed.append(i)
            left = changed
        return result

    def _without(self, text: str, finds: Sequence[Found], lead: int, namespace: Namespace) -> str:
        parts, end = [], 0
        for one in finds:
            start = one.start - lead
            if start >= end:  # else it is in the key, which is cleaned by itself
                parts += [text[end:start], self._placeholder(one, text, start, namespace)]
                end = one.end - lead
        return "".join([*parts, text[end:]])

    def _placeholder(self, one: Found, text: str, start: int, namespace: Namespace) -> str:
        name = one.kind
        if self._secret is not None:
            said = json.dumps([*namespace, one.kind, one.value])
            digest = hmac.new(self._secret, said.encode(), hashlib.sha256).hexdigest()
            name = f"{one.kind}-{digest[:8]}"
        end = start + one.end - one.start
        bare = text[start:end].isdecimal() and _KEY_BEFORE.search(text, max(0, start - 8), start)
        return f'"[{name}]"' if bare and _AFTER.match(text, end) else f"[{name}]"

    def _all(self, text: str) -> list[Found]:
        return found(text, self._every)


def _texts(value: object) -> Iterator[str]:
    """Yield the texts and numbers in JSON data as texts, keys included."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield str(value)
