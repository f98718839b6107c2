"""How source is read for the house rules: imports, functions, and what must not stand in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

CODE_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "cloudpickle", "jsonpickle"}
CODE_CALLS = {"eval", "exec", "compile", "__import__"}
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yield each absolute import of a file: its line, the module, and the names taken from it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module, tuple(alias.name for alias in node.names)


def sizes(path: Path, name: str) -> Iterator[tuple[str, int, int]]:
    """Yield the file called `name` and each function of it: lines, and how many it may have."""
    yield name, len(path.read_text(encoding="utf-8").splitlines()), MAX_MODULE_LINES
    for function, lines in _functions(tree(path)):
        yield f"{name}:{function}", lines, MAX_FUNCTION_LINES


def _functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}.{child.name}".lstrip(".")
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and child.end_lineno:
            yield name, child.end_lineno - child.lineno + 1
        yield from _functions(child, name)


def code_from_data(path: Path) -> Iterator[tuple[int, str]]:
    """Yield what makes code or objects of any class out of data, by line."""
    for line, module, _ in imports(path):
        if module in CODE_MODULES:
            yield line, module
    for node in ast.walk(tree(path)):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in CODE_CALLS:
            yield called.lineno, called.id


def private_names_of_others(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the private modules, names and attributes that a file uses and does not define."""
    own = _own(tree(path))
    for line, module, names in imports(path):
        for name in (*module.split("."), *names):
            if _is_private(name):
                yield line, f"{module} {name}"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in own:
            itself = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not itself:
                yield node.lineno, ast.unparse(node)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _own(module: ast.Module) -> set[str]:
    """Return the private names that a module gives to what is its own."""
    found = {"_replace", "_asdict", "_exit"}  # public all the same: of a NamedTuple, of os
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found |= {node.attr} if isinstance(node.value, ast.Name) else set()
    return found
