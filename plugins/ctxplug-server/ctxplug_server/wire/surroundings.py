"""What stands around a call in the program that makes it, as headers and back.

An audit's purpose and actor, and the span that the call is made in: what the server does for
the call is a part of that span, and is audited for that purpose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from ctxplug.audit.recorder import acting
from ctxplug.errors import InvalidValueError
from ctxplug.scope import to_session
from ctxplug.tracing.span import current_span

PURPOSE, ACTOR, SPAN = "Ctxplug-Purpose", "Ctxplug-Actor", "Ctxplug-Span"
SESSION = "Ctxplug-Session"
LONGEST = 2_000  # characters of a purpose, as a header
_SPAN = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})\Z")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """For what purpose and whom something is done, and in which span: its trace and its id."""

    purpose: str | None = None
    actor: str | None = None
    span: tuple[str, str] | None = None

    @classmethod
    def here(cls) -> Surroundings:
        """Return what stands around this task or thread now."""
        span = current_span()
        return cls(*acting(), None if span is None else (span.trace, span.id))

    def to_headers(self) -> dict[str, str]:
        """Return it as headers; empty if there is nothing to tell."""
        headers = {}
        for name, text in ((PURPOSE, self.purpose), (ACTOR, self.actor)):
            if text is not None:
                headers[name] = _header(name, text)
        if self.span is not None:
            headers[SPAN] = "-".join(self.span)
        return headers

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Surroundings:
        """Return what headers of these names tell; raise InvalidValueError for no span."""
        span = headers.get(SPAN)
        found = None if span is None else _SPAN.match(span)
        if span is not None and found is None:
            raise InvalidValueError(
                f"{SPAN} is 32 hexadecimal digits, - and 16 more, not {span!r:.60}.", path=SPAN
            )
        return cls(
            _text(headers, PURPOSE),
            _text(headers, ACTOR),
            None if found is None else (found[1], found[2]),
        )


def session_header(session: str) -> dict[str, str]:
    """Return the header that tells in which session a call is made that names none itself.

    What a session has waiting, such as access counts and steps, is then known to the call.
    """
    return {SESSION: quote(session, safe="")}


def session_from(headers: Mapping[str, str]) -> str | None:
    """Return the session that `session_header` told of; raise InvalidNamespaceError for none."""
    told = headers.get(SESSION)
    return None if told is None else to_session(unquote(told))


def _header(name: str, text: str) -> str:
    escaped = quote(text, safe=" ,;:/()", errors="surrogatepass")
    if len(escaped) > LONGEST:
        raise InvalidValueError(
            f"The {name.removeprefix('Ctxplug-').lower()} takes more than {LONGEST} characters as"
            " a header; say it shorter.",
            path=name.removeprefix("Ctxplug-").lower(),
        )
    return escaped


def _text(headers: Mapping[str, str], name: str) -> str | None:
    header = headers.get(name)
    try:
        return unquote(header, errors="surrogatepass") if header else None
    except UnicodeDecodeError as exc:
        raise InvalidValueError(
            f"{name} is text in percent-encoded UTF-8, which {header!r:.60} is not.", path=name
        ) from exc
