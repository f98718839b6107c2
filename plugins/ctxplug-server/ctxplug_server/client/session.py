"""RemoteSession: `memory.session` of a remote memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ctxplug import Message, codec
from ctxplug.errors import InvalidValueError
from ctxplug.messages import Logged
from ctxplug.scope import Namespace, new_id, to_session
from ctxplug.sessions.info import SessionState
from ctxplug.sessions.session import check_whole
from ctxplug.sessions.snapshots import Snapshot
from ctxplug.storage import EraseReceipt
from ctxplug_server.client.calls import Call, nothing
from ctxplug_server.client.link import Link, reads
from ctxplug_server.client.memory_verbs import given
from ctxplug_server.client.twins import twins


class RemoteSession:
    """The session a remote memory writes to; see `ctxplug.sessions.session.Session`.

    `beside` opens a memory of another session on the same server.
    """

    def __init__(self, link: Link, beside: Callable[..., Any]) -> None:
        self.link = link
        self._beside = beside

    @property
    def id(self) -> str:
        """Its name."""
        return self.link.scope.session

    @property
    def namespace(self) -> Namespace:
        """The namespace that it is in."""
        return self.link.scope.namespace

    @property
    def head(self) -> int:
        """The version of the newest entry of its log, of whatever kind; 0 if it is empty."""
        head: int = self.link.send(self._glance("head"))
        return head

    @property
    def state(self) -> str:
        """What it is now, one of `ctxplug.sessions.states.STATES`."""
        return self.info().state

    @property
    def note(self) -> Mapping[str, Any]:
        """What was noted with the newest edit; empty without one."""
        note: Mapping[str, Any] = self.link.send(self._glance("note"))
        return note

    def _info(self) -> Call[SessionState]:
        """Return what is known of it: state, times, metadata, parent, snapshots, messages."""
        return self.link.call("GET", self.link.at(), reads(SessionState))

    def _log(
        self, *, after: int = 0, last: int | None = None, kept: bool = True
    ) -> Call[list[Logged]]:
        """Return the messages as they were given, with their versions, oldest first."""
        check_whole(after, "after")
        if last is not None:
            check_whole(last, "last")
        params = {"after": after, "last": last, "kept": kept}
        read = reads(list[Logged], "log")
        return self.link.call("GET", self.link.at("log"), read, params=params, slow=last is None)

    def _keep(
        self,
        versions: Iterable[int],
        then: Iterable[Message] = (),
        *,
        expected: int | None = None,
        recallable: bool = False,
        note: Mapping[str, Any] | None = None,
    ) -> Call[list[Message]]:
        """Go on from the messages of `versions` alone, and then those of `then`."""
        body = {
            "versions": codec.plain(list(versions), "versions"),
            "then": [message.to_dict() for message in then],
            "expected": expected,
            "recallable": recallable,
            "note": None if note is None else codec.plain(note, "note"),
        }
        read = reads(list[Message], "messages")
        return self.link.call("POST", self.link.at("keep"), read, body=given(body))

    def _suspend(self, reason: str | None = None) -> Call[None]:
        """Let nothing be added to it until `resume`."""
        return self._made("suspend", reason)

    def _resume(self) -> Call[None]:
        """Go on with it after it was suspended, completed or failed, or has expired."""
        return self._made("resume")

    def _complete(self) -> Call[None]:
        """Close it: what it was for is done."""
        return self._made("complete")

    def _fail(self, reason: str | None = None) -> Call[None]:
        """Close it: what it was for failed."""
        return self._made("fail", reason)

    def _update(self, metadata: Mapping[str, Any]) -> Call[Mapping[str, Any]]:
        """Change its metadata, in any state; return all of it."""
        if not isinstance(metadata, Mapping):
            raise InvalidValueError(
                f"metadata is a dict of JSON values, not {metadata!r:.60}.", path="metadata"
            )
        body = {"metadata": codec.plain(metadata, "metadata")}
        read = reads(dict[str, Any], "metadata")
        return self.link.call("PATCH", self.link.at(), read, body=body)

    def _erase(self) -> Call[EraseReceipt]:
        """Remove all that was said in it, and its trace, and return a receipt."""
        return self.link.call("DELETE", self.link.at(), reads(EraseReceipt), slow=True)

    def _snapshot(self, name: str, note: str | None = None) -> Call[Snapshot]:
        """Mark where it stands under `name`, in any state, and return the mark."""
        body = given({"name": name, "note": note})
        return self.link.call("POST", self.link.at("snapshots"), reads(Snapshot), body=body)

    def _snapshots(self) -> Call[list[Snapshot]]:
        """Return its snapshots, oldest first; a fork has those of its past too."""
        read = reads(list[Snapshot], "snapshots")
        return self.link.call("GET", self.link.at("snapshots"), read)

    def _restore(self, to: str | int) -> Call[int]:
        """Go back to a snapshot, or to a version of its log; return that version."""
        read = reads(int, "version")
        return self.link.call("POST", self.link.at("restore"), read, body={"to": to})

    info, ainfo = twins(_info)
    log, alog = twins(_log)
    keep, akeep = twins(_keep)
    suspend, asuspend = twins(_suspend)
    resume, aresume = twins(_resume)
    complete, acomplete = twins(_complete)
    fail, afail = twins(_fail)
    update, aupdate = twins(_update)
    erase, aerase = twins(_erase)
    snapshot, asnapshot = twins(_snapshot)
    snapshots, asnapshots = twins(_snapshots)
    restore, arestore = twins(_restore)

    def fork(self, session: str | None = None, at: str | int | None = None) -> Any:
        """Branch off: return a RemoteMemory on a new session whose past is this one's, shared."""
        name = self.link.send(self._fork(session, at))
        return self._beside(session=name)

    async def afork(self, session: str | None = None, at: str | int | None = None) -> Any:
        """Async twin of `fork`."""
        name = await self.link.asend(self._fork(session, at))
        return self._beside(session=name)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"RemoteSession({self.id!r}, {self.namespace!r})"

    # -- inside --------------------------------------------------------------------------

    def _glance(self, what: str) -> Call[Any]:
        """Return the call that asks for the log without its messages."""
        params = {"last": 0}
        return self.link.call("GET", self.link.at("log"), reads(Any, what), params=params)

    def _made(self, verb: str, reason: str | None = None) -> Call[None]:
        body = given({"reason": reason})
        return self.link.call("POST", self.link.at(verb), nothing, body=body)

    def _fork(self, session: str | None, at: str | int | None) -> Call[str]:
        name = new_id() if session is None else to_session(session)
        body = given({"session": name, "at": at})
        return self.link.call("POST", self.link.at("fork"), lambda _: name, body=body, blind=True)
