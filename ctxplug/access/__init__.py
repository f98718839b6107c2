"""Access: which agent may read, write and share what, enforced below the API.

The law:

1. The rules of a namespace are entries of its own log `ctxplug:access`, so whoever opens it
   obeys them, in whatever process; a change holds from the next operation on. Where there
   are none, everybody may do everything. What ctxplug keeps in a namespace below it, such as
   a LangGraph store, is under the same rules.
2. A memory opened without an agent is the **owner's**: the application's own. No rule is
   about it, so no set of rules locks it out. An agent is whoever the application says it is:
   rules keep the agents of one application apart; against other users of a machine, files
   have permissions.
3. **read** shows what a session holds: its messages, in windows, recall and the archive, and
   what was remembered in it. **write** adds to it and changes it. **share** lets it go on
   elsewhere: in a fork, in a backup, with other agents. None of them includes another.
4. A rule allows or denies verbs to agents, by glob, in sessions, by glob; with `kinds` or
   `tags` it is about memories of any of these alone, and not about the logs of sessions. A
   rule for "*" is about what belongs to no session too.
5. What a rule allows to somebody is closed to everybody it is not allowed to, for every verb.
   What no rule allows to anybody stays open. Of several rules one that allows is enough, but
   **deny wins**, and denies alone close nothing to others.
6. What an agent may not read is not there for it: not in results, ranks, scores or counts,
   and a list leaves it out. To name a session that it may not read, or to change what it may
   not change, raises AccessError, whether or not there is such a session; the whole write is
   refused. A memory that it may not read it cannot remove either: it is not found.
7. A fork is closed wherever its past is: whoever may not read all sessions that it goes on
   from may do nothing with it. To make one takes share, and read, of its past.
8. What was merged from several memories may be read by those who may read them all, and
   maintenance merges, and supersedes, only among what the same rules are about.
9. What is of the whole namespace takes the right to all of it: maintenance, re-indexing and
   their log. Where there are rules, only the owner erases all, for the rules go with it.
   Spending and calibration are of the whole namespace too, and open to every agent. What an
   agent did, its trace and its audit entries, is recorded whatever it may do; to that, and to
   the chain of the audit, agents can only add. Vectors are made of everything, by whichever
   process has an embedder, for those who may search.
10. The owner makes and revokes rules. An agent may hand on what a rule allows to it together
    with share: the same verbs or fewer, of the same things or fewer. That ends when it loses
    them itself, and it may revoke what it handed on. It cannot deny.
11. A memory opened from an agent's memory, or on its backend, acts for both agents: it may do
    what both may. Nothing that an agent's memory offers leads around the rules.
"""

from ctxplug.access.backend import AccessBackend
from ctxplug.access.guarding import guarded, rule_classes
from ctxplug.access.rule import ALLOW, DENY, VERBS, AccessRule
from ctxplug.access.ruleset import RuleSet

__all__ = [
    "ALLOW",
    "DENY",
    "VERBS",
    "AccessBackend",
    "AccessRule",
    "RuleSet",
    "guarded",
    "rule_classes",
]
