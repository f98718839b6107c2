"""What archiving does to a namespace of the in-memory backend."""

from __future__ import annotations

from ctxplug import codec
from ctxplug.records import MemoryRecord
from ctxplug.storage.backend import ArchiveLog, ArchiveRecords, Stream, Unarchive
from ctxplug.storage.in_memory_space import Log, Row, Space, archived_line, words_of
from ctxplug.storage.segments import (
    Item,
    Segment,
    Use,
    packed,
    packed_all,
    place_of,
    unpacked,
    without,
)


def archive_log(space: Space, op: ArchiveLog) -> int:
    """Move entries and their records; return how many entries."""
    log = space.logs.get(op.stream.session)
    if log is None or op.after not in (None, log.info("").archived):
        return 0
    lines = [line for line in log.entries if line[0].version <= op.through]
    if not lines:
        return 0
    items = []
    for entry, body in lines:
        id = f"{op.stream.session}@{entry.version}"
        use = None
        if id in space.rows and space.is_view(id):
            row = space.rows[id]
            space.take(id)
            use = _use(row, op.terms.get(entry.version, ""))
        items.append(
            Item(
                body,
                entry.created_at,
                entry.version,
                entry.kind,
                entry.agent,
                entry.pinned,
                use,
            )
        )
    log.entries = log.entries[len(lines) :]
    log.segments += packed_all(items)
    return len(items)


def archive_records(space: Space, op: ArchiveRecords) -> int:
    """Move records that hold what is given; return how many."""
    items = []
    for given in op.records:
        row = space.rows.get(given.id)
        if row is None or row.record.content != given.content or space.is_view(given.id):
            continue
        space.take(given.id)
        space.archived_ids.add(given.id)
        terms = None if row.words is None else op.terms.get(given.id, "")
        body = codec.encode(row.record.to_dict())
        items.append(Item(body, row.record.created_at, use=_use(row, terms)))
    space.segments += packed_all(items)
    return len(items)


def unarchive(space: Space, op: Unarchive) -> int:
    """Bring a log or records back; return how many entries or records."""
    if op.session is not None:
        log = space.logs.get(op.session)
        stream = Stream(op.namespace, op.session)
        return 0 if log is None else _unarchive_log(space, stream, log, op.most)
    wanted = None if op.ids is None else set(op.ids)
    first = _first_of(space.segments, op.most if op.ids is None else None)
    back, kept = [], space.segments[:first]
    for segment in space.segments[first:]:
        items = unpacked(segment.data)
        records = [item.record(op.namespace, None) for item in items]
        pairs = list(zip(items, records, strict=True))
        chosen = [pair for pair in pairs if wanted is None or pair[1].id in wanted]
        back += chosen
        rest = [pair[0] for pair in pairs if wanted is not None and pair[1].id not in wanted]
        kept += [segment] if not chosen else packed_all(rest)
    space.segments = kept
    space.archived_ids.difference_update(record.id for _, record in back)
    for item, record in back:
        _put_back(space, item, record)
    return len(back)


def remove(space: Space, id: str) -> int:
    """Take the record `id` out of the archive; say whether it was there."""
    session, version = place_of(id)
    log = space.logs.get(session)
    if log is not None and 0 < version <= log.archived:
        for number, segment in enumerate(log.segments):
            if segment.first <= version <= segment.last:
                items = unpacked(segment.data)
                held = items[version - segment.first].use is not None
                if held:
                    log.segments[number] = packed(without(items, id, session))
                    return 1
    if id not in space.archived_ids:
        return 0
    space.archived_ids.remove(id)
    for number, segment in enumerate(space.segments):
        items = unpacked(segment.data)
        rest = without(items, id, None)
        if len(rest) < len(items):
            space.segments[number : number + 1] = packed_all(rest)
            return 1
    return 0


def _first_of(segments: list[Segment], most: int | None) -> int:
    """Return where the newest segments begin that hold about `most` items."""
    first = 0 if most is None else len(segments)
    while first and most is not None and sum(s.items for s in segments[first:]) < most:
        first -= 1
    return first


def _unarchive_log(space: Space, stream: Stream, log: Log, most: int | None) -> int:
    cut = log.forked if most is None else max(log.forked, log.archived - max(0, most))
    segments = [segment for segment in log.segments if segment.last > cut]
    log.segments = [segment for segment in log.segments if segment.last <= cut]
    items = [item for segment in segments for item in unpacked(segment.data)]
    log.segments += packed_all([item for item in items if item.version <= cut])
    back = [item for item in items if item.version > cut]
    log.entries[:0] = [archived_line(stream, item) for item in back]
    for item in back:
        if item.use is not None:
            record = item.record(stream.namespace, stream.session)
            _put_back(space, item, record, log.number << 32 | item.version)
    return len(back)


def _put_back(space: Space, item: Item, record: MemoryRecord, place: int | None = None) -> None:
    use = item.use or Use(None)
    space.put(Row(record, words_of(use.terms), use.traits), place)


def _use(row: Row, terms: str | None) -> Use:
    record = row.record
    return Use(terms, row.traits, record.access_count, record.last_accessed)
