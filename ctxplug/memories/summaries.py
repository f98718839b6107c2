"""Summaries of sessions that went quiet, as memories of the long tier.

A summary is about the messages that came since the one before, so an endless session gets
several. The maintenance log says up to where a session was summarised: what was forgotten
since does not come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ctxplug.compression import Summarizer
from ctxplug.compression.summarize import asked
from ctxplug.memories.consolidation import SUMMARY
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.report import STREAM, SUMMARISED
from ctxplug.messages import Message
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Stream, Where, conversations

MESSAGE = "message"
MOST = 2_000  # messages of one summary
IMPORTANCE = 0.6
TIMEOUT = 30.0  # seconds


@dataclass(frozen=True)
class Stretch:
    """Messages of a session that no summary is about yet, and their versions."""

    session: str
    first: int
    last: int
    messages: tuple[Message, ...]

    @property
    def ref(self) -> str:
        """The reference by which `memory.original` returns the messages."""
        return f"{self.session}@{self.first}-{self.last}"


def stretches(
    backend: Backend, namespace: Namespace, policy: MemoryPolicy, now: datetime
) -> Iterator[Stretch]:
    """Yield what is to be summarised: of idle sessions what came since the last summary."""
    done = _done(backend, namespace)
    idle = now - timedelta(seconds=float(policy.session_idle))  # type: ignore[arg-type]
    for info in conversations(backend, namespace):
        at = max(done.get(info.session, 0), info.forked)
        while info.updated_at <= idle and at < info.version:
            stream = Stream(namespace, info.session)
            entries = backend.read(stream, after=at, kinds=[MESSAGE], limit=MOST)
            if not entries:
                break
            ids = [f"{info.session}@{entry.version}" for entry in entries]
            # A message that was forgotten is not remembered by a summary.
            known = {r.id for r in backend.find(Where(namespace, ids=ids, kinds=[MESSAGE]))}
            said = [
                Message.from_dict(entry.body["message"])
                for entry, id in zip(entries, ids, strict=True)
                if id in known
            ]
            said = [one for one in said if one.role != "system" and one.text.strip()]
            first, at = entries[0].version, entries[-1].version
            if len(said) >= policy.summary_from:
                yield Stretch(info.session, first, at, tuple(said))


def summary_id(stretch: Stretch) -> str:
    """Return the id of its summary; alike for whoever makes it."""
    return f"summary:{stretch.ref}"


def summary_of(
    stretch: Stretch,
    namespace: Namespace,
    policy: MemoryPolicy,
    summarizer: Summarizer,
    note: Callable[[str], None],
) -> MemoryRecord | None:
    """Return the memory that sums up `stretch`; None, with a note, if there is no summary.

    Where the policy's summarizer fails, the extractive one stands in.
    """
    from ctxplug.compression.extractive_summarizer import ExtractiveSummarizer

    text, fault = asked(summarizer, stretch.messages, policy.summary_tokens, TIMEOUT)
    if fault:
        text, second = asked(
            ExtractiveSummarizer(), stretch.messages, policy.summary_tokens, TIMEOUT
        )
        if isinstance(summarizer, ExtractiveSummarizer) or second:
            note(f"{stretch.ref} has no summary: the summarizer {second or fault}.")
            return None
        note(f"{stretch.ref}: the summarizer {fault}; the extractive one was used instead.")
    return MemoryRecord(
        namespace=namespace,
        id=summary_id(stretch),
        kind=SUMMARY,
        content=text.strip(),
        tier="long",
        importance=IMPORTANCE,
        created_at=stretch.messages[-1].created_at,
        sources=(stretch.ref,),
        origin="model",
        session=stretch.session,
        made_by="consolidate",
    )


def _done(backend: Backend, namespace: Namespace) -> dict[str, int]:
    """Return up to which version each session was summarised."""
    done: dict[str, int] = {}
    for entry in backend.read(Stream(namespace, STREAM), kinds=[SUMMARISED]):
        session, last = str(entry.body["session"]), int(entry.body["last"])
        done[session] = max(last, done.get(session, 0))
    return done
