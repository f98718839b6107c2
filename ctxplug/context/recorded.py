"""What is kept of a window so that it can be made again, and how that is done.

The log holds almost all of it. What is kept besides: the versions up to which it was read, the
sizes, and, by digest, what the caller gave and what sections said. A window's **hash** is the
SHA-256 of the digests of its messages, in order, and of its tools; a message's digest is that
of what a provider sees of it, as canonical JSON: role, name and parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any

from ctxplug import codec
from ctxplug.context.assembly import Request
from ctxplug.context.building import Built, build_window, own_messages
from ctxplug.context.components import Components
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.room import Sizes
from ctxplug.context.state import WindowState
from ctxplug.context.window import ContextWindow
from ctxplug.errors import BudgetError
from ctxplug.messages import Logged, Message, TextPart
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.tokens import TokenCounter


class Fingerprints:
    """The hashes of one session's windows; what was in the last one is not hashed again."""

    def __init__(self) -> None:
        self._sent: tuple[Message, ...] = ()
        self._digests: list[bytes] = []
        self._own: dict[str, tuple[Message, bytes]] = {}  # messages that are not in the log
        self._tools: tuple[Any, bytes] = [], b""

    def of(self, window: ContextWindow) -> str:
        """Return the hash of `window`, in hexadecimal digits."""
        messages = window.messages
        same = len(messages) >= len(self._sent) and all(map(is_, self._sent, messages))
        if same:
            digests = self._digests
            digests.extend(map(digest, messages[len(digests) :]))
        else:
            known = {id(m): d for m, d in zip(self._sent, self._digests, strict=True)}
            digests = [known.get(id(message)) or digest(message) for message in messages]
        self._sent, self._digests = messages, digests
        return hashlib.sha256(b"".join(digests) + self.of_tools(window.tools)).hexdigest()

    def of_own(self, name: str, message: Message) -> bytes:
        """Return the digest of a system message that is not in the log."""
        known = self._own.get(name)
        if known is None or known[0] is not message:
            self._own[name] = known = message, digest(message)
        return known[1]

    def of_tools(self, tools: Sequence[Mapping[str, Any]]) -> bytes:
        """Return the digest of tool definitions; empty without any."""
        if not tools:
            return b""
        given = list(tools)
        if given != self._tools[0]:
            text = codec.canonical(given)  # and a copy of its own: what was given may change
            self._tools = codec.decode(text), hashlib.sha256(text).digest()
        return self._tools[1]


def digest(message: Message) -> bytes:
    """Return the digest of what a provider sees of `message`."""
    content: list[Any] = [  # text alone is most of what is said, and quicker so
        {"type": "text", "text": part.text}
        for part in message.content
        if type(part) is TextPart and not part.extra
    ]
    if len(content) < len(message.content):
        content = message.to_dict()["content"]
    return hashlib.sha256(codec.canonical([message.role, message.name, content])).digest()


def recorded(
    window: ContextWindow, fingerprints: Fingerprints
) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """Return what a step keeps of `window`, and by digest how to get the parts beside it."""
    report = window.report
    data: dict[str, Any] = {
        "head": report.head,
        "base": report.base,
        "budget": report.budget,
        "limit": report.limit,
        "margin": report.margin,
        "counter": report.counter,
        "policy": report.policy,
        "hash": fingerprints.of(window),
        "tokens": dict(report.tokens),
        "messages": len(window.messages),
        "compactions": report.compactions,
    }
    carried, parts = _carried(report.own, window.tools, fingerprints)
    data |= carried
    if report.tight:
        data["tight"] = True
    if report.recalled:
        data["recalled"] = list(report.recalled)
    if report.notes:
        data["notes"] = list(report.notes)
    if report.repairs:
        data["repairs"] = len(report.repairs)
    return data, parts


def refused(
    request: Request, exc: BudgetError, *, head: int, counter: str, policy: str
) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """Return what a step keeps of a call that found no room, so that it can be made again."""
    data: dict[str, Any] = {
        "head": head,
        "budget": request.budget,
        "margin": request.margin,
        "counter": counter,
        "policy": policy,
        "needed": exc.needed,
    }
    if request.reserved:
        data["tokens"] = {"reserved": request.reserved}
    own = own_messages(request.system, None)
    carried, parts = _carried(own, request.tools, Fingerprints())
    return data | carried, parts


def _carried(
    messages: Mapping[str, Message],
    tools: Sequence[Mapping[str, Any]],
    fingerprints: Fingerprints,
) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """Return the digests of what a call carried besides the log, and how to get it by them."""
    data: dict[str, Any] = {}
    parts: dict[str, Callable[[], Any]] = {}
    own: dict[str, str] = {}
    for name, message in messages.items():
        own[name] = key = fingerprints.of_own(name, message).hex()[:32]
        parts[key] = message.to_dict
    if own:
        data["system"] = own
    if tools:
        data["tools"] = key = fingerprints.of_tools(tools).hex()[:32]
        parts[key] = lambda: [dict(tool) for tool in tools]
    return data, parts


@dataclass(frozen=True)
class Replayed:
    """A past window made again from the log.

    `hash` is that of `window`, `expected` the one that was recorded; `exact` says whether they
    are the same, and `notes` why they could not be.
    """

    window: ContextWindow
    hash: str
    expected: str
    notes: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the window is, byte for byte, what the model was sent."""
        return self.hash == self.expected


def rebuilt(
    data: Mapping[str, Any],
    parts: Mapping[str, Any],
    *,
    backend: Backend,
    stream: Stream,
    counter: TokenCounter,
    policy: ContextPolicy,
    components: Components,
    logged: Callable[[Entry], Logged],
) -> Replayed:
    """Make the window that `data`, of `recorded`, tells of; `parts` are what it names by digest.

    Nothing is decided anew: what was compacted, recalled and said then is in the log.
    """
    own, tools, notes = _given(data, parts)
    state = WindowState.as_of(
        backend, stream, data["budget"], counter, logged, head=data["head"], base=data["base"]
    )
    fixed = {name: n for name, n in data["tokens"].items() if name != "messages"}
    sizes = Sizes(data["budget"], data["margin"], fixed)
    if data["policy"] != policy.name:
        notes.append(
            f"it was made by the policy {data['policy']!r}, and is read by {policy.name!r}"
        )
    built = Built(stream.session, own, tools, tight=bool(data.get("tight")))
    window = build_window(
        state, sizes, built, counter=counter, policy=policy, components=components
    )
    return Replayed(window, Fingerprints().of(window), data["hash"], tuple(notes))


def _given(
    data: Mapping[str, Any], parts: Mapping[str, Any]
) -> tuple[dict[str, Message], Sequence[Mapping[str, Any]], list[str]]:
    """Return the system messages and tools that a call carried, and what is missing of them."""
    kept = {name: parts.get(key) for name, key in data.get("system", {}).items()}
    own = {name: Message.from_dict(part) for name, part in kept.items() if isinstance(part, dict)}
    notes = [
        f"the {name!r} part of the system prompt is not kept in the trace, or was redacted"
        for name in kept
        if name not in own or not digest(own[name]).hex().startswith(data["system"][name])
    ]
    found = parts.get(data.get("tools", ""))
    tools = found if isinstance(found, list) else []
    if not Fingerprints().of_tools(tools).hex().startswith(data.get("tools", "")):
        notes.append("the tools are not kept in the trace, or were redacted")
    return own, tools, notes
