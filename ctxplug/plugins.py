"""Find, load, block and list plugins; one that fails is named, skipped and listed.

Entry points of the group `ctxplug` are loaded sorted by name, each alone. The
environment chooses: `CTXPLUG_PLUGINS=""` loads none, `"a,b"` only these, and
`CTXPLUG_STRICT=1` raises PluginError where a plugin would be skipped.
"""

from __future__ import annotations

import inspect
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pluggy

from ctxplug import hookspecs
from ctxplug.errors import ComponentConflictError, PluginError, PluginWarning
from ctxplug.hookspecs import Target
from ctxplug.implementation import Implementation as Implementation
from ctxplug.implementation import check_signature

if TYPE_CHECKING:
    from importlib.metadata import Distribution

GROUP = "ctxplug"
BUILTIN = "ctxplug"
KINDS: Mapping[str, str] = {
    "token counter": "register_token_counters",
    "compression strategy": "register_compression_strategies",
    "importance scorer": "register_importance_scorers",
    "memory backend": "register_memory_backends",
    "tool": "register_tools",
    "embedder": "register_embedders",
    "summarizer": "register_summarizers",
    "command": "register_commands",
}
_NAME = re.compile(r"\w[\w.+-]*\Z")
_TARGET = re.compile(r"[^\s:]+:[^\s:]+\Z")


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """What `ctxplug plugins` shows of one plugin; `status` is loaded, blocked or failed.

    A failed plugin may still offer `components`: `errors` says what of it was skipped.
    """

    name: str
    status: str
    distribution: str | None
    version: str | None
    components: Mapping[str, tuple[str, ...]]
    hooks: tuple[str, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Component:
    """A registered name: who offers it and what makes it."""

    kind: str
    name: str
    plugin: str
    target: Target


class Plugins:
    """The plugins of one host: built-ins, entry points, and what is registered by hand."""

    def __init__(
        self, *, load_entry_points: bool = True, environ: Mapping[str, str] | None = None
    ) -> None:
        environ = os.environ if environ is None else environ
        self.strict = environ.get("CTXPLUG_STRICT", "").lower() in ("1", "true", "yes")
        chosen = environ.get("CTXPLUG_PLUGINS")
        self._chosen = None if chosen is None else _split(chosen)
        self._pm = pluggy.PluginManager(GROUP)
        self._pm.add_hookspecs(hookspecs)
        self._distributions: dict[str, Distribution | None] = {}
        self._failures: dict[str, dict[str, BaseException]] = {}  # plugin -> where -> what
        self._blocked: set[str] = set()
        self._components: dict[str, dict[str, Component]] = {}
        self._contested: dict[tuple[str, str], tuple[str, ...]] = {}
        self._lock = threading.RLock()  # two threads must not ask the hooks at once
        self._register_builtins()
        if load_entry_points:
            self._load_entry_points()

    # -- loading -------------------------------------------------------------------

    def register(self, plugin: object, name: str) -> None:
        """Add `plugin` (a module or object) under `name`; raise PluginError if it is unfit."""
        with self._lock:
            self._add(plugin, name)
            self._components.clear()
            self._contested.clear()

    def _register_builtins(self) -> None:
        from ctxplug import builtins

        self._add(builtins, BUILTIN)

    def _load_entry_points(self) -> None:
        from importlib.metadata import entry_points

        for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
            if self._chosen is not None and point.name not in self._chosen:
                self._blocked.add(point.name)
                self._distributions.setdefault(point.name, point.dist)
                continue
            try:
                if point.name in self._distributions:
                    raise PluginError(
                        f"Two distributions offer a plugin named {point.name!r}:"
                        f" {self._who(point.name)} and {_of(point.dist)}; uninstall one.",
                        plugin=point.name,
                    )
                self._distributions[point.name] = point.dist
                self._add(point.load(), point.name)
            except (Exception, SystemExit) as exc:  # a plugin must never end its host
                self._skip(point.name, point.value, exc)
        for name in sorted((self._chosen or set()) - set(self._distributions)):
            message = f"CTXPLUG_PLUGINS names {name!r}, which is not installed."
            if self.strict:
                raise PluginError(message, plugin=name)
            warnings.warn(message, PluginWarning, stacklevel=4)

    def _add(self, plugin: object, name: str) -> None:
        if plugin is None:
            raise PluginError(f"Plugin {name!r} is None; register a module or object.", plugin=name)
        if inspect.isclass(plugin):
            raise PluginError(
                f"Plugin {name!r} is the class {plugin.__name__}; register an instance of it.",
                plugin=name,
            )
        if self._pm.has_plugin(name):
            raise PluginError(f"A plugin named {name!r} is already registered.", plugin=name)
        try:
            self._pm.register(plugin, name)
            self._pm.check_pending()
            implementations = list(self._implementations(name))
            if not implementations:
                raise PluginError(
                    f"Plugin {name!r} implements no hook; mark its functions with"
                    " @ctxplug.hookimpl.",
                    plugin=name,
                )
            for implementation in implementations:
                offers = implementation.hook in KINDS.values()
                check_signature(implementation, must_take="register" if offers else None)
        except (Exception, SystemExit) as exc:
            if self._pm.get_plugin(name) is plugin:
                self._pm.unregister(name=name)
            if isinstance(exc, PluginError):
                raise
            raise PluginError(f"Plugin {name!r} does not fit: {exc}", plugin=name) from exc
        self._distributions.setdefault(name, None)

    def _skip(self, name: str, where: str, exc: BaseException) -> None:
        if self.strict:
            if isinstance(exc, PluginError):
                raise exc
            raise PluginError(
                f"Plugin {name!r} ({self._who(name)}) failed: {exc!r}.", plugin=name
            ) from exc
        known = self._failures.setdefault(name, {})
        told, known[where] = where in known, exc
        if told:  # asked again, because another plugin was registered meanwhile
            return
        warnings.warn(
            f"ctxplug goes on without plugin {name!r} ({self._who(name)}): {_reason(exc)}",
            PluginWarning,
            stacklevel=4,
        )

    # -- what they offer -----------------------------------------------------------

    def components(self, kind: str) -> Mapping[str, Component]:
        """Return what is registered for `kind` (a key of KINDS), by name."""
        with self._lock:
            if kind not in self._components:
                self._components[kind] = self._collect(kind)
            return self._components[kind]

    def contested(self, kind: str, name: str) -> tuple[str, ...]:
        """Return the third-party plugins that claim one name, if two do."""
        self.components(kind)
        return self._contested.get((kind, name), ())

    def implementations(self, hook: str) -> tuple[Implementation, ...]:
        """Return every plugin's implementation of `hook`, sorted by plugin name."""
        found = [i for name in self._names() for i in self._implementations(name)]
        return tuple(i for i in found if i.hook == hook)

    def who(self, name: str) -> str:
        """Return the distribution and version behind plugin `name`, for messages."""
        return self._who(name)

    def list(self) -> Sequence[PluginInfo]:
        """Return all plugins, loaded, blocked and failed, sorted by name."""
        for kind in KINDS:
            self.components(kind)
        return [self._info(name) for name in sorted(self._distributions)]

    def _collect(self, kind: str) -> dict[str, Component]:
        """Ask plugin by plugin, so that a failure and a name are charged to their owner."""
        found: dict[str, Component] = {}
        for implementation in self.implementations(KINDS[kind]):
            offered: dict[str, Component] = {}
            try:
                self._ask(implementation, kind, found, offered)
            except (Exception, SystemExit) as exc:
                self._skip(implementation.plugin, kind, exc)
                if not isinstance(exc, ComponentConflictError):  # what came before it stays
                    continue
            found.update(offered)
        return found

    def _ask(
        self,
        implementation: Implementation,
        kind: str,
        found: Mapping[str, Component],
        offered: dict[str, Component],
    ) -> None:
        plugin = implementation.plugin

        def register(name: str, target: Target) -> None:
            self._check_offer(kind, name, target, plugin)
            taken = found.get(name) or offered.get(name)
            if taken:
                raise self._conflict(taken, plugin)
            offered[name] = Component(kind, name, plugin, target)

        answer = implementation(register=register)
        if answer is not None:
            raise PluginError(
                f"{plugin!r} returns a {type(answer).__name__} from {implementation.hook};"
                " it is to call register(name, target) instead.",
                plugin=plugin,
            )

    def _check_offer(self, kind: str, name: str, target: Target, plugin: str) -> None:
        if not isinstance(name, str) or not _NAME.match(name):
            raise PluginError(
                f"{plugin!r} registers the {kind} name {name!r:.80}; a name is made of letters,"
                " digits and . _ + -.",
                plugin=plugin,
            )
        if not callable(target) and not (isinstance(target, str) and _TARGET.match(target)):
            raise PluginError(
                f"{plugin!r} registers {kind} {name!r} with {target!r:.80}; give a factory or"
                " 'package.module:factory'.",
                plugin=plugin,
            )

    def _conflict(self, taken: Component, plugin: str) -> PluginError:
        """Return the error for a second claim; a name that two third parties claim is no one's."""
        kind, name, first = taken.kind, taken.name, taken.plugin
        if first == plugin:
            return PluginError(f"{plugin!r} registers the {kind} {name!r} twice.", plugin=plugin)
        if first != BUILTIN:
            claims = self._contested.get((kind, name), (first,))
            self._contested[kind, name] = (*claims, plugin)
        return ComponentConflictError(
            f"The {kind} {name!r} is offered by both {first!r} ({self._who(first)}) and"
            f" {plugin!r} ({self._who(plugin)}); uninstall one or choose with CTXPLUG_PLUGINS.",
            plugins=(first, plugin),
        )

    def _implementations(self, name: str) -> Iterator[Implementation]:
        plugin = self._pm.get_plugin(name)
        for caller in self._pm.get_hookcallers(plugin) or () if plugin is not None else ():
            for impl in caller.get_hookimpls():
                if impl.plugin is plugin:
                    yield Implementation(
                        name, caller.name, impl.function, (*impl.argnames, *impl.kwargnames)
                    )

    def _names(self) -> Sequence[str]:
        """Built-ins first, then by name: the order in which names are claimed."""
        loaded = [name for name, plugin in self._pm.list_name_plugin() if plugin is not None]
        return sorted(loaded, key=lambda name: (name != BUILTIN, name))

    def _who(self, name: str) -> str:
        if name == BUILTIN:
            return "built in"
        return _of(self._distributions.get(name))

    def _info(self, name: str) -> PluginInfo:
        distribution = self._distributions[name]
        loaded = self._pm.get_plugin(name) is not None
        errors = self._failures.get(name, {}).values()
        components = {
            kind: tuple(c.name for c in self._components[kind].values() if c.plugin == name)
            for kind in KINDS
        }
        status = "blocked" if name in self._blocked else "failed" if errors else "loaded"
        return PluginInfo(
            name=name,
            status=status,
            distribution=distribution.name if distribution else None,
            version=distribution.version if distribution else None,
            components={kind: names for kind, names in components.items() if names},
            hooks=tuple(i.hook for i in self._implementations(name)) if loaded else (),
            errors=tuple(_reason(exc) for exc in errors),
        )


@cache
def installed() -> Plugins:
    """Return the plugins of this process, loaded at the first call."""
    return Plugins()


def _split(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


def _of(distribution: Distribution | None) -> str:
    if distribution is None:
        return "registered by the application"
    return f"{distribution.name} {distribution.version}"


def _reason(exc: BaseException) -> str:
    if isinstance(exc, SystemExit):
        return f"it tried to exit the process (SystemExit({exc.code!r}))."
    return str(exc) if isinstance(exc, PluginError) else f"{type(exc).__name__}: {exc}"
