"""MemoryFiles: the memory tool's files, kept as a log in which every version stays."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ctxplug import AgentMemory
from ctxplug.errors import ConflictError, ToolError
from ctxplug.guards import Guards
from ctxplug.storage import Append, Entry, Stream
from ctxplug_anthropic.memory_paths import ROOT, TOOL, is_under, parents, to_path

SESSION = "ctxplug:memory-files"  # the log's name among the sessions of its namespace
WRITE, REMOVE, MOVE = "file.write", "file.remove", "file.move"
MAX_FILE = 1024 * 1024  # bytes of one file
MAX_LINES = 999_999
ATTEMPTS = 1_000

Draft = tuple[str, dict[str, Any]]  # an entry's kind and body


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What a file held from `at` on; `version` is its place in the log, `agent` who wrote it."""

    path: str
    version: int
    text: str
    at: datetime
    agent: str | None


@dataclass(frozen=True, slots=True)
class _State:
    files: Mapping[str, FileVersion] = field(default_factory=dict)
    last: Entry | None = None

    @property
    def version(self) -> int:
        return self.last.version if self.last else 0


class MemoryFiles:
    """The files of the namespace of `memory`, for all its sessions and agents.

    A change is one entry of a log, durable when the call returns; a writer that lost a race
    looks again and decides anew. Nothing is overwritten: `versions` lists what a file held.
    What plugins redact is redacted before it is stored. Usable from any thread and from
    several processes. Paths begin with /memories; folders are there as long as they hold
    files. Faults raise ctxplug.errors.ToolError, whose text may be shown to the model.
    """

    def __init__(self, memory: AgentMemory) -> None:
        self.memory = memory
        self._stream = Stream(memory.scope.namespace, SESSION)
        self._guards = Guards(memory.plugins)
        self._lock = threading.Lock()
        self._state = _State()

    def paths(self, folder: str = ROOT) -> list[str]:
        """Return the files under `folder`, sorted."""
        folder = to_path(folder)
        return sorted(path for path in self._now().files if is_under(path, folder))

    def texts(self, folder: str = ROOT) -> dict[str, str]:
        """Return the text of every file under `folder`, by path, sorted."""
        folder = to_path(folder)
        files = self._now().files
        return {path: files[path].text for path in sorted(files) if is_under(path, folder)}

    def is_folder(self, path: str) -> bool:
        """Whether `path` is /memories or holds files."""
        path = to_path(path)
        files = self._now().files
        return path == ROOT or (path not in files and any(is_under(f, path) for f in files))

    def read(self, path: str, version: int | None = None) -> str:
        """Return the text of a file, or of one of its `versions`."""
        path = to_path(path)
        if version is None:
            return _file(self._now(), path).text
        for one in self.versions(path):
            if one.version == version:
                return one.text
        raise ToolError(f"{path} has no version {version}.", tool=TOOL)

    def versions(self, path: str) -> list[FileVersion]:
        """Return what a file has held, oldest first, under names it had before as well.

        That of a removed file is there too.
        """
        name, found = to_path(path), []
        for entry in reversed(self.memory.backend.read(self._stream)):
            body = entry.body
            if entry.kind == WRITE and body["path"] == name:
                found.append(_version(entry))
            elif entry.kind == MOVE and is_under(name, body["new"]):
                name = body["old"] + name[len(body["new"]) :]
            elif entry.kind == MOVE and is_under(name, body["old"]):
                break  # what had the name before was moved, with its versions
        return found[::-1]

    def create(self, path: str, text: str) -> None:
        """Make a new file; one that is there already is an error."""
        path = to_path(path)

        def decide(state: _State) -> Draft:
            _refuse_taken(state, path)
            return self._written(path, text)

        self._append(decide)

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Write what `change` makes of a file's text, which is the newest one."""
        path = to_path(path)
        self._append(lambda state: self._written(path, change(_file(state, path).text)))

    def restore(self, path: str, version: int) -> None:
        """Write a former version of a file again, also if the file was removed."""
        path = to_path(path)
        text = self.read(path, version)

        def decide(state: _State) -> Draft:
            if path not in state.files:
                _refuse_taken(state, path)
            return self._written(path, text)

        self._append(decide)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that it holds; their versions stay."""
        path = to_path(path)

        def decide(state: _State) -> Draft:
            if path == ROOT:
                raise ToolError(f"Cannot delete the {ROOT} directory itself", tool=TOOL)
            _refuse_missing(state, path)
            return REMOVE, {"path": path}

        self._append(decide)

    def move(self, old: str, new: str) -> None:
        """Rename a file or a folder; the destination must be free."""
        old, new = to_path(old), to_path(new)

        def decide(state: _State) -> Draft:
            if ROOT in (old, new):
                raise ToolError(f"Cannot rename the {ROOT} directory itself", tool=TOOL)
            _refuse_missing(state, old)
            _refuse_taken(state, new)
            if is_under(new, old):
                raise ToolError(f"Cannot move {old} into itself", tool=TOOL)
            return MOVE, {"old": old, "new": new}

        self._append(decide)

    def clear(self) -> None:
        """Remove all files; their versions stay."""
        if self._now().files:
            self._append(lambda state: (REMOVE, {"path": ROOT}))

    def _written(self, path: str, text: str) -> Draft:
        text = self._guards.redact(text, self.memory.scope)
        if len(text.encode("utf-8", "replace")) > MAX_FILE or text.count("\n") >= MAX_LINES:
            raise ToolError(
                f"{path} would be larger than {MAX_FILE} bytes or {MAX_LINES} lines; split it.",
                tool=TOOL,
            )
        return WRITE, {"path": path, "text": text}

    def _append(self, decide: Callable[[_State], Draft]) -> None:
        for attempt in range(ATTEMPTS):
            state = self._now()
            kind, body = decide(state)
            try:
                self.memory.backend.write(self._entry(kind, body, state.version))
                return
            except ConflictError:
                if attempt + 1 == ATTEMPTS:
                    raise
            time.sleep(random.random() * min(attempt + 1, 20) / 2_000)

    def _entry(self, kind: str, body: dict[str, Any], expected: int) -> Append:
        return Append(
            stream=self._stream,
            kind=kind,
            body=body,
            created_at=datetime.now(UTC),
            agent=self.memory.scope.agent,
            expected=expected,
        )

    def _now(self) -> _State:
        """Return the files as they are, reading only what was written since."""
        with self._lock:
            state = self._state
            entries = self.memory.backend.read(self._stream, after=max(state.version - 1, 0))
            if state.last and entries[:1] != [state.last]:  # it was erased, and begun anew
                state, entries = _State(), self.memory.backend.read(self._stream)
            new = entries[1:] if state.last else entries
            if new:
                files = dict(state.files)
                for entry in new:
                    _apply(files, entry)
                state = _State(files, new[-1])
            self._state = state
            return state


def _apply(files: dict[str, FileVersion], entry: Entry) -> None:
    body = entry.body
    if entry.kind == WRITE:
        files[body["path"]] = _version(entry)
    elif entry.kind == REMOVE:
        for path in [path for path in files if is_under(path, body["path"])]:
            del files[path]
    elif entry.kind == MOVE:
        for path in [path for path in files if is_under(path, body["old"])]:
            files[body["new"] + path[len(body["old"]) :]] = files.pop(path)


def _version(entry: Entry) -> FileVersion:
    body = entry.body
    return FileVersion(body["path"], entry.version, body["text"], entry.created_at, entry.agent)


def _file(state: _State, path: str) -> FileVersion:
    _refuse_missing(state, path)
    if path not in state.files:
        raise ToolError(f"The path {path} is not a file.", tool=TOOL)
    return state.files[path]


def _refuse_missing(state: _State, path: str) -> None:
    if path != ROOT and not any(is_under(file, path) for file in state.files):
        text = f"The path {path} does not exist. Please provide a valid path."
        raise ToolError(text, tool=TOOL)


def _refuse_taken(state: _State, path: str) -> None:
    if path == ROOT or any(is_under(file, path) for file in state.files):
        raise ToolError(f"{path} already exists", tool=TOOL)
    for folder in parents(path):
        if folder in state.files:
            raise ToolError(f"{folder} is a file, so it holds no {path}", tool=TOOL)
