"""How compactions, recalled blocks and those of sections stand in the log, as JSON.

A unit that is sent as it was said is stored by its versions; a changed one with its
messages. Versions are stored as runs, so a digest of a long past stays short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ctxplug.compression import VERBATIM, Unit
from ctxplug.context.recalled import RECALLED, SECTIONS, ids_of, is_recalled, query_of, to_block
from ctxplug.messages import Logged, Message, TextPart
from ctxplug.storage.kept import from_runs, to_runs
from ctxplug.tokens import TokenCounter

MESSAGE = "message"
COMPACTION = "compaction"
CHUNK = 1024  # entries that are read at once
BLOCKS = (RECALLED, SECTIONS)  # kinds of entries that put a block behind a user message


def unit_to_dict(unit: Unit, known: Mapping[int, Logged]) -> dict[str, Any]:
    """Return `unit` as JSON; `known` are the messages as a reader of the log gets them."""
    if unit.form == VERBATIM and all(
        item.version in known and known[item.version].message is item.message for item in unit.items
    ):
        return {"verbatim": [item.version for item in unit.items]}
    return {
        "form": unit.form,
        "sources": to_runs(unit.versions),
        "score": unit.score,
        "items": [
            {"version": i.version, "tokens": i.tokens, "message": i.message.to_dict()}
            for i in unit.items
        ],
    }


def unit_from_dict(
    data: Mapping[str, Any], known: Mapping[int, Logged], recount: TokenCounter | None = None
) -> Unit:
    """Rebuild a unit; `known` holds the messages that it names by version.

    With `recount`, stored counts of another counter are replaced by its own.
    """
    if "verbatim" in data:
        return Unit(tuple(known[version] for version in data["verbatim"]))
    items = []
    for item in data["items"]:
        message = Message.from_dict(item["message"])
        tokens = recount.count(message) if recount else item["tokens"]
        items.append(Logged(item["version"], message, tokens))
    return Unit(tuple(items), data["form"], tuple(from_runs(data["sources"])), data["score"])


def verbatim_versions(units: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return the versions that stored units name, ascending."""
    return sorted({version for unit in units for version in unit.get("verbatim", ())})


def block_to_entry(version: int, block: TextPart) -> tuple[str, dict[str, Any]]:
    """Return the kind and the body of the entry that puts `block` behind a message."""
    body = {"version": version, "text": block.text, "query": query_of(block)}
    if is_recalled(block):
        return RECALLED, {**body, "records": list(ids_of(block))}
    return SECTIONS, {**body, "sections": block.extra["ctxplug"]["sections"]}


def block_from_entry(kind: str, body: Mapping[str, Any]) -> TextPart:
    """Rebuild the block of an entry."""
    if kind == RECALLED:
        return to_block(body["text"], body.get("query", ""), body["records"])
    mark = {"sections": body["sections"], "query": body["query"]}
    return TextPart(body["text"], extra={"ctxplug": mark})
