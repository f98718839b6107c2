"""`python -m ctxplug_server.probe`: whether the server of this machine takes requests.

For a container's health check: it loads nothing but the standard library, and goes by no proxy.
"""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException

__all__ = ["main"]

SECONDS = 4.0


def main(environ: Mapping[str, str] | None = None) -> int:
    """Ask /ready at CTXPLUG_SERVER_PORT; return 0 if it says yes, else 1, and say why on stderr."""
    environ = os.environ if environ is None else environ
    url = f"http://127.0.0.1:{environ.get('CTXPLUG_SERVER_PORT') or '8732'}/ready"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SECONDS) as answer:
            answer.read()
    except (OSError, HTTPException) as exc:  # an answer of 503 is an OSError too
        print(f"{url} is not ready: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
