"""Search in English and Chinese: words by their stem, Chinese by pairs of characters."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from sphinx.search.en import SearchEnglish

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PIECES = re.compile(rf"[{_HAN}]+|[^\W{_HAN}]+")


class SearchBoth(SearchEnglish):
    """English as Sphinx does it; of Chinese, each character and each pair of neighbours.

    A query is split into pairs alone, all of which a page must hold, so that a word is found
    without a space beside it.
    """

    lang = "en+zh"
    language_name = "English"  # whose stemmer the page is given
    js_splitter_code = f"""
var splitQuery = (query) =>
  (query.match(/[{_HAN}]+|[\\p{{Letter}}\\p{{Number}}_]+?(?=[{_HAN}]|[^\\p{{Letter}}\\p{{Number}}_]|$)/gu)
    || []).flatMap((piece) => {{
    if (!/^[{_HAN}]{{2,}}$/.test(piece)) return [piece];
    return [...piece].slice(1).map((next, place) => [...piece][place] + next);
  }});
"""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self.stem = cache(super().stem)  # type: ignore[method-assign]  # few words are new

    def split(self, input: str) -> list[str]:
        """Return the words of a text, as they are indexed."""
        found: list[str] = []
        for piece in _PIECES.findall(input):
            if re.match(f"[{_HAN}]", piece):
                found += [*piece, *(a + b for a, b in pairwise(piece))]
            else:
                found.append(piece)
        return found
