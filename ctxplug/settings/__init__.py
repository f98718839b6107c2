"""Settings of ctxplug's programs: from arguments, the environment and one file, in that order.

The library has none: `AgentMemory.open` takes what it is given. A program says which settings it
has, and `read` finds their values, says where each comes from, and refuses what it cannot take.
"""

from ctxplug.settings.file import VARIABLE, SettingsFile, find_file, parse
from ctxplug.settings.memory import ENVIRONMENT_ALONE, MEMORY
from ctxplug.settings.reading import Configuration, Given, read
from ctxplug.settings.setting import Setting

__all__ = [
    "ENVIRONMENT_ALONE",
    "MEMORY",
    "VARIABLE",
    "Configuration",
    "Given",
    "Setting",
    "SettingsFile",
    "find_file",
    "parse",
    "read",
]
