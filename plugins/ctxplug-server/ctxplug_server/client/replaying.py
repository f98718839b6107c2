"""What `memory.trace` of a remote memory has for looking back: windows, replays, analyses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ctxplug.context.policy import ContextPolicy
from ctxplug.context.recorded import Replayed
from ctxplug.messages import Logged
from ctxplug.tokens import TokenCounter
from ctxplug.tracing.analysis import Analysis
from ctxplug.tracing.difference import Difference
from ctxplug.tracing.past import Moment, Said
from ctxplug.tracing.replay import Replay
from ctxplug.tracing.rerun import Rerun
from ctxplug.tracing.sent import Sent, sent
from ctxplug.tracing.step import Step
from ctxplug_server.client.arguments import refuse_given
from ctxplug_server.client.calls import Call
from ctxplug_server.client.link import Link, reads
from ctxplug_server.client.memory_verbs import given
from ctxplug_server.wire import from_json
from ctxplug_server.wire.policies import policy_text
from ctxplug_server.wire.prompts import read_prompts

NO_PROGRESS = "the server makes them all at once. Leave progress= out."


class ReplayVerbs:
    """Looking back; RemoteTrace brings the attributes below."""

    link: Link
    counter: Callable[[], TokenCounter]
    get: Callable[..., Step]
    try_to_store: Callable[..., None]
    atry_to_store: Callable[..., Coroutine[Any, Any, None]]

    def window(self, step: Step | str, *, session: str | None = None) -> Replayed:
        """Make the window of a past call again from the log, and say whether it is the same."""
        self.try_to_store(now=True)
        return self.link.send(self._window(step, session))

    async def awindow(self, step: Step | str, *, session: str | None = None) -> Replayed:
        """Async twin of `window`."""
        await self.atry_to_store(now=True)
        return await self.link.asend(self._window(step, session))

    def rerun(
        self,
        *,
        policy: str | ContextPolicy | None = None,
        budget: int | None = None,
        model: str | None = None,
        session: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Rerun:
        """Make the recorded calls of this session again under other settings, and compare."""
        self.try_to_store(now=True)
        return self.link.send(self._rerun(policy, budget, model, session, progress))

    async def arerun(
        self,
        *,
        policy: str | ContextPolicy | None = None,
        budget: int | None = None,
        model: str | None = None,
        session: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Rerun:
        """Async twin of `rerun`."""
        await self.atry_to_store(now=True)
        return await self.link.asend(self._rerun(policy, budget, model, session, progress))

    def analyze(self, session: str | None = None) -> Analysis:
        """Return what stands out in this session, or in `session`: causes of failure, and waste."""
        self.try_to_store(now=True)
        return self.link.send(self._analyze(session))

    async def aanalyze(self, session: str | None = None) -> Analysis:
        """Async twin of `analyze`."""
        await self.atry_to_store(now=True)
        return await self.link.asend(self._analyze(session))

    def replay(self, session: str | None = None) -> Replay:
        """Return a cursor over the steps of this session, or of `session`, before the first."""
        name = self.link.scope.session if session is None else session
        self.try_to_store(now=True)
        at, read = self.link.at("replay", session=name), reads(list[Step], "steps")
        steps = self.link.send(self.link.call("GET", at, read, slow=True))
        return Replay(steps, RemotePast(self, name), session=name)

    async def areplay(self, session: str | None = None) -> Replay:
        """Async twin of `replay`; the cursor itself is not asynchronous."""
        return await asyncio.to_thread(self.replay, session)

    def compare(self, before: Step | str, after: Step | str) -> Difference:
        """Return what the window of the step `after` has otherwise than that of `before`."""
        first, second = (one if isinstance(one, Step) else self.get(one) for one in (before, after))
        return Difference(self._sent(first), self._sent(second), second.id)

    async def acompare(self, before: Step | str, after: Step | str) -> Difference:
        """Async twin of `compare`."""
        return await asyncio.to_thread(self.compare, before, after)

    # -- inside --------------------------------------------------------------------------

    def _window(self, step: Step | str, session: str | None) -> Call[Replayed]:
        if isinstance(step, Step):
            session = step.session
        id = step.id if isinstance(step, Step) else step
        at = self.link.at("steps", id, "window", session=session)

        def read(data: Any) -> Replayed:
            replayed: Replayed = from_json(Replayed, data)
            told = step.data.get("hash") if isinstance(step, Step) else None
            return replayed if told is None else replace(replayed, expected=told)

        return self.link.call("GET", at, read)

    def _rerun(
        self,
        policy: str | ContextPolicy | None,
        budget: int | None,
        model: str | None,
        session: str | None,
        progress: Callable[[int], None] | None,
    ) -> Call[Rerun]:
        refuse_given(progress, "progress", NO_PROGRESS)
        named = None if policy is None else policy_text(policy, model)
        body = given({"policy": named, "budget": budget, "model": model, "whole": True})
        at = self.link.at("rerun", session=session)
        return self.link.call("POST", at, _rerun, body=body, writes=False, slow=True)

    def _analyze(self, session: str | None) -> Call[Analysis]:
        at = self.link.at("analysis", session=session)
        return self.link.call("GET", at, reads(Analysis), slow=True)

    def _sent(self, step: Step) -> Sent:
        window = self.window(step, session=step.session).window
        path, read = self.link.at("log", session=step.session), reads(list[Logged], "log")
        whole = self.link.call("GET", path, read, params={"kept": False}, slow=True)
        said = {
            one.version: Said(one.version, one.message.id, one.message.role)
            for one in self.link.send(whole)
        }
        return sent(window, said, self.counter())


class RemotePast:
    """The past of a session on a server, as `ctxplug.tracing.past.Past` asks for it."""

    def __init__(self, trace: ReplayVerbs, session: str) -> None:
        self._trace = trace
        self._session = session

    def messages(self, upto: int, *, after: int = 0) -> list[Logged]:
        """Return the messages above `after` that were in view at version `upto`, as given."""
        params = {"upto": upto, "after": after}
        read = reads(list[Logged], "messages")
        return self._asked("messages", read, params)  # type: ignore[no-any-return]

    def moments(self, after: int, upto: int | None) -> list[Moment]:
        """Return the messages and edits of the log above `after` and up to `upto`."""
        return self._asked("moments", _moments, {"upto": upto, "after": after})  # type: ignore[no-any-return]

    def window(self, step: str) -> Replayed:
        """Return the window of the step of that id, made again from the log."""
        return self._trace.window(step, session=self._session)

    def _asked(self, what: str, read: Callable[[Any], Any], params: Mapping[str, Any]) -> Any:
        link = self._trace.link
        at = link.at("past", what, session=self._session)
        return link.send(link.call("GET", at, read, params=params))


def _rerun(data: Mapping[str, Any]) -> Rerun:
    rerun: Rerun = from_json(Rerun, data)
    return read_prompts(rerun, data["prompts"])


def _moments(data: Mapping[str, Any]) -> list[Moment]:
    return [Moment(one["version"], datetime.fromisoformat(one["at"])) for one in data["moments"]]
