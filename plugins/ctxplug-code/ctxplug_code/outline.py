"""Which lines of a source file stay: all but the bodies of functions, long data and long talk.

Of a body stay the first line of its docstring, lines that raise or that say what is to be done,
and lines with a name or number that was spoken of elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from ctxplug_code.languages import GRAMMARS, Grammar, parse

SHORT = 3  # lines of a body that is not worth a mark
LONG_DATA, DATA_HEAD = 12, 3
LONG_COMMENT = 4
MOST_SPOKEN = 4  # lines of a body that stay because they were spoken of
_TELLING = re.compile(
    r"\b(?:raise\b|throw\b|panic!?\(|todo!|unreachable!|unimplemented!|TODO|FIXME|XXX|HACK)"
    r"|待办|待修"
)
_WORD = re.compile(r"[A-Za-z_]\w{3,}|\d{3,}")
_QUIET = frozenset({'"""', "'''", 'r"""', "/*", "/**", "*/"})

Spoken = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows `first` to `last` (both left out), except those in `kept`."""

    first: int
    last: int
    kept: frozenset[int] = frozenset()


def cuts(source: str, language: str, spoken: Spoken, *, strict: bool, terse: bool) -> list[Cut]:
    """Return what may be left out of `source`, by row.

    `strict` wants a text without any syntax error; else a body without one is enough. `terse`
    keeps nothing of a body.
    """
    grammar = GRAMMARS[language]
    tree = parse(source, language)
    if tree is None or (strict and tree.root_node.has_error):
        return []
    root = tree.root_node
    rows = source.split("\n")
    found: list[Cut] = []
    for node in _worth(root, grammar):
        if node.type in grammar.functions:
            body = _body(node, rows, terse)
            kept = frozenset() if terse else _telling(rows, body, spoken)
        elif node.type in grammar.literals:
            body = range(node.start_point.row + DATA_HEAD, node.end_point.row)
            kept = frozenset()
        else:  # a comment or a docstring
            body = range(_said(node, rows), node.end_point.row + (not _ends(node, rows)))
            kept = frozenset()
        if len(body):
            found.append(Cut(body[0], body[-1], kept))
    return found


def _worth(root: Node, grammar: Grammar) -> Iterator[Node]:
    """Yield the nodes to cut from, in order: what is in one of them is not looked at."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        lines = node.end_point.row - node.start_point.row + 1
        if lines <= SHORT:
            continue
        if node.type in grammar.functions:
            body = node.child_by_field_name("body")
            if body is None or body.has_error:
                continue
            if not _holds_definitions(body, grammar):
                if body.end_point.row - body.start_point.row >= SHORT:
                    yield node
                continue
        elif node.type in grammar.literals:
            if lines > LONG_DATA and not _holds_definitions(node, grammar):
                yield node
                continue
        elif (node.type.endswith("comment") or _is_docstring(node)) and lines > LONG_COMMENT:
            yield node
            continue
        waiting.extend(reversed(node.children))


def _holds_definitions(node: Node, grammar: Grammar) -> bool:
    """Say whether functions and classes make up more than half of a node, as in a wrapper."""
    lines = node.end_point.row - node.start_point.row + 1
    inner = 0
    waiting = list(node.children)
    while waiting:
        child = waiting.pop()
        size = child.end_point.row - child.start_point.row + 1
        if size <= SHORT:
            continue
        if child.type in grammar.functions or child.type in grammar.classes:
            inner += size
        else:
            waiting.extend(child.children)
    return inner * 2 > lines


def _body(node: Node, rows: Sequence[str], terse: bool) -> range:
    """Return the rows of a function's body, without its braces and the docstring's first line."""
    body = node.child_by_field_name("body")
    assert body is not None
    first, last = body.start_point.row, body.end_point.row
    if body.children and body.children[0].type in ("{", "("):
        return range(first + 1, last)
    statements = [child for child in body.children if child.type != "comment"]
    if statements and _is_docstring(statements[0]) and not terse:
        first = max(first, _said(statements[0], rows))
    first = max(first, node.start_point.row + 1)
    return range(first, last + 1)


def _is_docstring(node: Node) -> bool:
    inner = node.children
    return node.type == "expression_statement" and len(inner) == 1 and inner[0].type == "string"


def _said(node: Node, rows: Sequence[str]) -> int:
    """Return the row behind the first one of a comment or docstring that says something."""
    first = node.start_point.row
    return first + 1 + (rows[first].strip() in _QUIET and first < node.end_point.row)


def _ends(node: Node, rows: Sequence[str]) -> bool:
    """Say whether the last row of a comment stays: it only closes it, or code follows on it."""
    last = rows[node.end_point.row] if node.end_point.row < len(rows) else ""
    behind = last.encode("utf-8", "replace")[node.end_point.column :]
    return last.strip() in _QUIET or bool(behind.strip())


def _telling(rows: Sequence[str], body: range, spoken: Spoken) -> frozenset[int]:
    kept = {row for row in body if _TELLING.search(rows[row])}
    said: set[str] = set()
    for row in body:
        names = {word for word in _WORD.findall(rows[row]) if spoken(word)}
        if names - said and len(said) < MOST_SPOKEN:
            said |= names
            kept.add(row)
    return frozenset(kept)
