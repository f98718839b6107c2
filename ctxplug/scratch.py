"""ScratchLog: the log of a session once more, in a store that nobody else sees.

It is taken over message by message; the windows are made by the same code that made them
then. What was recalled is as it was recorded until something differs; from there on recall
goes by keyword over the store as it was at the time of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ctxplug.context.assembly import Request, Windows
from ctxplug.context.building import CHANGING, REQUEST, STABLE
from ctxplug.context.components import Components
from ctxplug.context.entries import BLOCKS, COMPACTION, block_from_entry
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.recalled import LEAST_LINE, RECALLED, SECTIONS, recalled_block, stands_in
from ctxplug.context.section_block import fates_of
from ctxplug.context.section_layout import Laid
from ctxplug.context.sections import Given
from ctxplug.context.units import says_anything
from ctxplug.context.window import ContextWindow
from ctxplug.memories.filters import distinct, where
from ctxplug.messages import Message
from ctxplug.recall.ranking import recall
from ctxplug.recall.recalled import Recalled
from ctxplug.sessions.log import MESSAGE, SessionLog
from ctxplug.storage import Append, Backend, Entry, Stream
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.kept import KEPT, Kept, from_runs, to_runs
from ctxplug.tokens import TokenCounter
from ctxplug.tracing.past import Said, head_of, said_of
from ctxplug.tracing.step import Step

READ = (MESSAGE, KEPT, COMPACTION, *BLOCKS)  # what of a log is taken over
LOOKED_AT = 500  # records looked at for one block
FILLER = "filler"  # stands where the log has an entry that the re-run makes itself, or needs not


class ScratchLog:
    """The log of a session once more; see `ctxplug.tracing.rerun.Scratch`.

    Its versions are those of `store`'s log as far as that is possible, so that references
    read alike. `budget` None is that of each call.
    """

    def __init__(
        self,
        store: Backend,
        stream: Stream,
        *,
        policy: ContextPolicy,
        counter: TokenCounter,
        parts: Components,
        budget: int | None = None,
        as_then: bool,
        kept_parts: Callable[[Step], Mapping[str, Any]],
    ) -> None:
        self.counter, self.budget, self.policy = counter, budget, policy.name
        self.said: dict[int, Said] = {}
        self._notes: dict[str, set[str]] = {}
        self._store, self._stream = store, stream
        self._policy, self._as_then, self._kept_parts = policy, as_then, kept_parts
        self._backend = InMemoryBackend()
        self._log = SessionLog(self._backend, stream, counter, None, parts.shape)
        self._windows = Windows(self._backend, stream, counter, policy, parts, self._log.logged)
        self._versions: dict[int, int] = {}  # of messages: ours by theirs
        self._heads: list[tuple[int, int]] = []  # theirs, and ours once it was as far
        self._blocks: dict[tuple[str, int], list[Entry]] = {}  # by kind, and what they are behind
        self._messages: dict[int, bool] = {}  # of messages: whether a user asks something
        self._asks: dict[int, bool] = {}  # those in view
        self._compacted: dict[int, list[int]] = {}  # their compactions, by budget
        self._last = 0  # their version when the call before was made
        self._asked = 0  # how often recall was asked for in this call
        self._lineage = dict(store.lineage(stream))

    @property
    def notes(self) -> list[str]:
        """What is not as it was then for other reasons than the settings."""
        return [f"{what} ({len(calls)} calls)" for what, calls in self._notes.items()]

    @property
    def _newest(self) -> int:
        return next(reversed(self._asks), 0)

    @property
    def _user(self) -> int:
        return next((version for version, asks in reversed(self._asks.items()) if asks), 0)

    def _block(self, kind: str) -> Entry | None:
        """Return what last stood behind the current user message."""
        return next(reversed(self._blocks.get((kind, self._user), ())), None)

    # -- the log -------------------------------------------------------------------------

    def take(self, entry: Entry) -> None:
        """Take over an entry of the log that is re-run."""
        if entry.kind in BLOCKS:
            self._blocks.setdefault((entry.kind, entry.body["version"]), []).append(entry)
        elif entry.kind == COMPACTION:
            self._compacted.setdefault(entry.body.get("budget", 0), []).append(entry.version)
        elif entry.kind == KEPT:
            self._write(entry, self._edit(entry))
        elif entry.kind == MESSAGE:
            message = Message.from_dict(entry.body["message"])
            append = replace(self._log.append(message), terms=None)
            ours = self._write(entry, self._as_it_was(entry) if self._as_then else append)
            self.said[ours] = said_of(entry)
            self._versions[entry.version] = ours
            asks = message.role == "user" and says_anything(message) and not message.tool_results
            self._messages[entry.version] = self._asks[entry.version] = asks
        self._heads.append((entry.version, self._backend.head(self._stream)))

    def _as_it_was(self, entry: Entry) -> Append:
        return Append(
            stream=self._stream,
            kind=MESSAGE,
            body=entry.body,
            created_at=entry.created_at,
            pinned=entry.pinned,
        )

    def _write(self, entry: Entry, append: Append) -> int:
        """Write `append` at the version of `entry`, if ours is not further already."""
        missing = max(0, entry.version - 1 - self._backend.head(self._stream))
        filler = Append(stream=self._stream, kind=FILLER, body={}, created_at=entry.created_at)
        return self._backend.write(*[filler] * missing, append)[-1]

    def _edit(self, entry: Entry) -> Append:
        """Return an edit as it is in our versions."""
        kept = Kept.of(entry)
        held = [self._versions[v] for v in from_runs(kept.runs) if v in self._versions]
        self._asks = {v: asks for v, asks in self._messages.items() if kept.holds(v)}
        for blocks in self._blocks.values():  # a window begins anew, or as it was there
            blocks[:] = [one for one in blocks if one.version <= kept.restored]
        body: dict[str, Any] = {"runs": to_runs(held)}
        if kept.restored:
            places = (ours for theirs, ours in self._heads if theirs <= kept.restored)
            body["restored"] = max(places, default=0)
        return Append(
            stream=self._stream, kind=KEPT, body=body, created_at=entry.created_at, pinned=True
        )

    # -- the calls -----------------------------------------------------------------------

    def window(self, step: Step, *, alike: bool) -> ContextWindow:
        """Make the window for a recorded call; `alike` while nothing has differed so far."""
        data, self._asked = step.data, 0
        parts = self._kept_parts(step)
        system = data.get("system", {})
        own = {name: Message.from_dict(parts[key]) for name, key in system.items() if key in parts}
        tools: Sequence[Mapping[str, Any]] = parts.get(data.get("tools", ""), ())
        if len(own) < len(system) or ("tools" in data and not tools):
            self._note("what the call carried besides the log was not kept in the trace", step)
        query = data.get("query")
        request = Request(
            budget=self.budget or data["budget"],
            system=own.get(REQUEST),
            tools=tools,
            at=step.started_at,
            margin=data.get("margin") if data.get("counter") == self.counter.name else None,
            query=query,
            reserved=data.get("tokens", {}).get("reserved", 0),
            laid=self._laid(own),
        )
        as_then = alike and self._as_then and self.budget in (None, data["budget"])
        block = partial(self._recorded if as_then else self._searched, step)
        try:
            return self._windows.window(request, block if query else None)
        finally:
            self._last = max(data["head"], data.get("base", 0))  # with what was compacted for it
            self._heads.append((self._last, self._backend.head(self._stream)))

    def _laid(self, own: Mapping[str, Message]) -> Laid | None:
        """Return what sections said then, and put it where it stood."""
        entry = self._block(SECTIONS)
        block = block_from_entry(entry.kind, entry.body) if entry is not None else None
        if STABLE not in own and CHANGING not in own and block is None:
            return None
        fixed = sum(self.counter.count(own[name]) for name in (STABLE, CHANGING) if name in own)
        version = self._versions.get(self._user, 0) if self._newest == self._user else 0
        return Laid(
            Given((), entry.body["query"] if entry and block else "", version),
            own.get(STABLE),
            own.get(CHANGING),
            block if block and block.text else None,
            fates_of(block) if block else (),
            fixed,
            fixed,
        )

    def _recorded(
        self, step: Step, present: frozenset[int], said: str, tokens: int
    ) -> tuple[str, tuple[str, ...]]:
        """Return what was recalled for the call then."""
        entry = self._block(RECALLED)
        self._asked += 1
        if entry is None or entry.body.get("query") != step.data["query"]:
            return "", ()
        made = self._compacted.get(step.data["budget"], [])
        last = max(self._newest, self._last)
        if self._asked == 1 and any(last < one < entry.version for one in made):
            return "", ()  # it was found when a compaction of this call had been made
        return entry.body["text"], tuple(entry.body["records"])

    def _searched(
        self, step: Step, present: frozenset[int], said: str, tokens: int
    ) -> tuple[str, tuple[str, ...]]:
        """Recall anew, from what the store holds of the time of the call."""
        self._note(
            "recall was made anew, by keyword, from what the store still holds of then", step
        )
        limit = self._policy.recall_limit
        most = tokens // LEAST_LINE if limit is None else 2 * limit
        head = head_of(step) or 0
        shown = {self.said[version].version for version in present if version in self.said}
        of_then = where(self._stream.namespace, step.started_at, until=step.started_at)
        k = min(most, LOOKED_AT) + len(shown)
        found = recall(self._store, step.data["query"], of_then, k, complete=limit is None)
        fresh = [one for one in distinct(found) if not self._known(one, shown, head)]
        fresh = [one for one in fresh if not stands_in(said, one.record.content)]
        return recalled_block(fresh, self.counter, tokens, limit)

    def _known(self, one: Recalled, shown: set[int], head: int) -> bool:
        """Say whether a record is a message that the window shows, or that came later."""
        version, session = one.record.metadata.get("version"), one.record.session
        if one.record.made_by != "said" or not isinstance(version, int) or session is None:
            return False
        if version > self._lineage.get(session, 0):
            return False  # of another session, or of a parent that went on
        return version > head or version in shown

    def _note(self, what: str, step: Step) -> None:
        self._notes.setdefault(what, set()).add(step.id)
