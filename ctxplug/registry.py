"""From a spec string to a component: `"tiktoken:o200k_base"` is a name and its argument.

Hooks are called once, to fill the tables in `plugins`; what `resolve` returns is a plain
object, and calling it costs no hook call.
"""

from __future__ import annotations

import importlib
import inspect
import operator
import re
from typing import Any

from ctxplug.errors import (
    ComponentConflictError,
    CtxplugError,
    PluginError,
    UnknownComponentError,
)
from ctxplug.plugins import KINDS, Component, Plugins

_SPEC = re.compile(r"\w[\w.+-]*\Z")

# What plugins of ours offer under another name than their own, or as a command.
_OURS = {
    "command": {
        **dict.fromkeys(("serve", "keys", "report", "advise"), "ctxplug-server"),
        "pii": "ctxplug-pii",
    },
    "embedder": {
        **{name: f"ctxplug-embeddings[{name}]" for name in ("openai", "voyage", "wordllama")},
        "sentence-transformers": "ctxplug-embeddings",
    },
    "memory backend": dict.fromkeys(("chroma+http", "chroma+https"), "ctxplug-chroma"),
}


class Registry:
    """The components that a set of plugins offers."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins

    def names(self, kind: str) -> list[str]:
        """Return the names registered for `kind`, sorted."""
        return sorted(self.plugins.components(kind))

    def resolve(self, kind: str, spec: Any) -> Any:
        """Return the component that `spec` names; what is no text is the component itself.

        Raises UnknownComponentError (naming the choices), ComponentConflictError (plugins
        claim one name), PluginError (its factory failed) or what of ctxplug.errors the
        factory raises on purpose.
        """
        if not isinstance(spec, str):
            return spec
        name, _, argument = spec.partition(":")
        component = self._find(kind, name, spec)
        factory = _load(component)
        takes_argument = _takes_argument(factory, given=bool(argument))
        if argument and not takes_argument:
            raise UnknownComponentError(
                f"{spec!r} has an argument, but the {kind} {name!r} takes none; write {name!r}.",
                kind=kind,
                name=spec,
                known=(name,),
            )
        try:
            made = factory(argument) if takes_argument else factory()
        except CtxplugError:
            raise
        except (Exception, SystemExit) as exc:
            raise _failure(component, spec, exc) from exc
        if made is None or inspect.isawaitable(made):
            raise PluginError(
                f"The factory of the {kind} {spec!r} of plugin {component.plugin!r} gave"
                f" {made!r:.80} instead of a component; factories are plain functions.",
                plugin=component.plugin,
            )
        return made

    def _find(self, kind: str, name: str, spec: str) -> Component:
        if kind not in KINDS:
            raise UnknownComponentError(
                f"{kind!r} is no extension point; they are {', '.join(KINDS)}.",
                kind=kind,
                name=name,
                known=tuple(KINDS),
            )
        contested = self.plugins.contested(kind, name)
        if contested:
            claims = " and ".join(f"{p!r} ({self.plugins.who(p)})" for p in contested)
            raise ComponentConflictError(
                f"The {kind} {name!r} is offered by {claims}; uninstall all but one or choose"
                " with CTXPLUG_PLUGINS.",
                plugins=contested,
            )
        component = self.plugins.components(kind).get(name)
        if component is None:
            known = self.names(kind)
            raise UnknownComponentError(
                f"No plugin offers the {kind} {name!r} (from {spec!r}). Known:"
                f" {', '.join(known) or 'none'}. `ctxplug plugins` lists what is installed"
                f" and what failed; {_offered_by(kind, name)}.",
                kind=kind,
                name=name,
                known=known,
            )
        return component


def is_spec(text: str) -> bool:
    """Say whether `text` begins with a component name and a colon (a drive letter is none)."""
    name, colon, _ = text.partition(":")
    return bool(colon) and len(name) > 1 and _SPEC.match(name) is not None


def distribution_of(kind: str, name: str) -> str | None:
    """Return which plugin of ours offers it, where the name does not tell; None for others."""
    return _OURS.get(kind, {}).get(name)


def _offered_by(kind: str, name: str) -> str:
    ours = distribution_of(kind, name)
    if ours is not None:
        return f"{ours} offers it"
    return f"a package such as ctxplug-{name or 'NAME'} may offer it"


def _load(component: Component) -> Any:
    target = component.target
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    try:
        factory = operator.attrgetter(attribute)(importlib.import_module(module))
    except (Exception, SystemExit) as exc:
        raise PluginError(
            f"The {component.kind} {component.name!r} of plugin {component.plugin!r} could not"
            f" be imported from {target!r}: {type(exc).__name__}: {exc}. Is everything it needs"
            " installed?",
            plugin=component.plugin,
        ) from exc
    if not callable(factory):
        raise PluginError(
            f"The {component.kind} {component.name!r} of plugin {component.plugin!r} is made by"
            f" {target!r}, which is a {type(factory).__name__} and cannot be called.",
            plugin=component.plugin,
        )
    return factory


def _failure(component: Component, spec: str, exc: BaseException) -> PluginError:
    what = f"The {component.kind} {spec!r} of plugin {component.plugin!r}"
    if isinstance(exc, ImportError):
        reason = f"needs a package that is not installed: {exc}."
    else:
        reason = f"could not be made: {type(exc).__name__}: {exc}."
    return PluginError(f"{what} {reason}", plugin=component.plugin)


def _takes_argument(factory: Any, *, given: bool) -> bool:
    """Say whether to pass the argument: one is `given`, or the factory cannot do without."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = {
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    }
    return any(p.kind in positional and (given or p.default is p.empty) for p in parameters)
