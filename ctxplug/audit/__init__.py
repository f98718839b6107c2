"""Audit: who did what to which records, when, where and why; and whether anybody changed that.

The law:

1. Each namespace has a log of its own, the session "ctxplug:audit". What is done to the
   namespace is an entry there, in the same atomic write: its verb, agent, actor, purpose,
   the ids it touched, their sensitivity, and how it ended. What a message or memory says is
   never in it, nor what was searched for.
2. An entry holds a `payload` (JSON), a `salt` (32 hexadecimal digits, random) and a `digest`:
   SHA-256 of the salt's 16 bytes followed by the payload as canonical JSON, in hexadecimal.
   **Canonical** JSON has sorted keys, no spaces, and is UTF-8 without needless escapes:
   `json.dumps(x, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()`.
3. A **chain** holds the digests outside of the namespace, in the reserved namespace
   ("ctxplug:audit",), as a session with a random name. An entry of the log (kind "chain",
   verb "chain") tells that name, so whoever erases the namespace unlinks the chain.
4. A **link** of a chain is JSON: `chain`, `link` (1, 2, 3, ...), `at`, `first` and `last` (the
   entries it seals), `digests` (theirs, in order), `prev` (the hash of the link before, 64
   zeros for the first) and `hash`: SHA-256 of the 32 bytes of `prev` followed by the
   canonical JSON of the link without `hash`. Links seal each entry once, in order.
5. Entries are sealed after every `seal_every` of them, at `close`, and by flush, verify,
   anchor, export and erase; several processes may do so. A process seals what it wrote by
   the digests that it wrote. What follows the last link is compared with its own digests alone.
6. To erase a namespace is to seal, to add a link with `erasing`, to erase, and to add a link
   with `erased` (when, and how many entries and records). The digests stay, and tell
   nothing: without its salt nobody can guess what a digest was made of.
7. A log that is cut together with its chain, and one that is rewritten as a whole, look
   sound by themselves. An **anchor** tells: the heads of chains, kept where whoever can write
   to the store cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctxplug.audit.checks import AuditReport
    from ctxplug.audit.entry import AuditEntry
    from ctxplug.audit.policy import AuditPolicy
    from ctxplug.audit.sensitivity import LEVELS, Classification

__all__ = ["LEVELS", "AuditEntry", "AuditPolicy", "AuditReport", "Classification"]

_PLACES = {
    "AuditEntry": "entry",
    "AuditPolicy": "policy",
    "AuditReport": "checks",
    "Classification": "sensitivity",
    "LEVELS": "sensitivity",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
