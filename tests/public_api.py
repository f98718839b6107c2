"""The public API as text, one line a name: `python tests/public_api.py` writes it anew.

tests/test_stability.py compares it with tests/fixtures/public_api.txt, so that a change of the
API is a change of that file, and is looked at as such.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from ctxplug.scaffold import KINDS, files_of, names_of

ROOT = Path(__file__).parents[1]
SNAPSHOT = Path(__file__).parent / "fixtures" / "public_api.txt"
PAGES = ("README.md", "docs/*.md", "plugins/*/README.md", "integrations/*/README.md")
HEAD = """\
# What others may build on; docs/stability.md says what that means.
# If a change of this file is meant, write it anew with:  python tests/public_api.py
# A line that goes, or changes, breaks somebody: deprecate first. A new line is a promise.
"""
# What an AgentMemory hands out: their verbs are as public as its own.
HANDED_OUT = ("access", "audit", "sections", "session", "tools", "trace", "usage")
PUBLIC = re.compile(r"^```\{public\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def snapshot() -> str:
    """Return the public API as text."""
    parts = [HEAD]
    for module, names in sorted(public_names().items()):
        parts.append(f"\n[{module}]\n")
        found = importlib.import_module(module)
        for name in sorted(names):
            parts += [f"{line}\n" for line in lines_of(name, getattr(found, name))]
    return "".join(parts)


def public_names() -> dict[str, set[str]]:
    """Return the public names by module: those of the reference, of examples and of the scaffold.

    Modules are left out, and so are other distributions.
    """
    found: dict[str, set[str]] = {}
    for module, names in (*of_the_reference(), *of_the_examples(), *handed_out()):
        found.setdefault(module, set()).update(names)
    return {module: {n for n in names if _is_value(module, n)} for module, names in found.items()}


def of_the_reference() -> Iterator[tuple[str, set[str]]]:
    """Yield what docs/reference lists: a module with its names, or with its `__all__`."""
    for page in sorted((ROOT / "docs" / "reference").glob("*.md")):
        for block in PUBLIC.findall(page.read_text(encoding="utf-8")):
            for line in filter(None, block.splitlines()):
                module, colon, names = (part.strip() for part in line.partition(":"))
                if module.split(".")[0] == "ctxplug":
                    listed = set(filter(None, names.replace(" ", "").split(",")))
                    yield module, listed if colon else _all_of(module)


def _all_of(module: str) -> set[str]:
    """Return `__all__`; of a module without one, the public names that are defined in it."""
    found = importlib.import_module(module)
    if hasattr(found, "__all__"):
        return set(found.__all__)
    owned = vars(found).items()
    return {n for n, v in owned if getattr(v, "__module__", "") == module and n[0] != "_"}


def _is_value(module: str, name: str) -> bool:
    try:
        return not inspect.ismodule(getattr(importlib.import_module(module), name))
    except ImportError:  # it needs an extra that is not installed here
        return True


def handed_out() -> Iterator[tuple[str, set[str]]]:
    """Yield the classes of what an AgentMemory hands out."""
    from ctxplug import AgentMemory
    from ctxplug.plugins import Plugins

    plugins = Plugins(load_entry_points=False, environ={})
    with AgentMemory.open("memory:", namespace="acme/alice", plugins=plugins) as memory:
        for name in HANDED_OUT:
            made = type(getattr(memory, name))
            yield made.__module__, {made.__name__}


def of_the_examples() -> Iterator[tuple[str, set[str]]]:
    """Yield what is imported from ctxplug by the examples of pages, and by new plugins."""
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            for block in BLOCK.findall(page.read_text(encoding="utf-8")):
                yield from _imported(block)
    for kind in KINDS:
        for path, text in files_of(names_of("mine"), kind).items():
            if path.endswith(".py"):
                yield from _imported(text)


def _imported(code: str) -> Iterator[tuple[str, set[str]]]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ctxplug":
            assert node.module
            yield node.module, {alias.name for alias in node.names}


def lines_of(name: str, value: Any) -> Iterator[str]:
    """Yield what `name` is: a function with its signature, or a class with its members."""
    if inspect.isclass(value):
        bases = [base.__name__ for base in value.__bases__ if issubclass(base, BaseException)]
        yield f"class {name}{'(' + ', '.join(bases) + ')' if bases else ''}"
        for _, lines in sorted(members(value)):
            yield from (f"    {line}" for line in lines)
    elif inspect.isroutine(value):
        yield from signature(f"def {name}", value)
    elif isinstance(value, str | int | float | tuple):
        yield re.sub(r" at 0x[0-9a-f]+", "", f"{name} = {value!r}")
    else:
        yield name


def members(cls: type) -> Iterator[tuple[str, list[str]]]:
    """Yield the public members of a class, those that it inherits from ctxplug too.

    The tests of a suite are laws, not names to build on, and no more are a machine's rules;
    fixtures are listed.
    """
    fields = _annotations(cls)
    yield from ((name, [f"{name}: {text}"]) for name, text in fields.items())
    for name, value in _owned(cls).items():
        shown = name == "__init__" and not getattr(cls, "_is_protocol", False)
        if name in fields or name.startswith("test_") or (name[0] == "_" and not shown):
            continue
        if isinstance(value, staticmethod | classmethod):
            kind = type(value).__name__
            yield name, list(signature(f"{kind} {name}", value.__func__))
        elif inspect.isfunction(value):
            yield name, list(signature(name, value))
        elif isinstance(value, property | cached_property):
            yield name, [f"property {name}"]
        elif "ixture" in type(value).__name__:
            yield name, [f"fixture {name}"]
        else:
            yield name, [name]


def _owned(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in _bases(cls):
        found |= vars(base)
    return found


def _annotations(cls: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in _bases(cls):
        found |= {k: str(v) for k, v in vars(base).get("__annotations__", {}).items()}
    return {name: text for name, text in found.items() if not name.startswith("_")}


def _bases(cls: type) -> list[type]:
    """Return the classes of ctxplug that `cls` is made of; not those of a state machine."""
    ours = [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "ctxplug"]
    machine = any(base.__name__ == "RuleBasedStateMachine" for base in cls.__mro__)
    return [] if machine else ours[::-1]


def signature(head: str, function: Any) -> Iterator[str]:
    """Yield `head` with the signature as it is written, on a line for each argument if long."""
    found = inspect.signature(function)
    parameters = [p for p in found.parameters.values() if p.name not in ("self", "cls")]
    texts, kinds = [], [p.kind for p in parameters]
    for i, parameter in enumerate(parameters):
        if parameter.kind is parameter.KEYWORD_ONLY and not {
            parameter.KEYWORD_ONLY,
            parameter.VAR_POSITIONAL,
        } & set(kinds[:i]):
            texts.append("*")
        texts.append(_parameter(parameter))
        if parameter.kind is parameter.POSITIONAL_ONLY and kinds[i + 1 : i + 2] != kinds[i : i + 1]:
            texts.append("/")
    answer = "" if found.return_annotation is found.empty else _text(found.return_annotation)
    end = f") -> {answer}" if answer not in ("", "None") else ")"
    whole = f"{head}({', '.join(texts)}{end}"
    if len(whole) <= 96:
        yield whole
        return
    yield f"{head}("
    yield from (f"    {text}," for text in texts)
    yield end


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
    text = stars.get(parameter.kind, "") + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {_text(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    default = parameter.default
    plain = default is None or isinstance(default, str | int | float | bool | tuple)
    return f"{text} = {default!r}" if plain else f"{text} = <default>"


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8", newline="\n")
    print(f"{SNAPSHOT.relative_to(ROOT)} is written; look at its changes before you commit it.")
