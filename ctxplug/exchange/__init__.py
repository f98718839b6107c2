"""Export and import: a store as JSONL, and back, without losing a byte.

The first line is `{"ctxplug_export": 1}`, or 2 if there are forks, and the last counts what
stands between them: lines of type "entry" (the log, session by session, in order) and of
type "record" (memories). A fork begins with a line of type "fork", which says of what, and
holds its own entries only. With `ctxplug.codec` in between, any text survives, lone surrogates
included. The export of what was imported is the same file again. `memory_lines` and
`import_memories` do so for memories alone, one record a line.
"""

from ctxplug.exchange.incoming import ImportReceipt, examine_export, import_export
from ctxplug.exchange.memories import (
    LineFault,
    MemoryReceipt,
    examine_memories,
    import_memories,
    memory_lines,
)
from ctxplug.exchange.outgoing import export_lines

__all__ = [
    "ImportReceipt",
    "LineFault",
    "MemoryReceipt",
    "examine_export",
    "examine_memories",
    "export_lines",
    "import_export",
    "import_memories",
    "memory_lines",
]
