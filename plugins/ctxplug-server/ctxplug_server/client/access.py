"""RemoteAccess: `memory.access` of a remote memory."""

from __future__ import annotations

from ctxplug.access.rule import AccessRule
from ctxplug_server.client.arguments import texts
from ctxplug_server.client.calls import Call
from ctxplug_server.client.link import Link, path, reads
from ctxplug_server.client.memory_verbs import Texts, given
from ctxplug_server.client.twins import twins


class RemoteAccess:
    """Who may read, write and share what in the namespace; see `ctxplug.access`."""

    def __init__(self, link: Link) -> None:
        self.link = link

    def _grant(
        self,
        agent: str,
        verbs: Texts,
        *,
        session: str = "*",
        kinds: Texts = None,
        tags: Texts = None,
    ) -> Call[AccessRule]:
        """Allow `verbs` ("read", "write", "share") to agents, by glob, in sessions, by glob."""
        return self._made("allow", agent, verbs, session, kinds, tags)

    def _deny(
        self,
        agent: str,
        verbs: Texts,
        *,
        session: str = "*",
        kinds: Texts = None,
        tags: Texts = None,
    ) -> Call[AccessRule]:
        """Deny `verbs` to agents, whatever grants there are; closes nothing to others."""
        return self._made("deny", agent, verbs, session, kinds, tags)

    def _rules(self) -> Call[list[AccessRule]]:
        """Return the rules in force, oldest first; to an agent, those that are for it."""
        return self.link.call("GET", "/access/rules", reads(list[AccessRule], "rules"))

    def _allows(
        self,
        agent: str | None,
        verb: str,
        session: str | None = None,
        *,
        kind: str | None = None,
        tags: Texts = None,
    ) -> Call[bool]:
        """Say whether `agent` (None: the owner) may do `verb` with a session, or with this one."""
        params = {
            "of": agent,
            "verb": verb,
            "session": self.link.scope.session if session is None else session,
            "kind": kind,
            "tags": texts(tags),
        }
        return self.link.call("GET", "/access/allows", reads(bool, "allowed"), params=params)

    grant, agrant = twins(_grant)
    deny, adeny = twins(_deny)
    rules, arules = twins(_rules)
    allows, aallows = twins(_allows)

    def revoke(self, *rules: AccessRule | str) -> int:
        """Take rules back, by themselves or their ids, and return how many."""
        ids = _ids(rules, self.rules())
        return sum(self.link.send(self._revoke(id)) for id in ids)

    async def arevoke(self, *rules: AccessRule | str) -> int:
        """Async twin of `revoke`."""
        ids = _ids(rules, await self.arules())
        return sum([await self.link.asend(self._revoke(id)) for id in ids])

    # -- inside --------------------------------------------------------------------------

    def _made(
        self, action: str, agent: str, verbs: Texts, session: str, kinds: Texts, tags: Texts
    ) -> Call[AccessRule]:
        body = {
            "action": action,
            "agent": agent,
            "verbs": texts(verbs),
            "session": session,
            "kinds": texts(kinds),
            "tags": texts(tags),
        }
        return self.link.call("POST", "/access/rules", reads(AccessRule), body=given(body))

    def _revoke(self, id: str) -> Call[int]:
        return self.link.call("DELETE", path("access", "rules", id), lambda _: 1, blind=True)


def _ids(rules: tuple[AccessRule | str, ...], held: list[AccessRule]) -> list[str]:
    """Return the ids, each once; one that is not in force first, so that none is revoked then."""
    known = {rule.id for rule in held}
    ids = dict.fromkeys(r.id if isinstance(r, AccessRule) else r for r in rules)
    return sorted(ids, key=known.__contains__)
