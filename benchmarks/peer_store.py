"""What it takes to keep something, beside other stores: `python benchmarks/peer_store.py`.

Each store runs in a process of its own and is told to add some texts, one by one, then to get
some of them back; the processes take turns, so that a disk or a neighbour that slows down slows
all of them. Beside them stands the floor: one row and one commit of the text with SQLite. Every
fourth text is Chinese.

- add: median time of one add, by the floor's (adds a second in brackets); most of it is the disk's
  and varies with what else writes to it;
- processor: mean processor time of an add, all threads of the process;
- get: median time to read one of them again, in microseconds, and by ctxplug's;
- held: memory of the process at the end, less that of a Python that has only started.

What an add means differs, and is told: a message of ctxplug is counted, indexed for search and
durable when `add` returns; LangGraph's InMemoryStore keeps nothing; Chroma and mem0 are given
vectors, and mem0 keeps a history besides. LlamaIndex's Memory has no get of one message: what
is timed is its window.

Then each is imported in fresh processes, again in turns: processor time and memory of the
import, and what its distribution weighs with all that it requires here.

    python benchmarks/peer_store.py [--small] [--json] [--dir FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from statistics import fmean, median
from time import perf_counter, process_time
from typing import Any

from peer_data import CharacterNgrams, rotated
from turn_cost import conversation

FLOOR, OURS = "one row in SQLite", "ctxplug, a message"
FIRST = 5  # adds and gets in which a store makes what it keeps

Add = Callable[[int, str], object]
Get = Callable[[int], object]


# -- the stores, each in its own process ---------------------------------------------------


def floor(folder: Path, sizes: int) -> tuple[Add, Get]:
    """One durable row."""
    db = sqlite3.connect(folder / "floor.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=wal")
    db.execute("PRAGMA synchronous=full")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    put, get = "INSERT INTO t VALUES (?, ?)", "SELECT text FROM t WHERE id = ?"
    return lambda n, text: db.execute(put, (n, text)), lambda n: db.execute(get, (n,)).fetchone()


def ctxplug_message(folder: Path, sizes: int) -> tuple[Add, Get]:
    """A message of a session, and its original by its reference."""
    from ctxplug import AgentMemory

    memory = AgentMemory.open(folder / "agent.db", namespace="u", session="s")
    return lambda n, text: memory.add("user", text), lambda n: memory.original(f"@{n + 1}")


def ctxplug_store(folder: Path, sizes: int) -> tuple[Add, Get]:
    """A document of ctxplug's LangGraph store."""
    from langchain_ctxplug import CtxplugStore

    store = CtxplugStore(folder / "store.db", namespace="u")
    return _langgraph(store)


def in_memory_store(folder: Path, sizes: int) -> tuple[Add, Get]:
    """LangGraph's InMemoryStore, which keeps nothing."""
    from langgraph.store.memory import InMemoryStore

    return _langgraph(InMemoryStore())


def sqlite_store(folder: Path, sizes: int) -> tuple[Add, Get]:
    """LangGraph's SqliteStore on a file."""
    from langgraph.store.sqlite import SqliteStore

    stack = ExitStack()
    store = stack.enter_context(SqliteStore.from_conn_string(str(folder / "langgraph.db")))
    store.setup()
    store.stack = stack  # held as long as the store
    return _langgraph(store)


def _langgraph(store: Any) -> tuple[Add, Get]:
    add = lambda n, text: store.put(("u",), str(n), {"text": text})  # noqa: E731
    return add, lambda n: store.get(("u",), str(n))


def llamaindex_memory(folder: Path, sizes: int) -> tuple[Add, Get]:
    """LlamaIndex's Memory on a file of SQLite."""
    from llama_index.core.llms import ChatMessage
    from llama_index.core.memory import Memory

    loop = asyncio.new_event_loop()
    place = f"sqlite+aiosqlite:///{folder / 'memory.db'}"
    memory = Memory.from_defaults(session_id="s", async_database_uri=place)

    def add(n: int, text: str) -> None:
        loop.run_until_complete(memory.aput(ChatMessage(role="user", content=text)))

    return add, lambda n: loop.run_until_complete(memory.aget())


def chroma(folder: Path, sizes: int) -> tuple[Add, Get]:
    """A collection of Chroma with given vectors."""
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))
    collection = client.create_collection("texts", embedding_function=None)
    rows = CharacterNgrams().embed([f"text {n}" for n in range(sizes)])

    def add(n: int, text: str) -> None:
        collection.add(ids=[str(n)], documents=[text], embeddings=rows[n : n + 1])

    return add, lambda n: collection.get(ids=[str(n)])


def mem0(folder: Path, sizes: int) -> tuple[Add, Get]:
    """mem0 without inference, Qdrant in a folder."""
    from peer_recall import mem0_memory

    memory = mem0_memory(CharacterNgrams(), folder)
    ids: dict[int, str] = {}

    def add(n: int, text: str) -> None:
        ids[n] = memory.add(text, user_id="u", infer=False)["results"][0]["id"]

    return add, lambda n: memory.get(ids[n])


STORES: Mapping[str, Callable[[Path, int], tuple[Add, Get]]] = {
    FLOOR: floor,
    OURS: ctxplug_message,
    "ctxplug, CtxplugStore": ctxplug_store,
    "LangGraph InMemoryStore": in_memory_store,
    "LangGraph SqliteStore": sqlite_store,
    "LlamaIndex Memory": llamaindex_memory,
    "Chroma": chroma,
    "mem0, infer=False": mem0,
}
# What a process imports, and the distribution that brings it.
IMPORTS = {
    "nothing": ("pass", ""),
    "ctxplug": ("import ctxplug", "ctxplug"),
    "ctxplug, in use": (
        "import ctxplug; m = ctxplug.AgentMemory.open('memory:', namespace='u');"
        " m.add('user', 'hello 你好'); m.context()",
        "",
    ),
    "LangChain's middleware": ("import langchain.agents.middleware", "langchain"),
    "LangGraph's store": ("import langgraph.store.memory", "langgraph-checkpoint"),
    "LlamaIndex's memory": ("import llama_index.core.memory", "llama-index-core"),
    "Chroma": ("import chromadb", "chromadb"),
    "mem0": ("import mem0", "mem0ai"),
}


def child(name: str, folder: Path, size: int) -> None:
    """Do what is asked line by line on standard input, and answer each with JSON."""
    warnings.simplefilter("ignore")
    begun = resident()
    try:
        add, get = STORES[name](folder, size)
    except ImportError as error:
        print(json.dumps({"absent": f"it is not installed ({error})"}), flush=True)
        return
    print(json.dumps({"ready": True}), flush=True)
    texts = [m.text for m in itertools.islice(conversation(), size)]
    for line in sys.stdin:
        verb, *numbers = line.split()
        if verb == "held":
            print(json.dumps(resident() - begun), flush=True)
            continue
        n = int(numbers[0])
        began, used = perf_counter(), process_time()
        add(n, texts[n]) if verb == "add" else get(n)
        print(json.dumps([perf_counter() - began, process_time() - used]), flush=True)


# -- measuring -----------------------------------------------------------------------------


def resident() -> float:
    """Return the megabytes this process holds now, 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Child:
    """A store in a process of its own."""

    def __init__(self, name: str, folder: Path, size: int) -> None:
        command = [sys.executable, __file__, "--child", name, "--dir", str(folder)]
        self.process = subprocess.Popen(
            [*command, "--size", str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.adds: list[list[float]] = []  # seconds, and seconds of the processor
        self.gets: list[list[float]] = []
        self.held = 0.0
        self.absent = self.answer().get("absent")

    def answer(self) -> Any:
        """Return what the process says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"absent": "its process ended with an error"}

    def ask(self, *words: object) -> Any:
        """Give it a line, and return its answer."""
        assert self.process.stdin is not None
        print(*words, file=self.process.stdin, flush=True)
        return self.answer()

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def measure_stores(folder: Path, size: int, stores: Sequence[str]) -> dict[str, Any]:
    """Let all stores add and get in turns."""
    children: dict[str, Child] = {}
    absent = {}
    try:
        for n, name in enumerate(stores):
            inside = folder / str(n)
            inside.mkdir()
            children[name] = Child(name, inside, size)
            if children[name].absent:
                absent[name] = children[name].absent
                children.pop(name).stop()
        for n in range(size):
            for one in rotated(list(children.values()), n):
                one.adds.append(one.ask("add", n))
        for n in range(0, size, 2):
            for one in rotated(list(children.values()), n // 2):
                one.gets.append(one.ask("get", n))
        for one in children.values():
            one.held = one.ask("held")
    finally:
        for one in children.values():
            one.stop()
    rows = [_row(name, one, children) for name, one in children.items()]
    return {"adds": size, "rows": rows, "absent": absent}


def _row(name: str, one: Child, children: Mapping[str, Child]) -> dict[str, Any]:
    add, floor_add = (median(wall for wall, _ in c.adds[FIRST:]) for c in (one, children[FLOOR]))
    get, our_get = (median(wall for wall, _ in c.gets[FIRST:]) for c in (one, children[OURS]))
    return {
        "store": name,
        "per_second": 1 / add,
        "x_floor": add / floor_add,
        "add_cpu_ms": fmean(used for _, used in one.adds[FIRST:]) * 1e3,
        "get_us": get * 1e6,
        "x_get": get / our_get,
        "held_mb": one.held,
    }


def measure_imports(rounds: int, names: Sequence[str]) -> dict[str, Any]:
    """Import each in `rounds` fresh processes, in turns, after one that warms the disk."""
    code = (
        "import time, os, sys; c = time.process_time(); {}\n"
        "c = time.process_time() - c; pages = open('/proc/self/statm').read().split()[1]\n"
        "print(c, int(pages) * os.sysconf('SC_PAGE_SIZE') / 1e6, len(sys.modules))"
    )
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    absent: dict[str, str] = {}
    environment = {**os.environ, "MEM0_TELEMETRY": "False"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for n, name in itertools.product(range(rounds + 1), names):
        if name in absent:
            continue
        command = [sys.executable, "-W", "ignore", "-c", code.format(IMPORTS[name][0])]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            absent[name] = f"it is not installed ({done.stderr.strip().splitlines()[-1]})"
        elif n:
            found[name].append([float(word) for word in done.stdout.split()])
    bare = _medians(found["nothing"])
    ours = _medians(found["ctxplug"])
    rows = []
    for name in (name for name in names if name != "nothing" and found[name]):
        seconds, megabytes, modules = _medians(found[name])
        packages, on_disk = weight(IMPORTS[name][1])
        rows.append(
            {
                "import": name,
                "cpu_ms": seconds * 1e3,
                "x": seconds / ours[0],
                "memory_mb": megabytes - bare[1],
                "modules": modules - bare[2],
                "packages": packages,
                "disk_mb": on_disk,
            }
        )
    return {"rounds": rounds, "rows": rows, "absent": absent}


def _medians(rows: Sequence[Sequence[float]]) -> list[float]:
    return [median(column) for column in zip(*rows, strict=True)]


def weight(distribution: str) -> tuple[int | None, float | None]:
    """Return how many packages a distribution requires, itself included, and their megabytes."""
    from packaging.requirements import Requirement

    seen: set[str] = set()
    size = 0
    waiting = [distribution] if distribution else []
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in seen:
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # required on other systems only
        seen.add(name)
        size += _disk(found)
        for line in found.requires or ():
            needed = Requirement(line)
            if not needed.marker or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    return (len(seen), size / 1e6) if seen else (None, None)


def _disk(found: metadata.Distribution) -> int:
    files = [Path(str(file.locate())) for file in found.files or ()]
    if any(file.name == "direct_url.json" for file in files):  # installed from a checkout
        files = [f for f in Path(__file__).parents[1].glob(f"{found.name}/**/*.py")]
    return sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")


def run(small: bool, folder: str | None = None) -> dict[str, Any]:
    """Return the measurements of stores and of imports."""
    stores, imports = list(STORES), list(IMPORTS)
    if small:
        for name in ("mem0, infer=False", "LlamaIndex Memory", "Chroma"):
            stores.remove(name)
        imports = ["nothing", "ctxplug", "ctxplug, in use", "LangGraph's store"]
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as inside:
        kept = measure_stores(Path(inside), 60 if small else 400, stores)
    return {"stores": kept, "imports": measure_imports(3 if small else 7, imports)}


def table(result: Mapping[str, Any]) -> str:
    """Return the stores as a Markdown table, and who could not take part."""
    lines = [
        "| store | add x floor | processor, ms | get, µs | get x ctxplug | held, MB |",
        "|---|" + "---:|" * 5,
    ]
    for r in result["rows"]:
        lines.append(
            f"| {r['store']} | {r['x_floor']:.1f} ({r['per_second']:,.0f}/s)"
            f" | {r['add_cpu_ms']:.2f} | {r['get_us']:,.0f}"
            f" | {r['x_get']:.2f} | {r['held_mb']:.0f} |"
        )
    lines += ["", *(f"- {name} took no part: {why}." for name, why in result["absent"].items())]
    return "\n".join(lines).rstrip()


def import_table(result: Mapping[str, Any]) -> str:
    """Return the imports as a Markdown table, and who could not take part."""
    lines = [
        "| import | processor ms | x ctxplug | memory, MB | modules | packages | on disk, MB |",
        "|---|" + "---:|" * 6,
    ]
    for r in result["rows"]:
        weight = "- | -" if r["packages"] is None else f"{r['packages']} | {r['disk_mb']:,.0f}"
        lines.append(
            f"| {r['import']} | {r['cpu_ms']:,.0f} | {r['x']:.1f} | {r['memory_mb']:,.0f}"
            f" | {r['modules']:,.0f} | {weight} |"
        )
    lines += ["", *(f"- {name} took no part: {why}." for name, why in result["absent"].items())]
    return "\n".join(lines).rstrip()


def main() -> None:
    """Measure, and print tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer adds, and fewer stores")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dir", help="a folder on the disk to measure")
    parser.add_argument("--child", choices=STORES, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=400, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, Path(options.dir), options.size)
        return
    result = run(options.small, options.dir)
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
        return
    print(f"{table(result['stores'])}\n\n{import_table(result['imports'])}")


if __name__ == "__main__":
    main()
