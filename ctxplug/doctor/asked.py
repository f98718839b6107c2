"""A process of its own that loads plugins and tells what became of them; see `plugins`.

`python -m ctxplug.doctor.asked a,b` loads the plugins a and b and prints JSON. What they print
themselves goes to stderr, and what they leave running ends with the process.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from typing import Any

from ctxplug.plugins import PluginInfo, Plugins


def main() -> None:
    """Load the plugins that the first argument names, and print what became of them."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")  # what failed is told below
    chosen = sys.argv[1]
    found = Plugins(environ={"CTXPLUG_PLUGINS": chosen}).list()
    names = set(chosen.split(","))
    json.dump([_told(info) for info in found if info.name in names], out)
    out.flush()
    os._exit(0)  # a thread that a plugin began may never end


def _told(info: PluginInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "from": f"{info.distribution} {info.version}" if info.distribution else "",
        "components": {kind: list(names) for kind, names in info.components.items()},
        "hooks": list(info.hooks),
        "errors": list(info.errors),
        "trace": _trace(info.name) if info.errors else "",
    }


def _trace(name: str) -> str:
    """Return the traceback of a plugin that failed: it is loaded again, and may raise."""
    try:
        Plugins(environ={"CTXPLUG_PLUGINS": name, "CTXPLUG_STRICT": "1"}).list()
    except (Exception, SystemExit) as exc:
        return "".join(traceback.format_exception(exc.__cause__ or exc))
    return ""


if __name__ == "__main__":
    main()
