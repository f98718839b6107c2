"""Telegraphic reduction: a sentence without the words that carry no content.

For digests only, never for what is shown as verbatim. Negations, modal verbs, conditions,
times, quantities, numbers, names and addresses stay; articles, copulas, the first person
(every line says who speaks), greetings and fillers go.
"""

from __future__ import annotations

import re

from ctxplug.compression.words import CHINESE_GREETING, CJK, INTERJECTIONS, LIGHT, STOP

_FRONT = "\"'“”‘’([{*~_«（【《「『"
_BACK = "\"'“”‘’)]}*~_.,;:!?…»）】》」』。，、；：！？"
_PAIRS = {")": "(", "]": "[", "}": "{"}
_MEANS = re.compile(r"[^\W_]|[=<>+*/→&%^|]")
_HAN = re.compile(f"[{CJK}]")
_QUESTION_WORDS = frozenset(("what", "which", "who", "whom", "how", "do", "does", "did"))
_DIRECTIONS = frozenset(("to", "by"))  # "to Porto", "by Friday", but not "to go"
_OBLIGATIONS = frozenset(("have", "has", "had"))  # "have to"

_CHINESE_FILLER = re.compile(
    r"其实|然后呢?|真的(?!是)|非常|十分|就是说|那么|这样子|的话(?=[，,。！？]|$)|一下(?!子)"
    r"|(?<![目标有])的(?![确士])|(?<![为除不得])了(?![解如结然])"
    r"|(?<!酒)(?<!网)吧|[啊呢嘛呀哦哈啦哇嗯喔噢唉哎]|吗(?=[？?])|很(?![多少久])"
    r"|(?<![^\s，,。！？!?；;：:“\"])我+(?![们国方校司家])"
)
_CHINESE_MARKS = re.compile(r"[“”‘’\"「」『』。！!，,、；;：:…～~—\s]+")


def telegraphic(sentence: str, *, terse: bool = False) -> str:
    """Return `sentence` reduced, on one line; "" where nothing of it says anything.

    `terse` also leaves out words that occur in every conversation, such as praise.
    """
    sentence = sentence.replace("’", "'")
    tokens = sentence.split()
    asks = sentence.rstrip().endswith(("?", "？"))
    kept: list[str] = []
    for i, token in enumerate(tokens):
        if _HAN.search(token):
            word = _chinese(token)
        else:
            word = _bare(token)
            if not _MEANS.search(word) or _drops(word, tokens, i, asks, terse):
                continue
        if word:
            kept.append(word)
    if not kept:
        return ""
    return " ".join(kept) + ("?" if asks and not kept[-1].endswith(("?", "？")) else "")


def _bare(token: str) -> str:
    """Return `token` without the marks around it; "f(a)" keeps its own bracket."""
    word = token.lstrip(_FRONT)
    bare = word.rstrip(_BACK)
    closing = word[len(bare) : len(bare) + 1]
    return bare + closing if closing in _PAIRS and _PAIRS[closing] in bare else bare


def _drops(word: str, tokens: list[str], i: int, asks: bool, terse: bool) -> bool:
    lower = word.lower()
    if lower in INTERJECTIONS:
        return True
    if lower not in STOP:
        return terse and lower in LIGHT and (i == 0 or word == lower)
    if word != lower and not _is_plain_capital(word, i):  # "US", "vitamin A"
        return False
    following = tokens[i + 1].lstrip(_FRONT) if i + 1 < len(tokens) else ""
    if lower in _DIRECTIONS:
        before = tokens[i - 1].lower() if i else ""
        owed = lower == "to" and before in _OBLIGATIONS
        return not (owed or following[:1].isupper() or following[:1].isdigit())
    if lower in _OBLIGATIONS:
        return following != "to"
    if lower == "am":  # "5 am"
        return not (i and tokens[i - 1][-1:].isdigit())
    return not (asks and lower in _QUESTION_WORDS)


def _is_plain_capital(word: str, i: int) -> bool:
    """Say whether the capital is a sentence's first letter, or the pronoun I."""
    if word[0] == "I" and (len(word) == 1 or word[1] == "'"):
        return True
    if i == 0:
        return len(word) == 1 or not word.isupper()
    return not word.isupper() and len(word) > 1


def _chinese(token: str) -> str:
    token = CHINESE_GREETING.sub("", token)
    token = _CHINESE_FILLER.sub("", token)
    return _CHINESE_MARKS.sub(" ", token).strip()
