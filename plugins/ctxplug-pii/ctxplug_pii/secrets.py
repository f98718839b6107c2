"""Keys and tokens whose shape tells what they are, and passwords in addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ctxplug_pii.kinds import Found

_WORD = "[A-Za-z0-9_-]"
# The beginning that the issuer gave it, then as much as it must have at least.
_SHAPES = (
    rf"sk-(?=[A-Za-z_-]*\d){_WORD}{{20,}}+",  # OpenAI, Anthropic and those that do alike
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}+",  # Stripe
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{30,}+",  # GitHub
    r"github_pat_\w{22,}+",
    rf"glpat-{_WORD}{{20,}}+",  # GitLab
    rf"xox[abeoprs]-{_WORD}{{10,}}+",  # Slack
    rf"AIza{_WORD}{{35}}",  # Google
    r"hf_[A-Za-z]{30,}+",  # Hugging Face
    r"npm_[A-Za-z0-9]{36}",
    rf"pypi-AgE{_WORD}{{40,}}+",
    rf"ctxp_[0-9a-f]{{12}}_{_WORD}{{43}}",  # ctxplug-server's own
    rf"SG\.{_WORD}{{16,}}+\.{_WORD}{{32,}}+",  # SendGrid
    rf"eyJ{_WORD}{{8,}}+\.eyJ{_WORD}{{8,}}+\.{_WORD}{{8,}}+",  # a JSON web token
)
_KEY = re.compile(
    rf"(?<![A-Za-z0-9_.\-\0])(?:{'|'.join(_SHAPES)})(?![A-Za-z0-9_\0])"
    r"|-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----(?:[^-]|-(?!----))*+"
    r"(?:-----END (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----)?+"
    r"|\b[Bb]earer +(?P<bearer>[A-Za-z0-9._~+/-]{20,}+=*)"
    r"|://[^\s/@:\0]{0,200}+:(?P<password>[^\s/@\0]{1,200}+)@",
    re.ASCII,
)


def keys(shadow: str) -> Iterator[Found]:
    """Yield the keys, tokens and passwords in a shadow; of an address only its password."""
    for match in _KEY.finditer(shadow):
        group = match.lastgroup or 0
        yield Found(match.start(group), match.end(group), "key", match[group])
