"""Page: one HTML file with the viewer, its styles and the data in it, under a strict policy."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctxplug_server.report.bundling import bundle_script, bundle_styles
from ctxplug_server.report.packing import Packer

__all__ = ["DATA", "page"]

VIEWER = Path(__file__).parents[1] / "viewer"
DATA = "ctxplug-data"  # the id of the element that holds the data
_PAGE = """\
<!doctype html>
<html lang="{lang}"{named}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="ctxplug {version}">
<title>{title}</title>
<link rel="icon" href="{icon}">
<style>{style}</style>
<script>{first}</script>
</head>
<body>
<div id="app"></div>
<noscript>This page needs JavaScript. 此页面需要 JavaScript。</noscript>
<script type="application/json" id="{id}">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def page(packer: Packer, about: Mapping[str, Any], *, version: str) -> str:
    """Return the page that shows the answers of `packer`; `about` says what it is a report of."""
    first = (VIEWER / "first_paint.js").read_text(encoding="utf-8")
    script = bundle_script(VIEWER, "app.js")
    style = bundle_styles(VIEWER, "style/all.css")
    icon = base64.b64encode((VIEWER / "icon.svg").read_bytes()).decode("ascii")
    lang = about["lang"]
    return _PAGE.format(
        lang="zh-CN" if lang == "zh" else "en",
        named=f' data-lang="{lang}"' if lang else "",
        policy=_policy([first, script], [style]),
        version=html.escape(version),
        title=html.escape(str(about["title"])),
        icon=f"data:image/svg+xml;base64,{icon}",
        style=style,
        first=first,
        id=DATA,
        data=packer.text(about),
        script=script,
    )


def _policy(scripts: list[str], styles: list[str]) -> str:
    """Return the policy under which nothing runs or is loaded but what stands in the page."""
    run = " ".join(map(_hash, scripts))
    look = " ".join(map(_hash, styles))
    return (
        f"default-src 'none'; script-src {run}; style-src {look}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    """Return the source expression for an inline element of that text."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
