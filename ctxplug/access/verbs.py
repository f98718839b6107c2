"""Access: the rules of a namespace, as `memory.access` shows and changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ctxplug.access.guarding import sight_of
from ctxplug.access.rule import ALLOW, DENY, SHARE, AccessRule, Action, to_verbs
from ctxplug.access.ruleset import REVOKED, RULE
from ctxplug.access.sight import Sight
from ctxplug.access.stored import rules_stream
from ctxplug.errors import NotFoundError
from ctxplug.records import to_tags
from ctxplug.scope import Scope, check_label, new_id
from ctxplug.storage import Append, Backend


class Access:
    """Who may read, write and share what in the namespace; `ctxplug.access` says by what law.

    The owner's memory, one opened without an agent, makes and revokes rules; an agent's may
    hand on what it was allowed to share. What others change holds from the next operation on.
    """

    def __init__(
        self,
        backend: Backend,
        scope: Scope,
        *,
        write: Callable[..., Any],
        notify: Callable[..., None],
        check_open: Callable[[], None],
    ) -> None:
        self._backend = backend
        self._scope = scope
        self._write = write
        self._notify = notify
        self._check_open = check_open

    def grant(
        self,
        agent: str,
        verbs: Iterable[str] | str,
        *,
        session: str = "*",
        kinds: Iterable[str] | str | None = None,
        tags: Iterable[str] | str | None = None,
    ) -> AccessRule:
        """Allow `verbs` ("read", "write", "share") to agents, by glob, in sessions, by glob.

        From then on those sessions are closed to agents without a grant. With `kinds` or
        `tags` it is about memories of any of these alone. Returns the rule, the one there is
        if it says the same. Raises AccessError for an agent that may not hand that on.
        """
        return self._made(ALLOW, agent, verbs, session, kinds, tags)

    def deny(
        self,
        agent: str,
        verbs: Iterable[str] | str,
        *,
        session: str = "*",
        kinds: Iterable[str] | str | None = None,
        tags: Iterable[str] | str | None = None,
    ) -> AccessRule:
        """Deny `verbs` to agents, whatever grants there are; closes nothing to others.

        Arguments and result are those of `grant`. Raises AccessError for an agent.
        """
        return self._made(DENY, agent, verbs, session, kinds, tags)

    def revoke(self, *rules: AccessRule | str) -> int:
        """Take rules back, by themselves or their ids, and return how many.

        What was handed on by force of them ends too. Raises NotFoundError for one that is
        not in force, AccessError for an agent that did not make it.
        """
        self._check_open()
        ids = list(dict.fromkeys(r.id if isinstance(r, AccessRule) else r for r in rules))
        known = {rule.id for rule in self.rules()}
        for id in ids:
            if id not in known:
                raise NotFoundError(
                    f"There is no access rule {id!r}; `memory.access.rules()` and `ctxplug access"
                    " list` have their ids."
                )
        if ids:
            self._append(REVOKED, {"ids": ids})
            self._notify("access.revoked", ids=ids)
        return len(ids)

    def rules(self) -> list[AccessRule]:
        """Return the rules in force, oldest first; to an agent, those that are for it."""
        self._check_open()
        sight = self._sight()
        return [rule for rule in sight.rules.rules if self._may_see(sight, rule)]

    def allows(
        self,
        agent: str | None,
        verb: str,
        session: str | None = None,
        *,
        kind: str | None = None,
        tags: Iterable[str] | str | None = None,
    ) -> bool:
        """Say whether `agent` (None: the owner) may do `verb` with a session, this one by default.

        With `kind` it is asked of a memory made there, with `tags`. Agents may ask this of
        themselves, and whoever may share everything of all; raises AccessError otherwise.
        """
        self._check_open()
        [verb] = to_verbs(verb)
        asked = self._sight()
        if agent is None:
            return True
        check_label(agent, "agent")
        if asked.agents and agent not in asked.agents:
            asked.require_all(SHARE)
        sight = Sight(asked.store, asked.namespace, asked.rules, (agent,))
        name = self._scope.session if session is None else check_label(session, "session")
        if kind is None:
            return sight.may(verb, name)
        return sight.may_memory(verb, name, kind, to_tags(tags))

    # -- a-twins -------------------------------------------------------------------------

    async def agrant(self, *args: Any, **options: Any) -> AccessRule:
        """Async twin of `grant`."""
        return await self._backend.arun(partial(self.grant, *args, **options))

    async def adeny(self, *args: Any, **options: Any) -> AccessRule:
        """Async twin of `deny`."""
        return await self._backend.arun(partial(self.deny, *args, **options))

    async def arevoke(self, *rules: AccessRule | str) -> int:
        """Async twin of `revoke`."""
        return await self._backend.arun(partial(self.revoke, *rules))

    async def arules(self) -> list[AccessRule]:
        """Async twin of `rules`."""
        return await self._backend.arun(self.rules)

    async def aallows(self, *args: Any, **options: Any) -> bool:
        """Async twin of `allows`."""
        return await self._backend.arun(partial(self.allows, *args, **options))

    # -- inside --------------------------------------------------------------------------

    def _made(
        self, action: Action, agent: str, verbs: Any, session: str, kinds: Any, tags: Any
    ) -> AccessRule:
        self._check_open()
        now = datetime.now(UTC)
        rule = AccessRule(
            action=action,
            verbs=verbs,
            agent=agent,
            session=session,
            kinds=kinds,
            tags=tags,
            id=new_id(),
            by=self._scope.agent,
            created_at=now,
        )
        same = (held for held in self.rules() if _says(held) == _says(rule))
        known = next(same, None)
        if known is None:
            body = {k: v for k, v in rule.to_dict().items() if k not in ("by", "created_at")}
            self._append(RULE, body, now)
            self._notify("access.granted" if action == ALLOW else "access.denied", **body)
        return known or rule

    def _append(self, kind: str, body: dict[str, Any], at: datetime | None = None) -> None:
        self._write(
            Append(
                stream=rules_stream(self._scope.namespace),
                kind=kind,
                body=body,
                created_at=at or datetime.now(UTC),
                agent=self._scope.agent,
            )
        )

    def _sight(self) -> Sight:
        return sight_of(self._backend, self._scope.namespace)

    def _may_see(self, sight: Sight, rule: AccessRule) -> bool:
        return sight.is_free(SHARE) or any(
            rule.is_for(agent) or rule.by == agent for agent in sight.agents
        )


class AccessVerbs:
    """`access`; AgentMemory brings the attributes below."""

    backend: Backend
    scope: Scope

    if TYPE_CHECKING:

        def _write(self, *ops: Any) -> list[int]: ...
        def _tell(self, kind: str, /, **data: Any) -> None: ...
        def _refuse_closed(self) -> None: ...

    @cached_property
    def access(self) -> Access:
        """Which agents may do what in the namespace: see, grant, deny and revoke."""
        return Access(
            self.backend,
            self.scope,
            write=self._write,
            notify=self._tell,
            check_open=self._refuse_closed,
        )


def _says(rule: AccessRule) -> tuple[Any, ...]:
    return rule.action, rule.verbs, rule.agent, rule.session, rule.kinds, rule.tags, rule.by
