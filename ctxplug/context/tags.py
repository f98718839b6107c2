"""Tags of blocks of data, which nothing that stands in such a block can close or open anew."""

from __future__ import annotations

import re

RECALLED_TAG = "recalled_memories"
SECTION_TAG = "context_section"  # and the block around them, which begins alike
# What a reader may take for a tag: in other brackets, widths or cases, or with what is not
# seen in between.
_UNSEEN = "[\\s\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]*"
_OPENING = (
    "[<\u2039\u2329\u27e8\u3008\u300a\ufe3d\ufe3f\ufe64\uff1c]"
    f"{_UNSEEN}([/\u2044\u2215\uff0f]?){_UNSEEN}"
)
_TAGS = {
    tag: re.compile(
        _OPENING + _UNSEEN.join(f"[{c}{chr(ord(c) + 0xFEE0)}]" for c in tag), re.IGNORECASE
    )
    for tag in (RECALLED_TAG, SECTION_TAG)
}


def harmless(text: str) -> str:
    """Return `text` so that it cannot close the block it stands in, nor begin another."""
    for tag, pattern in _TAGS.items():
        text = pattern.sub(rf"[\1{tag}", text)
    return text
