"""What plugins say before an item is stored: redacted first, then judged, as any memory is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ctxplug import codec
from ctxplug.errors import GuardError, InvalidValueError
from ctxplug.guards import Guards
from ctxplug.plugins import Plugins
from ctxplug.scope import Scope
from langchain_ctxplug.store_items import Draft, record_of


class Admission:
    """The guards of `plugins`, for the items of one store."""

    def __init__(self, plugins: Plugins, scope: Scope) -> None:
        self._guards = Guards(plugins)
        self._scope = scope
        self._redacts = bool(plugins.implementations("redact"))
        self._judges = bool(plugins.implementations("judge_memory"))

    def admitted(self, draft: Draft, now: datetime) -> Mapping[str, Any]:
        """Return the draft's value as it may be stored, or raise GuardError.

        A judge sees the record with the value as JSON, and may put another object there.
        """
        value = self._redacted(draft.value)
        if not self._judges:
            return dict(value)
        record = record_of(Draft(draft.path, draft.location, draft.key, value, draft.fields), now)
        judged = self._guards.judge(record, self._scope)
        if judged.content == record.content:
            return dict(value)
        try:
            changed = codec.decode(judged.content)
        except InvalidValueError as exc:
            raise _unreadable(draft, judged.content) from exc
        if not isinstance(changed, dict):
            raise _unreadable(draft, judged.content)
        return dict(self._redacted(changed))

    def _redacted(self, value: Any) -> Any:
        if not self._redacts:
            return value
        if isinstance(value, str):
            return self._guards.redact(value, self._scope)
        if isinstance(value, dict):
            return {key: self._redacted(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._redacted(inner) for inner in value]
        return value


def _unreadable(draft: Draft, content: str) -> GuardError:
    return GuardError(
        f"A plugin's judge_memory made {content!r:.80} of the item {draft.key!r:.60}, which is no"
        " JSON object. Nothing was stored.",
        plugin="judge_memory",
    )
