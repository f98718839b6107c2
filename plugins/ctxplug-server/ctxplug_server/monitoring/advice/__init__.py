"""Advice: what to change in how an agent uses its memory, with the evidence, in words.

`Reader` gathers evidence from a store, `advise` is a pure function of it, and `to_dict` and
`words` say it in English or Chinese.
"""

from ctxplug_server.monitoring.advice.advise import advise
from ctxplug_server.monitoring.advice.evidence import Evidence, SessionSeen
from ctxplug_server.monitoring.advice.reader import Reader
from ctxplug_server.monitoring.advice.tip import KINDS, Saving, Tip
from ctxplug_server.monitoring.advice.words import LANGUAGES, Said, said_of, to_dict

__all__ = [
    "KINDS",
    "LANGUAGES",
    "Evidence",
    "Reader",
    "Said",
    "Saving",
    "SessionSeen",
    "Tip",
    "advise",
    "said_of",
    "to_dict",
]
