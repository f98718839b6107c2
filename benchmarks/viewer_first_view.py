"""How soon the viewer shows something: `python benchmarks/viewer_first_view.py`.

A store of 100,000 messages in a thousand sessions is served by `ctxplug serve`, and headless
Chromium opens the page: first with a server that has answered nothing yet, then again with new
pages. Measured is the time from navigation to the first session in the list. Beside it stands
the same for a store of one session, which is what the browser and the page take by themselves.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from playwright.sync_api import Browser, sync_playwright
from server_load import Server, free_port

from ctxplug import AgentMemory, Message

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
EACH = 100  # messages of a session


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--servers", type=int, default=3, help="started anew so many times")
    parser.add_argument("--dir", default=".", help="a folder on the disk to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("There is no Chromium on the PATH.")
    rows = []
    with tempfile.TemporaryDirectory(dir=options.dir) as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=ARGUMENTS)
        for messages in (EACH, options.messages):
            path = Path(folder) / f"{messages}.db"
            fill(path, messages)
            found = [first_views(chromium, path) for _ in range(options.servers)]
            page = median(ms for times in found for ms in times[1:])
            server = [times[0] for times in found]
            rows.append({"messages": messages, "server_ms": server, "page_ms": page})
    if options.json:
        print(json.dumps({"rows": rows}))
        return
    print("| messages | new server ms | new page ms |\n|---:|---|---:|")
    for row in rows:
        cold = " / ".join(f"{ms:.0f}" for ms in row["server_ms"])
        print(f"| {row['messages']:,} | {cold} | {row['page_ms']:.0f} |")


def fill(path: Path, messages: int) -> None:
    """Write sessions of English and Chinese to a new store."""
    with AgentMemory.open(path, namespace="acme/alice", trace=False, audit=False) as memory:
        for number in range(messages // EACH):
            memory.beside(session=f"session {number}").extend(
                Message(role, f"{number}-{n}: the order 订单 of Lisbon, {n * number}.")
                for n in range(EACH // 2)
                for role in ("user", "assistant")
            )


def first_views(chromium: Browser, path: Path, again: int = 4) -> list[float]:
    """Return milliseconds to the first session shown: with a new server, then again."""
    server = Server(path, free_port())
    try:
        return [_first_view(chromium, server.url) for _ in range(1 + again)]
    finally:
        server.stop()


def _first_view(chromium: Browser, url: str) -> float:
    page = chromium.new_page()
    began = perf_counter()
    page.goto(url)
    page.locator(".session-row").first.wait_for()
    took = 1e3 * (perf_counter() - began)
    page.close()
    return took


if __name__ == "__main__":
    main()
