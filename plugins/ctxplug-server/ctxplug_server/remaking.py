"""The answer to a request that was done, made again from what it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctxplug import codec
from ctxplug.messages import Message
from ctxplug.records import MemoryRecord
from ctxplug.storage import Backend, Entry, Stream
from ctxplug_server.idempotency import Answer, Once
from ctxplug_server.wire import to_json

__all__ = ["is_made_again", "made_again"]

LOOKED_AT = 10_000  # entries, from the newest


def is_made_again(once: Once) -> bool:
    """Say whether the answer can be made of what the request wrote, and need not be kept."""
    return once.adds or once.remembers or once.method == "DELETE"


def made_again(store: Backend, once: Once, mark: MemoryRecord) -> Answer | None:
    """Return the answer that `mark` holds, or that tells what the request wrote; None: lost."""
    told, wrote = mark.metadata.get("answer"), mark.metadata.get("wrote") or {}
    if told is not None:
        body = str(told["body"]).encode("utf-8", "surrogatepass")
        return Answer(int(told["status"]), str(told["content_type"]), body)
    if not is_made_again(once):
        return None
    if once.method == "DELETE":
        return Answer(204, "", b"")  # what answers otherwise leaves no mark
    data: Any
    if once.remembers:
        stored = [store.get(once.namespace, id) for id in wrote.get("records", ())]
        records = [record for record in stored if record is not None]
        if not records:
            return None
        data = to_json(max(records, key=lambda one: one.created_at))  # not what it supersedes
    else:
        found = _entries(store, once, wrote.get("messages", ()))
        if found is None:
            return None
        said = [Message.from_dict(entry.body["message"]) for entry in found]
        data = {"messages": to_json(said), "head": found[-1].version if found else 0}
    return Answer(201, "application/json", codec.encode(data))


def _entries(store: Backend, once: Once, ids: Sequence[Sequence[str]]) -> list[Entry] | None:
    """Return the entries of the messages of these ids, None unless all are there."""
    found: dict[str, Entry] = {}
    for session in {session for session, _ in ids}:
        wanted = {id for at, id in ids if at == session}
        stream = Stream(once.namespace, session)
        for entry in store.read(stream, kinds=["message"], newest_first=True, limit=LOOKED_AT):
            id = entry.body["message"].get("id")
            if id in wanted:
                found[id] = entry
                wanted.discard(id)
            if not wanted:
                break
    return [found[id] for _, id in ids] if len(found) == len(ids) else None
