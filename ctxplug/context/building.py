"""From the state of a session's window to the window itself; nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctxplug.context.compaction import Compacted
from ctxplug.context.components import Components
from ctxplug.context.gate import Gain
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.recalled import newest_ids
from ctxplug.context.room import Sizes, squeeze
from ctxplug.context.section_layout import Laid
from ctxplug.context.section_room import fates
from ctxplug.context.state import WindowState
from ctxplug.context.view import View
from ctxplug.context.window import ContextWindow, WindowReport
from ctxplug.messages import Logged, Message
from ctxplug.tokens import TokenCounter

STABLE, REQUEST, CHANGING = "stable", "request", "changing"


@dataclass(frozen=True)
class Built:
    """What a window of `session` carries besides its log.

    `own` are the system messages that are not in the log: what cacheable sections say
    ("stable"), what the caller gave ("request"), and what other sections say ("changing").
    `tight` says whether more was in the log than fits; None: that is to be found out.
    """

    session: str
    own: Mapping[str, Message]
    tools: Sequence[Mapping[str, Any]] = ()
    laid: Laid | None = None
    done: tuple[Compacted, Gain] | None = None
    tight: bool | None = None


def own_messages(system: Message | None, laid: Laid | None) -> dict[str, Message]:
    """Return the system messages of a request that are not in the log, by what they are."""
    own = {
        STABLE: laid.stable if laid else None,
        REQUEST: system,
        CHANGING: laid.changing if laid else None,
    }
    return {name: message for name, message in own.items() if message is not None}


def build_window(
    state: WindowState,
    sizes: Sizes,
    built: Built,
    *,
    counter: TokenCounter,
    policy: ContextPolicy,
    components: Components,
) -> ContextWindow:
    """Return the window that `state` stands for."""
    view = state.view.snapshot()
    tight = view.tokens > sizes.room if built.tight is None else built.tight
    if tight:  # another writer added more than fits, just now
        fewer = squeeze(state.view.units()[0], sizes, policy, components).units
        view = View(fewer, state.view.system).snapshot()
    tokens = {**sizes.parts, "messages": view.tokens}
    done, laid, own = built.done, built.laid, built.own
    report = WindowReport(
        session=built.session,
        head=state.head,
        budget=sizes.budget,
        limit=sizes.limit,
        counter=counter.name,
        estimated=counter.estimated,
        margin=sizes.margin,
        policy=policy.name,
        tokens=tokens,
        repairs=view.repairs,
        compactions=state.compactions,
        compaction=done[0].steps if done else (),
        gain=done[1] if done else None,
        recalled=newest_ids(view.messages),
        notes=done[0].notes if done else (),
        system=view.system,
        frozen=view.frozen,
        recent=view.recent,
        sections=fates(laid, view.messages) if laid else (),
        base=state.base,
        own=own,
        tight=tight,
    )
    messages = (*_system(own, view.system), *view.messages)
    return ContextWindow(messages, sum(tokens.values()), report, tuple(built.tools))


def _system(own: Mapping[str, Message], logged: Sequence[Logged]) -> tuple[Message, ...]:
    """Return the system messages in order: what stays the same first, what changes last."""
    before = [own[name] for name in (STABLE, REQUEST) if name in own]
    behind = [own[CHANGING]] if CHANGING in own else []
    return (*before, *(one.message for one in logged), *behind)
