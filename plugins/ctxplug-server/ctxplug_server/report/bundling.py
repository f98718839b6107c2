"""Bundling: the viewer's modules as one script, so that a page needs nothing but itself.

Each module becomes a function that gives what it exports; they run in the order in which they
import each other. Where two import each other, the first gets its names once the other has run.
What is understood of JavaScript is what the viewer uses: imports and exports that are statements
of their own, at the beginning of a line.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ctxplug.errors import InvalidValueError

__all__ = ["bundle_script", "bundle_styles"]

_IMPORT = re.compile(
    r"""^import\s*(?:(?P<what>[\w$*{][^'";]*?)\s*from\s*)?["'](?P<path>[^"']+)["'];?""",
    re.MULTILINE,
)
_FROM = re.compile(
    r"""^export\s*(?P<what>\*|\{[^}]*\})\s*from\s*["'](?P<path>[^"']+)["'];?""", re.MULTILINE
)
_LIST = re.compile(r"(?:^|(?<=[;}]))export\s*\{(?P<what>[^}]*)\}\s*;?", re.MULTILINE)
_DECLARED = re.compile(
    r"^export\s+(?P<rest>(?:async\s+)?(?:function\s*\*?|class|const|let)\s+(?P<name>[\w$]+))",
    re.MULTILINE,
)
_DEFAULT = re.compile(r"^export\s+default\s+", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b(?!\s*\()", re.MULTILINE)
_CSS_IMPORT = re.compile(r"""^@import\s+(?:url\()?["']?([^"')]+)["']?\)?\s*;""", re.MULTILINE)
DEFAULT = "__default"


@dataclass(frozen=True)
class _Module:
    """A module as a function's body, what it imports from where, and what it exports as what."""

    path: str
    body: str
    imports: tuple[tuple[str, str], ...]
    exports: tuple[tuple[str, str], ...]


def bundle_script(root: Path, entry: str) -> str:
    """Return the script that does what the module `entry` of the folder `root` does."""
    modules: dict[str, _Module] = {}
    _collect(root, entry, modules, set())
    order = {path: index for index, path in enumerate(modules)}
    parts = [_function(module, order) for module in modules.values()]
    return _in_html('"use strict";\nconst __late = {};\n' + "\n".join(parts))


def bundle_styles(root: Path, entry: str) -> str:
    """Return the style sheet `entry` of the folder `root` with what it imports in it."""
    path = root / entry

    def imported(match: re.Match[str]) -> str:
        return bundle_styles(root, posixpath.normpath(posixpath.join(entry, "..", match[1])))

    text = _CSS_IMPORT.sub(imported, path.read_text(encoding="utf-8"))
    return text.replace("</", "<\\/")


def _collect(root: Path, path: str, modules: dict[str, _Module], met: set[str]) -> None:
    """Add the module `path` behind all that it imports, as far as that does not import it."""
    if path in met:
        return
    met.add(path)
    module = _module(path, (root / path).read_text(encoding="utf-8"))
    for other, _ in module.imports:
        _collect(root, other, modules, met)
    modules[path] = module


def _module(path: str, text: str) -> _Module:
    imports: list[tuple[str, str]] = []
    exports: list[tuple[str, str]] = []

    def resolved(match: re.Match[str]) -> str:
        return posixpath.normpath(posixpath.join(path, "..", match["path"]))

    def imported(match: re.Match[str]) -> str:
        imports.append((resolved(match), match["what"] or ""))
        return ""

    def passed_on(match: re.Match[str]) -> str:
        names = list(_named(match["what"].strip("{}")))
        alias = f"__from{len(imports)}"
        imports.append((resolved(match), f"* as {alias}"))
        exports.extend((shown, f"{alias}.{own}") for own, shown in names)
        return ""

    def listed(match: re.Match[str]) -> str:
        exports.extend((shown, own) for own, shown in _named(match["what"]))
        return ""

    def declared(match: re.Match[str]) -> str:
        exports.append((match["name"], match["name"]))
        return match["rest"]

    def defaulted(match: re.Match[str]) -> str:
        exports.append(("default", DEFAULT))
        return f"const {DEFAULT} = "

    steps: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
        (_FROM, passed_on),
        (_IMPORT, imported),
        (_LIST, listed),
        (_DECLARED, declared),
        (_DEFAULT, defaulted),
    )
    for pattern, replacement in steps:
        text = pattern.sub(replacement, text)
    left = _LEFT.search(text)
    if left:
        line = text[left.start() : left.start() + 80].partition("\n")[0]
        raise InvalidValueError(f"{path} has a line that cannot be bundled: {line!r}.", path=path)
    return _Module(path, text, tuple(imports), tuple(exports))


def _function(module: _Module, order: Mapping[str, int]) -> str:
    own = order[module.path]
    lines: list[str] = []
    for path, what in module.imports:
        for pattern, names in _bindings(what):
            if order[path] < own:
                lines.append(f"const {pattern} = __m{order[path]};")
            else:  # it runs later, and gives the names then
                then = f"({pattern} = __m{order[path]})"
                lines.append(f"let {names}; (__late.m{order[path]} ??= []).push(() => {then});")
    given = ", ".join(f"get {shown}() {{ return {name}; }}" for shown, name in module.exports)
    return (
        f"const __m{own} = (() => {{ // {module.path}\n"
        + "".join(f"{line}\n" for line in lines)
        + f"{module.body.strip()}\nreturn {{ {given} }};\n}})();\n"
        + f"__late.m{own}?.forEach((bind) => bind());"
    )


def _bindings(what: str) -> Iterator[tuple[str, str]]:
    """Yield the patterns that bind what an import names, and the names that they bind."""
    named = re.search(r"\{([^}]*)\}", what)
    if named:
        found = list(_named(named[1]))
        pairs = ", ".join(own if own == shown else f"{own}: {shown}" for own, shown in found)
        yield f"{{ {pairs} }}", ", ".join(shown for _, shown in found)
    rest = re.sub(r"\{[^}]*\}", "", what)
    for one in filter(None, (part.strip() for part in rest.split(","))):
        whole = re.fullmatch(r"\*\s*as\s+([\w$]+)", one)
        yield (whole[1], whole[1]) if whole else (f"{{ default: {one} }}", one)


def _named(what: str) -> Iterator[tuple[str, str]]:
    """Yield the names of `a, b as c`: what each is, and as what it is known elsewhere."""
    for one in filter(None, (part.strip() for part in what.split(","))):
        own, _, shown = re.sub(r"\s+", " ", one).partition(" as ")
        yield own, shown or own


def _in_html(script: str) -> str:
    """Return `script` so that it can stand in a script element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
