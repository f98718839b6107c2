"""The six commands of the memory tool on MemoryFiles; answers are worded as the SDK's own."""

from __future__ import annotations

from collections.abc import Sequence

from ctxplug.errors import ToolError
from ctxplug_anthropic.memory_files import MAX_LINES, MemoryFiles
from ctxplug_anthropic.memory_paths import TOOL, to_path

DEPTH = 2  # levels of a folder that are shown
WIDTH = len(str(MAX_LINES))
_UNITS = ("B", "K", "M", "G")


def view(files: MemoryFiles, path: str, view_range: Sequence[int] | None = None) -> str:
    """Return a folder's listing, or a file's lines with their numbers."""
    path = to_path(path)
    if files.is_folder(path):
        return _listing(files, path)
    lines = files.read(path).split("\n")
    first, last = _range(view_range, len(lines))
    shown = _numbered(lines[first - 1 : last], first)
    return f"Here's the content of {path} with line numbers:\n{shown}"


def create(files: MemoryFiles, path: str, file_text: str) -> str:
    """Make a new file."""
    files.create(path, file_text)
    return f"File created successfully at: {path}"


def str_replace(files: MemoryFiles, path: str, old_str: str, new_str: str) -> str:
    """Replace the only occurrence of a text, and return the lines around it."""
    snippet = ""

    def change(text: str) -> str:
        nonlocal snippet
        at = _only(text, old_str, path)
        new = text[:at] + new_str + text[at + len(old_str) :]
        line = text[:at].count("\n")
        first = max(0, line - 2)
        snippet = _numbered(new.split("\n")[first : line + 3], first + 1)
        return new

    files.edit(path, change)
    return (
        "The memory file has been edited. Here is the snippet showing the change"
        f" (with line numbers):\n{snippet}"
    )


def insert(files: MemoryFiles, path: str, insert_line: int, insert_text: str) -> str:
    """Insert lines behind line `insert_line`; 0 is the beginning."""

    def change(text: str) -> str:
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        if not 0 <= insert_line <= len(lines):
            raise ToolError(
                f"Invalid `insert_line` parameter: {insert_line}. It should be within the range"
                f" [0, {len(lines)}].",
                tool=TOOL,
            )
        added = insert_text[:-1] if insert_text.endswith("\n") else insert_text
        return "\n".join([*lines[:insert_line], added, *lines[insert_line:]]) + "\n"

    files.edit(path, change)
    return f"The file {path} has been edited."


def delete(files: MemoryFiles, path: str) -> str:
    """Remove a file or a folder."""
    files.remove(path)
    return f"Successfully deleted {path}"


def rename(files: MemoryFiles, old_path: str, new_path: str) -> str:
    """Rename a file or a folder."""
    files.move(old_path, new_path)
    return f"Successfully renamed {old_path} to {new_path}"


def _only(text: str, old: str, path: str) -> int:
    """Return where `old` is in `text`, which must be in one place."""
    starts: list[int] = []
    at = text.find(old) if old else -1
    while at >= 0:
        starts.append(at)
        at = text.find(old, at + 1)
    if not starts:
        raise ToolError(
            f"No replacement was performed, old_str `{old}` did not appear verbatim in {path}.",
            tool=TOOL,
        )
    if len(starts) > 1:
        lines = ", ".join(str(text[:start].count("\n") + 1) for start in starts)
        raise ToolError(
            f"No replacement was performed. Multiple occurrences of old_str `{old}` in lines:"
            f" {lines}. Please ensure it is unique",
            tool=TOOL,
        )
    return starts[0]


def _range(given: Sequence[int] | None, count: int) -> tuple[int, int]:
    if given is None:
        return 1, count
    if len(given) != 2 or not 1 <= given[0] <= count or (given[1] != -1 and given[1] < given[0]):
        raise ToolError(
            f"view_range is [first, last] within 1 to {count}, or [first, -1]; it is"
            f" {list(given)!r:.60}.",
            tool=TOOL,
        )
    return given[0], count if given[1] == -1 else min(given[1], count)


def _numbered(lines: Sequence[str], first: int) -> str:
    return "\n".join(f"{i:>{WIDTH}}\t{line}" for i, line in enumerate(lines, first))


def _listing(files: MemoryFiles, folder: str) -> str:
    sizes: dict[str, int] = {}
    whole = 0
    for path, text in files.texts(folder).items():
        parts = path[len(folder) + 1 :].split("/")
        size = len(text.encode("utf-8", "replace"))
        whole += size
        if any(part.startswith(".") for part in parts):
            continue
        for depth in range(1, min(len(parts), DEPTH) + 1):
            name = "/".join(parts[:depth]) + ("/" if depth < len(parts) else "")
            sizes[name] = sizes.get(name, 0) + size
    rows = [f"{_size(whole)}\t{folder}"]
    rows += [f"{_size(sizes[name])}\t{folder}/{name}" for name in sorted(sizes)]
    return (
        f"Here're the files and directories up to {DEPTH} levels deep in {folder}, excluding"
        " hidden items:\n" + "\n".join(rows)
    )


def _size(count: int) -> str:
    unit = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    text = f"{count / 1024**unit:.1f}".removesuffix(".0")
    return text + _UNITS[unit]
