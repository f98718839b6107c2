"""Address: where a server is, and the key that it asks for."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field

import httpx

from ctxplug.errors import InvalidValueError

KEY_VARIABLE = "CTXPLUG_SERVER_KEY"


@dataclass(frozen=True, slots=True)
class Address:
    """The URL of a server, without a slash at its end, and the key for it; never shown."""

    url: str
    key: str | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """The name or number of the machine."""
        return httpx.URL(self.url).host

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_secure(self) -> bool:
        """Whether what is sent is encrypted."""
        return self.url.startswith("https:")


def to_address(url: str, key: str | None = None) -> Address:
    """Return the address of `url`; without `key`, that of the environment is taken.

    Raises InvalidValueError for what is no http or https URL, for one that holds a password, a
    query or a fragment, and for a key that no header can hold.
    """
    return Address(_checked_url(url), _checked_key(key or os.environ.get(KEY_VARIABLE) or None))


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, UnicodeError) as exc:
        raise _no_url(f"{url!r:.200} is none: {exc}.") from exc
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _no_url(f"{url!r:.200} is none.")
    if parsed.userinfo:
        raise _no_url("this one holds a user or password. Give the key as key= instead.")
    if parsed.query or parsed.fragment:
        raise _no_url(f"{url!r:.200} has a query or a fragment; leave it out.")
    return str(parsed).rstrip("/")


def _no_url(fault: str) -> InvalidValueError:
    return InvalidValueError(
        f"A server is named by a URL such as 'http://127.0.0.1:8732'; {fault}", path="url"
    )


def _checked_key(key: str | None) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str) or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidValueError(
            "The key is no key of a ctxplug server: one is printable ASCII without spaces, as"
            " `ctxplug keys make` shows it once.",
            path="key",
        )
    return key
