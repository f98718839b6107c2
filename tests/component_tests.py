"""Which conformance suites the tests of this repository run, and on what: read, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
SET_ASIDE = frozenset({"skip", "skipif", "xfail", "slow"})


@dataclass(frozen=True)
class Subclass:
    """A test class that inherits `suite`: the words in it, and the marks that set it aside."""

    suite: str
    name: str
    path: Path
    names: frozenset[str]  # identifiers
    texts: frozenset[str]
    marks: frozenset[str]

    def tests(self, name: str, makers: Iterable[str]) -> bool:
        """Say whether it names the component, by its spec or by what makes it."""
        spelled = any(text == name or text.startswith(f"{name}:") for text in self.texts)
        return spelled or not self.names.isdisjoint(makers)


def modules_of_tests() -> list[Path]:
    """Return the test modules of every distribution."""
    found = [*ROOT.glob("tests/test_*.py")]
    for group in ("plugins", "integrations"):
        found += ROOT.glob(f"{group}/*/tests/**/test_*.py")
    return sorted(found)


@cache
def subclasses(path: Path) -> list[Subclass]:
    """Return the classes of a test module that pytest collects and that inherit a suite."""
    text = path.read_text(encoding="utf-8")
    if "Suite" not in text:
        return []
    tree = ast.parse(text)
    known = _definitions(tree)
    beside = path.with_name("conftest.py")
    if beside.exists():
        known = _definitions(ast.parse(beside.read_text(encoding="utf-8"))) | known
    aside = _words(known.get("pytestmark"))[0] & SET_ASIDE
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            bases = {part for base in node.bases for part in _words(base)[0]}
            marks = frozenset(part for mark in node.decorator_list for part in _words(mark)[0])
            names, texts = _reached(node, known)
            found += [
                Subclass(base, node.name, path, names, texts, (marks & SET_ASIDE) | aside)
                for base in bases
                if base.endswith("Suite")
            ]
    return found


def _definitions(tree: ast.Module) -> dict[str, ast.AST]:
    """Return what a module defines at its top, by name."""
    found: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {t.id: node.value for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _reached(
    node: ast.ClassDef, known: dict[str, ast.AST]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words of a class, and of the fixtures and constants of its module that it uses."""
    names, texts = _words(node)
    left = [name for name in names if name in known and name != node.name]
    seen = {node.name, *left}
    while left:
        more, said = _words(known[left.pop()])
        names, texts = names | more, texts | said
        left += [name for name in more if name in known and name not in seen]
        seen |= more
    return names, texts


def _words(node: ast.AST | None) -> tuple[frozenset[str], frozenset[str]]:
    """Return the identifiers and the texts in a piece of code; docstrings are neither."""
    names, texts = set[str](), set[str]()
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Name):
            names.add(part.id)
        elif isinstance(part, ast.Attribute):
            names.add(part.attr)
        elif isinstance(part, ast.arg):
            names.add(part.arg)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            texts.add(part.value)
    return frozenset(names), frozenset(texts)


def makers(target: str) -> set[str]:
    """Return the names of what makes a component and, where that is beside it, of what it is.

    `target` is what was registered, "package.module:factory". Nothing is imported but
    packages, so that a heavy dependency stays where it is.
    """
    module, _, factory = target.partition(":")
    path, tree = _source(module)
    node = _definitions(tree).get(factory)
    if node is None:
        where = _imported_from(tree, factory, module, path)
        return makers(f"{where}:{factory}") if where else {factory}
    found = {factory}
    if isinstance(node, ast.FunctionDef) and node.returns is not None:
        found |= _words(node.returns)[0] & set(_definitions(tree))
    return found


def _source(module: str) -> tuple[Path, ast.Module]:
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None, f"no source of {module}"
    path = Path(spec.origin)
    return path, ast.parse(path.read_text(encoding="utf-8"))


def _imported_from(tree: ast.Module, name: str, module: str, path: Path) -> str | None:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and any(a.name == name for a in node.names):
            return node.module
    return None


def hooks_in(folder: Path) -> Iterator[str]:
    """Yield the names of the hooks that the modules in `folder` implement."""
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    for text in texts:
        for node in ast.walk(ast.parse(text)) if "hookimpl" in text else ():
            if isinstance(node, ast.FunctionDef):
                marks = {name for mark in node.decorator_list for name in _words(mark)[0]}
                if "hookimpl" in marks:
                    yield node.name
