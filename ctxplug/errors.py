"""Every error that ctxplug raises on purpose.

::

    CtxplugError
    ├── InvalidValueError (ValueError)       a value that cannot be stored; .path says where
    │   ├── InvalidMessageError              a message or provider dict that makes no sense
    │   └── InvalidNamespaceError            a namespace or session name that is no key
    ├── TranscriptError (ValueError)         a transcript file; .path, .line
    ├── BudgetError                          the window cannot fit; .needed, .budget
    │   └── UsageLimitError                  a usage limit is reached; .limit, .used, .needed
    ├── UnknownPriceError (LookupError)      a cost limit needs a price that is unknown; .model
    ├── EmptyContextError                    there is no user message to answer
    ├── ClosedError                          the memory or backend was closed
    ├── NotFoundError (LookupError)          no such record, message or session here
    ├── SessionStateError                    the session's state forbids it; .state, .legal
    ├── AuditError                           what must be audited cannot be, or a rule refused it
    ├── UnsupportedError                     the component lacks a capability; .capability
    ├── UnknownComponentError (LookupError)  no plugin offers that name; .kind, .name, .known
    ├── ToolError                            a tool said no; its text is shown to the model; .tool
    │   ├── InvalidToolError (ValueError)    a function or schema that makes no tool
    │   ├── ToolConflictError                two tools of one name; .sources
    │   ├── UnknownToolError (LookupError)   no tool of that name here; .known
    │   ├── ToolArgumentsError (ValueError)  arguments do not fit the schema; .path
    │   ├── ToolRefusedError                 a rule or the user refused the call
    │   ├── ToolBusyError                    no place to run came free; .waited seconds
    │   └── ToolTimeoutError                 the tool did not answer in time; .seconds
    ├── PluginError                          a plugin failed; .plugin
    │   ├── ComponentConflictError           two plugins claim one name; .plugins
    │   └── GuardError                       a guard refused, failed or hung: nothing was stored
    └── StorageError                         a backend failed; .target
        ├── ConflictError                    someone else wrote first; .expected, .found
        ├── EmbedderChangedError             the vectors are another embedder's; .stored, .given
        ├── StorageBusyError                 another process holds the lock; .waited seconds
        ├── StorageFullError                 no space left
        ├── ReadOnlyError                    the store cannot be written
        ├── AccessError                      a rule keeps it from the agent; .agent, .verb, .session
        ├── CannotOpenError                  the path cannot be opened at all
        ├── CorruptStoreError                the file is damaged
        ├── ForeignFileError                 the file is not a ctxplug store
        └── NewerSchemaError                 the file was written by a newer ctxplug
"""

from __future__ import annotations

from collections.abc import Sequence


class CtxplugError(Exception):
    """Root of the family: catch this to catch everything ctxplug raises on purpose."""


class InvalidValueError(CtxplugError, ValueError):
    """A value cannot be stored; `path` is its JSON path, such as `metadata.trip[2]`."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class InvalidMessageError(InvalidValueError):
    """A message, or a provider's message dict, is malformed."""


class InvalidNamespaceError(InvalidValueError):
    """A namespace or session name is empty or holds what a key must not hold."""


class TranscriptError(CtxplugError, ValueError):
    """A transcript file cannot be read; `path` and `line` (1-based, 0 if none) say where."""

    def __init__(self, message: str, *, path: str, line: int = 0) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


class BudgetError(CtxplugError):
    """What must be sent does not fit; `needed` and `budget` are tokens."""

    def __init__(self, message: str, *, needed: int, budget: int) -> None:
        super().__init__(message)
        self.needed = needed
        self.budget = budget


class UsageLimitError(BudgetError):
    """A call would exceed the usage limit named `limit`, such as "daily_tokens".

    `used` is what is spent or reserved already, `needed` what the call takes, `budget` the
    limit itself: tokens, or US dollars for a limit on cost.
    """

    needed: float  # type: ignore[assignment]  # dollars are no whole numbers
    budget: float  # type: ignore[assignment]

    def __init__(
        self, message: str, *, limit: str, used: float, needed: float, budget: float
    ) -> None:
        super().__init__(message, needed=0, budget=0)
        self.limit = limit
        self.used = used
        self.needed = needed
        self.budget = budget


class UnknownPriceError(CtxplugError, LookupError):
    """Cost is limited, and the price of `model` is unknown; unknown is not zero."""

    def __init__(self, message: str, *, model: str | None) -> None:
        super().__init__(message)
        self.model = model


class EmptyContextError(CtxplugError):
    """A window was asked for while the session holds no user message."""


class ClosedError(CtxplugError):
    """The object was used after `close()`."""


class NotFoundError(CtxplugError, LookupError):
    """Nothing of that id in this namespace; the text is the same for a foreign id."""


class SessionStateError(CtxplugError):
    """The `state` of `session` does not allow it; `legal` are those that it may be made.

    `wanted` is the state it should have become, None where it should have been written to.
    """

    def __init__(
        self,
        message: str,
        *,
        session: str,
        state: str,
        wanted: str | None = None,
        legal: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.session = session
        self.state = state
        self.wanted = wanted
        self.legal = tuple(legal)


class AuditError(CtxplugError):
    """What must be audited could not be, or a rule of compliance refused it; it was not done."""


class UnsupportedError(CtxplugError):
    """The component does not declare this `capability`."""

    def __init__(self, message: str, *, capability: str) -> None:
        super().__init__(message)
        self.capability = capability


class UnknownComponentError(CtxplugError, LookupError):
    """No loaded plugin registers `name` for extension point `kind`; `known` are the choices."""

    def __init__(self, message: str, *, kind: str, name: str, known: Sequence[str]) -> None:
        super().__init__(message)
        self.kind = kind
        self.name = name
        self.known = tuple(known)


class ToolError(CtxplugError):
    """A tool call came to nothing; `tool` is its name.

    A tool raises this itself to tell the model something: of any other error that a tool
    raises, the model sees no text.
    """

    def __init__(self, message: str, *, tool: str = "") -> None:
        super().__init__(message)
        self.tool = tool


class InvalidToolError(ToolError, ValueError):
    """No tool can be made of this function, object or schema."""


class ToolConflictError(ToolError):
    """Two tools have one name; `sources` says where both come from."""

    def __init__(self, message: str, *, tool: str, sources: Sequence[str]) -> None:
        super().__init__(message, tool=tool)
        self.sources = tuple(sources)


class UnknownToolError(ToolError, LookupError):
    """There is no tool of that name here; `known` are those that there are."""

    def __init__(self, message: str, *, tool: str, known: Sequence[str]) -> None:
        super().__init__(message, tool=tool)
        self.known = tuple(known)


class ToolArgumentsError(ToolError, ValueError):
    """The arguments of a call do not fit the tool; `path` is the first that does not."""

    def __init__(self, message: str, *, tool: str, path: str = "") -> None:
        super().__init__(message, tool=tool)
        self.path = path


class ToolRefusedError(ToolError):
    """A rule, or whoever was asked, refused the call; it did not run."""


class ToolBusyError(ToolError):
    """As many tools as may run were running for `waited` seconds; the call did not run."""

    def __init__(self, message: str, *, tool: str, waited: float) -> None:
        super().__init__(message, tool=tool)
        self.waited = waited


class ToolTimeoutError(ToolError):
    """The tool gave no answer within `seconds`."""

    def __init__(self, message: str, *, tool: str, seconds: float) -> None:
        super().__init__(message, tool=tool)
        self.seconds = seconds


class PluginError(CtxplugError):
    """A plugin failed to load, to register or to answer; `plugin` names it."""

    def __init__(self, message: str, *, plugin: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class ComponentConflictError(PluginError):
    """Two plugins claim one component name; `plugins` names both."""

    def __init__(self, message: str, *, plugins: Sequence[str]) -> None:
        super().__init__(message, plugin=plugins[-1])
        self.plugins = tuple(plugins)


class GuardError(PluginError):
    """A redaction or write-judgement plugin refused, failed or hung; nothing was stored."""


class StorageError(CtxplugError):
    """A backend failed; `target` names the file or server, the cause is chained."""

    def __init__(self, message: str, *, target: str = "") -> None:
        super().__init__(message)
        self.target = target


class ConflictError(StorageError):
    """The stream or record moved on: `expected` and `found` are versions."""

    def __init__(self, message: str, *, expected: int, found: int, target: str = "") -> None:
        super().__init__(message, target=target)
        self.expected = expected
        self.found = found


class EmbedderChangedError(StorageError):
    """A namespace holds vectors of embedder `stored`, and `given` is another: never mixed."""

    def __init__(self, message: str, *, stored: str, given: str, target: str = "") -> None:
        super().__init__(message, target=target)
        self.stored = stored
        self.given = given


class StorageBusyError(StorageError):
    """The lock was held by others for `waited` seconds; nothing was written."""

    def __init__(self, message: str, *, waited: float, target: str = "") -> None:
        super().__init__(message, target=target)
        self.waited = waited


class StorageFullError(StorageError):
    """No space is left; reads still work, and writes do again once there is room."""


class ReadOnlyError(StorageError):
    """The store is read-only."""


class AccessError(StorageError):
    """An access rule does not let `agent` do `verb` with `session`; None: with all there is."""

    def __init__(
        self, message: str, *, agent: str, verb: str, session: str | None = None, target: str = ""
    ) -> None:
        super().__init__(message, target=target)
        self.agent = agent
        self.verb = verb
        self.session = session


class CannotOpenError(StorageError):
    """The path does not lead to something that can be opened."""


class CorruptStoreError(StorageError):
    """The store is damaged; the file was left as it is."""


class ForeignFileError(StorageError):
    """The file belongs to something else; it was left as it is."""


class NewerSchemaError(StorageError):
    """The store was written by a newer ctxplug; it was left as it is."""


class PluginWarning(UserWarning):
    """A plugin was skipped or degraded; the host goes on without it."""
