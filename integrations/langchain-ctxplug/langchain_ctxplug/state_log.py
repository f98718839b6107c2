"""The messages of a thread's state in the log: appended once, whatever becomes of the state.

A thread's log is a row of generations, each a session. As long as the state only grows, what
is new is appended to the newest. When it was changed otherwise (an edit, a removal, a return
to an older checkpoint, a run that was killed before its state was kept), the state goes on in
the generation that holds its beginning, or in a new one; what it no longer holds is taken out
of recall. Each message in the log carries the digest of all up to it, so that one entry says
whether a log and a state agree. What others wrote to the same session (another framework,
`AgentMemory.add`) carries none: it stays where it is, and the thread goes on behind it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from operator import is_
from typing import Any

from langchain_core.messages import BaseMessage

from ctxplug import AgentMemory, Message
from ctxplug.context.window import ContextWindow
from ctxplug.storage import Delete, Stream, Where
from ctxplug.tools.memory_answers import is_answer
from langchain_ctxplug.background import Background, Pending
from langchain_ctxplug.continuing import Known, continued
from langchain_ctxplug.marks import digests, mark_of, marked
from langchain_ctxplug.messages import to_message

BEHIND = 6  # writes under way, with which the next window is still not waited for
LOOKED_AT = 8  # generations, the newest first
PINNED_SHARE = 0.05  # of the budget, that the first instruction may take and still be pinned


@dataclass
class Generation:
    """One session of a thread: what of the state stands in it, and what was made of that."""

    memory: AgentMemory
    number: int
    seen: list[BaseMessage] = field(default_factory=list)
    digest: str = ""
    places: dict[str, int] = field(default_factory=dict)  # of a message in the state, by its id
    rendered: dict[int, tuple[Message, list[BaseMessage]]] = field(default_factory=dict)
    window: tuple[Message, ...] = ()  # the last one, and what was sent for it
    sent: list[BaseMessage] = field(default_factory=list)
    rendered_up_to: int = 0  # how many of `sent` are for `window`; others went on from it
    has_user: bool = False
    known: Known | None = None  # the last window, where the next may go on from it
    head: int | None = None  # the version of the session's log after all that is known of it

    @property
    def stream(self) -> Stream:
        """The session in the store."""
        return Stream(self.memory.scope.namespace, self.memory.scope.session)

    @property
    def mark(self) -> tuple[int, str]:
        """What the newest message in the log carries, if all is well."""
        return len(self.seen), self.digest

    def of(self, id: str) -> BaseMessage | None:
        """Return the state's own message behind the id of one in the log."""
        place = self.places.get(id)
        return None if place is None else self.seen[place]


class StateLog:
    """The log of one thread. `open_session(name)` gives the memory of a session."""

    def __init__(
        self, session: str, open_session: Callable[[str], AgentMemory], *, kept: bool
    ) -> None:
        self.lock = threading.RLock()
        self.budget: int | None = None  # smaller than the configured one, after an overflow
        self.pending = Pending()
        self._writing: Future[None] | None = None
        self._session = session
        self._open_session = open_session
        self._kept = kept
        self._generations: dict[int, Generation] = {}
        self.current: Generation | None = None  # that the last state stands in

    def sync(self, messages: Sequence[BaseMessage], budget: int) -> Generation:
        """Bring the log up to `messages`, the whole state, and return the generation of it.

        Costs what is new while the state only grew. The first instruction is pinned unless it
        is long, beside `budget`. Hold `lock`.
        """
        current = self.current
        if current is None or not self._goes_on(current, messages):
            current = self.current = self._resolve(messages)
        self._append(current, messages, int(PINNED_SHARE * budget))
        return current

    def go_on(
        self, messages: Sequence[BaseMessage], basis: tuple[Any, ...], background: Background
    ) -> tuple[Generation, ContextWindow, list[BaseMessage]] | None:
        """Return the window that plainly follows the last one, and what is sent for it.

        What is new is then logged beside the model's work. None if that is not plain. Hold
        `lock`.
        """
        current = self.current
        if current is None or self.pending.count > BEHIND:
            return None
        count = len(current.seen)
        if count >= len(messages) or not all(map(is_, current.seen, messages)):
            return None
        new = messages[count:]
        made = continued(current.known, basis, current.memory, new)
        if made is None:
            return None
        window, added = made
        current.sent += new
        logged = self._noted(current, new, added, 0)
        task = partial(self._write_after, self._writing, current, logged)
        self._writing = background.run(task)
        self.pending.add(self._writing)
        return current, window, list(current.sent)

    def newest(self) -> Generation:
        """Return the generation that the thread is in, or would begin with. Hold `lock`."""
        return self.current or self._generation(max(0, self._newest()))

    def wrote(self, generation: Generation) -> None:
        """Take note of what was written for `generation` since `sync`. Hold `lock`."""
        head = generation.memory.backend.head(generation.stream)
        if head != generation.head and _mark(generation.memory) != generation.mark:
            generation.head = None  # another process writes to the same thread: look closer
        else:
            generation.head = head

    def close(self) -> None:
        """Write what is still waiting, such as access counts."""
        for generation in self._generations.values():
            generation.memory.close()

    # -- which generation ----------------------------------------------------------------

    def _goes_on(self, known: Generation, messages: Sequence[BaseMessage]) -> bool:
        """Say whether the state is what it was, and perhaps more; and so is the log."""
        count = len(known.seen)
        if count > len(messages) or not all(map(is_, known.seen, messages)):
            return False
        if known.memory.backend.head(known.stream) == known.head:
            return True
        return _mark(known.memory) == known.mark

    def _resolve(self, messages: Sequence[BaseMessage]) -> Generation:
        chain = list(digests("", messages))
        newest = self._newest()
        best: tuple[int, Generation] | None = None
        for number in range(newest, max(-1, newest - LOOKED_AT), -1):
            generation = self._generation(number)
            count, digest = _mark(generation.memory)
            agrees = count <= len(chain) and (count == 0 or chain[count - 1] == digest)
            if agrees:
                best = max(best or (-1, generation), (count, generation), key=lambda one: one[0])
        if best is None:
            if newest >= 0:
                self._retire(self._generation(newest), messages, chain)
            best = 0, self._generation(newest + 1)
        self._read_in(best[1], messages[: best[0]], chain)
        return best[1]

    def _newest(self) -> int:
        """Return the number of the newest generation in the store, -1 if there is none."""
        step, low = 1, -1  # `low` is there, or -1; gallop, then halve
        while self._exists(low + step):
            low, step = low + step, step * 2
        while step > 1:
            step //= 2
            if self._exists(low + step):
                low += step
        return low

    def _exists(self, number: int) -> bool:
        return bool(self._generation(number).memory.messages(last=1))

    def _generation(self, number: int) -> Generation:
        if number not in self._generations:
            name = self._session if number == 0 else f"{self._session}~g{number}"
            self._generations[number] = Generation(self._open_session(name), number)
        return self._generations[number]

    def _read_in(
        self, generation: Generation, messages: Sequence[BaseMessage], chain: Sequence[str]
    ) -> None:
        """Take over the beginning of the state as what the generation's log holds."""
        generation.seen, generation.places = [], {}
        generation.rendered, generation.has_user = {}, False
        generation.window, generation.sent, generation.known = (), [], None
        generation.head = None
        generation.digest = chain[len(messages) - 1] if messages else ""
        for message, digest in zip(messages, chain, strict=False):
            _note(generation, message, digest)

    def _retire(
        self, old: Generation, messages: Sequence[BaseMessage], chain: Sequence[str]
    ) -> None:
        """Take a generation out of recall: of what it holds, the state goes on with a part."""
        scope = old.memory.scope
        entries = old.memory.backend.read(old.stream, kinds=["message"])
        if not self._kept:  # every run brings its own list; a list of other things is another talk
            ids = {message.id for message in messages if message.id}
            first = old.memory.original(f"@{entries[0].version}")[0] if entries else None
            related = first is not None and (
                first.id in ids or mark_of(first)[1] == next(iter(chain), "")
            )
            if not related:
                return
        ids_of_records = (f"{scope.session}@{entry.version}" for entry in entries)
        old.memory.backend.write(*(Delete(scope.namespace, id) for id in ids_of_records))

    # -- appending -----------------------------------------------------------------------

    def _append(
        self, generation: Generation, messages: Sequence[BaseMessage], pinnable: int
    ) -> None:
        count = len(generation.seen)
        new = messages[count:]
        if not new:
            return
        added = [to_message(message) for message in new]
        self._write(generation, self._noted(generation, new, added, pinnable))

    def _noted(
        self,
        generation: Generation,
        new: Sequence[BaseMessage],
        added: Sequence[Message],
        pinnable: int,
    ) -> list[Message]:
        """Return `added`, what is ours for `new`, as it is logged; note that it was seen."""
        logged: list[Message] = []
        for message, one, digest in zip(new, added, digests(generation.digest, new), strict=True):
            first = not generation.has_user
            id = _note(generation, message, digest)
            bare = generation.memory.redacts
            one = marked(one, id, len(generation.seen), digest, bare=bare)
            if first and generation.has_user:
                one = replace(one, pinned=generation.memory.counter.count(one) <= pinnable)
            logged.append(one)
            generation.digest = digest
        return logged

    def _write_after(
        self, prior: Future[None] | None, generation: Generation, logged: Sequence[Message]
    ) -> None:
        if prior is not None:
            prior.result()  # begun before this one; nothing is written behind a gap
        self._write(generation, logged)

    def _write(self, generation: Generation, logged: Sequence[Message]) -> None:
        try:
            generation.memory.extend(logged)
            _leave_out_answers(generation.memory, logged)
            generation.head = generation.head and generation.head + len(logged)
        except BaseException:
            self.current = None  # what was noted is not in the log: look again at the next call
            self._writing = None
            raise


def _leave_out_answers(memory: AgentMemory, logged: Sequence[Message]) -> None:
    """Take what the memory tools answered out of recall: it repeats what is there."""
    answers = {m.id for m in logged if m.role == "tool" and is_answer(m.text)}
    if answers:
        scope = memory.scope
        where = Where(scope.namespace, session=scope.session, kinds=["message"])
        newest = memory.backend.find(where, limit=2 * len(logged))
        found = (record for record in newest if not answers.isdisjoint(record.sources))
        memory.backend.write(*(Delete(scope.namespace, record.id) for record in found))


def _mark(memory: AgentMemory) -> tuple[int, str]:
    """Return the mark of the newest message that has one: others may write to the log too."""
    count = 1
    while True:
        said = memory.messages(last=count)
        marks = (mark_of(message) for message in reversed(said))
        found = next((mark for mark in marks if mark[0]), None)
        if found or len(said) < count:
            return found or (0, "")
        count *= 16


def _note(generation: Generation, message: BaseMessage, digest: str) -> str:
    """Add a message of the state to what was seen, and return its id in the log."""
    id = message.id if message.id and message.id not in generation.places else digest
    generation.places[id] = len(generation.seen)
    generation.seen.append(message)
    said = message.content if isinstance(message.content, str) else bool(message.content)
    if message.type == "human" and (said.strip() if isinstance(said, str) else said):
        generation.has_user = True
    return id
