"""Export and import: a store as JSONL, and back, without losing a byte.

The first line is `{"ctxplug_export": 1}` and the last counts what stands between them:
lines of type "entry" (the log, session by session, in order) and of type "record"
(memories). With `ctxplug.codec` in between, any text survives, lone surrogates
included. The export of what was imported is the same file again.
"""

from ctxplug.exchange.incoming import ImportReceipt, examine_export, import_export
from ctxplug.exchange.outgoing import export_lines

__all__ = ["ImportReceipt", "examine_export", "export_lines", "import_export"]
