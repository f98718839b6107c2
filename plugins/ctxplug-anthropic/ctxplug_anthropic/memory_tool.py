"""The Anthropic memory tool, served from a ctxplug store instead of a folder of files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from anthropic.lib.tools import BetaAbstractMemoryTool, BetaAsyncAbstractMemoryTool
from anthropic.lib.tools import ToolError as SdkToolError
from anthropic.types import beta
from pydantic import TypeAdapter, ValidationError

from ctxplug import AgentMemory
from ctxplug.errors import CtxplugError, ToolError
from ctxplug.tools import Tool
from ctxplug_anthropic import memory_commands as commands
from ctxplug_anthropic.memory_files import MemoryFiles
from ctxplug_anthropic.memory_paths import TOOL

Command: TypeAlias = beta.BetaMemoryTool20250818Command

DESCRIPTION = "Keep notes between conversations as files under /memories."
_TEXT, _INT = {"type": "string"}, {"type": "integer"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "command": {"enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
        "path": _TEXT,
        "view_range": {"type": ["array", "null"], "items": _INT},
        "file_text": _TEXT,
        "old_str": _TEXT,
        "new_str": _TEXT,
        "insert_line": _INT,
        "insert_text": _TEXT,
        "old_path": _TEXT,
        "new_path": _TEXT,
    },
    "required": ["command"],
    "additionalProperties": False,
}
_COMMANDS: TypeAdapter[Any] = TypeAdapter(Command)


class MemoryTool(BetaAbstractMemoryTool):
    """The memory tool for `client.beta.messages.run_tools(tools=[MemoryTool(memory)])`.

    The files are those of the namespace of `memory`: the model cannot name another. What
    goes wrong is told to the model in words; `files` gives their versions. `as_tool` is the
    same tool for `memory.tools`.
    """

    def __init__(self, memory: AgentMemory, **options: Any) -> None:
        super().__init__(**options)
        self.files = MemoryFiles(memory)

    def call(self, input: object) -> str:
        """Run one command of the model; raises the SDK's ToolError, which the model is told."""
        try:
            return _run(self.files, input)
        except CtxplugError as exc:
            raise SdkToolError(_told(exc)) from exc

    def as_tool(self) -> Tool:
        """Return the Tool for `memory.tools.add`: run, limited and recorded like any other."""
        return Tool.from_schema(TOOL, DESCRIPTION, SCHEMA, self._keywords)

    def view(self, command: beta.BetaMemoryTool20250818ViewCommand) -> str:
        """Show a folder or a file."""
        return _execute(self.files, command)

    def create(self, command: beta.BetaMemoryTool20250818CreateCommand) -> str:
        """Make a new file."""
        return _execute(self.files, command)

    def str_replace(self, command: beta.BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace text in a file."""
        return _execute(self.files, command)

    def insert(self, command: beta.BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines into a file."""
        return _execute(self.files, command)

    def delete(self, command: beta.BetaMemoryTool20250818DeleteCommand) -> str:
        """Remove a file or a folder."""
        return _execute(self.files, command)

    def rename(self, command: beta.BetaMemoryTool20250818RenameCommand) -> str:
        """Rename a file or a folder."""
        return _execute(self.files, command)

    def clear_all_memory(self) -> str:
        """Remove all files; their versions stay."""
        self.files.clear()
        return "All memory cleared"

    def _keywords(self, **arguments: Any) -> str:
        return _run(self.files, arguments)


class AsyncMemoryTool(BetaAsyncAbstractMemoryTool):
    """MemoryTool for the async client; it works on the store's own threads."""

    def __init__(self, memory: AgentMemory, **options: Any) -> None:
        super().__init__(**options)
        self.files = MemoryFiles(memory)

    async def call(self, input: object) -> str:
        """Run one command of the model; raises the SDK's ToolError, which the model is told."""
        try:
            return await self._work(_run, input)
        except CtxplugError as exc:
            raise SdkToolError(_told(exc)) from exc

    async def view(self, command: beta.BetaMemoryTool20250818ViewCommand) -> str:
        """Show a folder or a file."""
        return await self._work(_execute, command)

    async def create(self, command: beta.BetaMemoryTool20250818CreateCommand) -> str:
        """Make a new file."""
        return await self._work(_execute, command)

    async def str_replace(self, command: beta.BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace text in a file."""
        return await self._work(_execute, command)

    async def insert(self, command: beta.BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines into a file."""
        return await self._work(_execute, command)

    async def delete(self, command: beta.BetaMemoryTool20250818DeleteCommand) -> str:
        """Remove a file or a folder."""
        return await self._work(_execute, command)

    async def rename(self, command: beta.BetaMemoryTool20250818RenameCommand) -> str:
        """Rename a file or a folder."""
        return await self._work(_execute, command)

    async def clear_all_memory(self) -> str:
        """Remove all files; their versions stay."""
        await self.files.memory.backend.arun(self.files.clear)
        return "All memory cleared"

    async def _work(self, do: Callable[[MemoryFiles, Any], str], command: object) -> str:
        return await self.files.memory.backend.arun(partial(do, self.files, command))


def _run(files: MemoryFiles, given: object) -> str:
    try:
        command = _COMMANDS.validate_python(given, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ToolError(
            f"The memory command is not valid: {where}: {first['msg']}.", tool=TOOL
        ) from (
            None  # pydantic's text would repeat the input
        )
    return _execute(files, command)


def _execute(files: MemoryFiles, command: Command) -> str:
    arguments = command.to_dict(mode="python", exclude_unset=True)
    name = str(arguments.pop("command"))
    answer: str = getattr(commands, name)(files, **arguments)
    return answer


def _told(exc: CtxplugError) -> str:
    if isinstance(exc, ToolError):
        return str(exc)
    return f"The memory could not be used just now ({type(exc).__name__})."
