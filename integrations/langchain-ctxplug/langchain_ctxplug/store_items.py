"""How an item of a LangGraph store is kept: as one record, and one more for each further vector.

The record's content is the item's value as JSON; its words are those of the indexed fields. It
has the vector of the first indexed text. Where there are several (`sections[*].text`), each
further one is a record without words and content beside it, and the nearest of them counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from langgraph.store.base import Item, SearchItem, get_text_at_path

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.recall.indexing import index_form
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Delete, Embed, Expect, Op, Put
from langchain_ctxplug.store_vectors import Rows

ITEM = "item"
TEXT = "item-text"
WHOLE = "$"


@dataclass(frozen=True, slots=True)
class Draft:
    """An item that is to be stored; a `value` of None deletes it.

    `fields` are those indexed, `texts` what is to have a vector, `ttl` in minutes.
    """

    path: tuple[str, ...]
    location: Namespace
    key: str
    value: Mapping[str, Any] | None
    fields: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    ttl: float | None = None

    @property
    def id(self) -> str:
        """The id of the item's record."""
        return item_id(self.key)


def item_id(key: str) -> str:
    """Return the id of the record of the item `key`."""
    return f"{ITEM}:{key}"


def text_id(place: int, key: str) -> str:
    """Return the id of the record that has the vector of an item's text number `place`."""
    return f"{TEXT}:{place}:{key}"


def key_of(record_id: str) -> str:
    """Return the key of the item that a record, or one with a further vector, is of."""
    kind, _, rest = record_id.partition(":")
    return rest if kind == ITEM else rest.partition(":")[2]


def checked_fields(index: Any, default: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields that an `index` argument names; raise InvalidValueError if it is none."""
    if index is None:
        return default
    if index is False:
        return ()
    if isinstance(index, list | tuple) and all(isinstance(p, str) and p for p in index):
        return tuple(index)
    raise InvalidValueError(
        f"index is False, None or a list of fields such as ['text', 'parts[*].title'], not"
        f" {index!r:.80}.",
        path="index",
    )


def checked_ttl(ttl: Any, now: datetime) -> float | None:
    """Return `ttl`, a number of minutes above zero; raise InvalidValueError on anything else."""
    if ttl is None:
        return None
    if (
        isinstance(ttl, int | float)
        and not isinstance(ttl, bool)
        and math.isfinite(ttl)
        and ttl > 0
    ):
        try:
            now + timedelta(minutes=ttl)
            return float(ttl)
        except OverflowError:
            pass
    raise InvalidValueError(
        f"ttl is a number of minutes above zero, or None for an item that stays, not {ttl!r}.",
        path="ttl",
    )


def checked_value(value: Any) -> dict[str, Any]:
    """Return a deep copy of an item's `value` as JSON, or raise InvalidValueError."""
    if not isinstance(value, Mapping):
        raise InvalidValueError(
            f"An item's value is a dict with text keys, not {value!r:.80}.", path="value"
        )
    copy: dict[str, Any] = codec.plain(value, "value")
    return copy


def texts_of(value: Mapping[str, Any], fields: Sequence[str]) -> tuple[str, ...]:
    """Return the texts of `fields` that get a vector each, without doubles."""
    found = [text for field in fields for text in get_text_at_path(value, field)]
    return tuple(dict.fromkeys(text for text in found if text))


def words_of(value: Mapping[str, Any], fields: Sequence[str]) -> str:
    """Return the text of `fields` by whose words an item is found."""
    return "\n".join(
        line
        for field in fields
        for line in (_lines(value) if field == WHOLE else get_text_at_path(value, field))
    )


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _lines(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _lines(inner)
    elif value is not None:
        yield str(value)


def value_of(record: MemoryRecord) -> dict[str, Any]:
    """Return a fresh copy of the value that `record` holds."""
    value: dict[str, Any] = codec.decode(record.content)
    return value


def path_of(record: MemoryRecord) -> tuple[str, ...]:
    """Return the LangGraph namespace of the item."""
    return tuple(record.metadata["namespace"])


def ttl_of(record: MemoryRecord) -> float | None:
    """Return for how many minutes the item lives, from each use on; None: it stays."""
    ttl: float | None = record.metadata.get("ttl")
    return ttl


def fields_of(record: MemoryRecord) -> tuple[str, ...]:
    """Return the fields that are indexed."""
    return tuple(record.metadata.get("index", ()))


def item_of(record: MemoryRecord) -> Item:
    """Return the item that `record` is."""
    return Item(**_parts(record))


def search_item_of(record: MemoryRecord, score: float | None) -> SearchItem:
    """Return the item that `record` is, as `search` gives it."""
    return SearchItem(**_parts(record), score=score)


def _parts(record: MemoryRecord) -> dict[str, Any]:
    return {
        "value": value_of(record),
        "key": key_of(record.id),
        "namespace": path_of(record),
        "created_at": datetime.fromisoformat(record.metadata["created_at"]),
        "updated_at": record.created_at,
    }


def record_of(draft: Draft, now: datetime, old: MemoryRecord | None = None) -> MemoryRecord:
    """Return the record of `draft`, in place of `old`; the item keeps its time of creation."""
    alive = old is not None and (old.expires_at is None or old.expires_at > now)
    metadata: dict[str, Any] = {
        "namespace": list(draft.path),
        "created_at": old.metadata["created_at"] if old and alive else now.isoformat(),
        "index": list(draft.fields),
    }
    if draft.ttl is not None:
        metadata["ttl"] = draft.ttl
    return MemoryRecord(
        namespace=draft.location,
        id=draft.id,
        kind=ITEM,
        content=codec.encode(draft.value).decode("utf-8", "surrogatepass"),
        tier="long",
        metadata=metadata,
        created_at=now,
        expires_at=None if draft.ttl is None else now + timedelta(minutes=draft.ttl),
        origin="tool:langgraph",
        made_by="langgraph",
    )


def operations(
    draft: Draft, record: MemoryRecord | None, old: MemoryRecord | None, rows: Rows, embedder: str
) -> Iterator[Op]:
    """Yield what replaces `old` by `record` (None: deletes it) if `old` is still there.

    It gets the vectors of the draft's texts that are in `rows`.
    """
    if record is None and old is None:
        return
    yield Expect(draft.location, draft.id, old)
    texts = [text for text in draft.texts if text in rows.documents]
    before = old.metadata.get("texts", 0) if old else 0
    for place in range(max(1, len(texts)), before):
        yield Delete(draft.location, text_id(place, draft.key))
    if record is None:
        yield Delete(draft.location, draft.id)
        return
    text = words_of(draft.value or {}, draft.fields)
    terms, traits = index_form(text) if text else (None, 0)
    if texts:
        record = record.evolve(metadata={**record.metadata, "texts": len(texts)})
    yield Put(record, terms or None, traits)
    for place, text in enumerate(texts):
        id = text_id(place, draft.key) if place else draft.id
        if place:
            yield Put(_text_record(record, id))
        yield Embed(draft.location, id, embedder, rows.documents[text])


def _text_record(record: MemoryRecord, id: str) -> MemoryRecord:
    return MemoryRecord(
        namespace=record.namespace,
        id=id,
        kind=TEXT,
        content="",
        tier="long",
        created_at=record.created_at,
        origin=record.origin,
        made_by=record.made_by,
    )
