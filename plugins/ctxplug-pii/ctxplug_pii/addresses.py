"""E-mail addresses and the IP addresses of the public net."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from ctxplug_pii.kinds import Found
from ctxplug_pii.shadow import AFTER

# A name begins where no character of a name stands before it: so time is linear.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-\0])[A-Za-z0-9._%+-]++@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++"
)
_TOP = re.compile(r"[A-Za-z]{2,24}|[Xx][Nn]--[A-Za-z0-9-]{2,59}")
_FILES = frozenset("bmp css gif html ico jpeg jpg js json md pdf png py svg ts txt webp".split())  # noqa: SIM905
_V4 = re.compile(rf"(?<![0-9A-Za-z_.\0])(?:\d{{1,3}}\.){{3}}\d{{1,3}}{AFTER}(?!\.\d)", re.ASCII)
_V6 = re.compile(rf"(?<![0-9A-Za-z_:.\0])[23][0-9A-Fa-f]{{3}}:[0-9A-Fa-f:]{{2,34}}{AFTER}")
_VERSION = re.compile(r"(?:\b[vV]|[vV]ersion[ :=]*|版本[号 :=是为]*|[A-Za-z]/|==|[A-Za-z]-)\Z")


def emails(shadow: str) -> Iterator[Found]:
    """Yield e-mail addresses; `logo@2x.png` and `git@github.com:` are none."""
    for match in _EMAIL.finditer(shadow):
        name, _, domain = match[0].partition("@")
        lead = len(name) - len(name.lstrip(".%+-"))
        labels = domain.split(".")
        while len(labels) > 1 and not _TOP.fullmatch(labels[-1].rstrip("-")):
            labels.pop()
        if len(labels) < 2 or lead == len(name):
            continue
        if len(labels) == 2 and labels[-1].lower() in _FILES:
            continue
        domain = ".".join(labels).rstrip("-")
        end = match.start() + len(name) + 1 + len(domain)
        if name.lower() == "git" and shadow[end : end + 1] in (":", "/"):
            continue
        value = f"{name[lead:]}@{domain}".lower()
        yield Found(match.start() + lead, end, "email", value)


def ips(shadow: str) -> Iterator[Found]:
    """Yield addresses of the public net: 127.0.0.1 and 10.0.0.8 name nobody, nor do versions."""
    for match in _V4.finditer(shadow):
        before = shadow[max(0, match.start() - 12) : match.start()]
        if _public(match[0]) and not _VERSION.search(before):
            yield Found(match.start(), match.end(), "ip", match[0])
    for match in _V6.finditer(shadow):
        written = match[0] if _public(match[0]) else match[0].rstrip(":")
        if _public(written):
            value = str(ipaddress.ip_address(written))
            yield Found(match.start(), match.start() + len(written), "ip", value)


def _public(written: str) -> bool:
    try:
        return ipaddress.ip_address(written).is_global
    except ValueError:
        return False
