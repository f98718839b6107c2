"""The languages that are read, and what their syntax trees call things."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from time import thread_time

from tree_sitter import Language, Parser, Tree

_JS_FUNCTIONS = (
    "function_declaration generator_function_declaration method_definition arrow_function"
    " function_expression generator_function"
)


@dataclass(frozen=True, slots=True)
class Grammar:
    """A language: where its parser is, and which nodes are functions, classes and literals."""

    module: str
    functions: frozenset[str]
    classes: frozenset[str]
    literals: frozenset[str]
    comment: str  # how a line of comment begins
    hint: re.Pattern[str]  # lines that code of this language has
    function: str  # of the module, which gives the parser


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _grammar(
    module: str,
    functions: str,
    classes: str,
    literals: str,
    comment: str,
    hint: str,
    function: str = "language",
) -> Grammar:
    pattern = re.compile(hint, re.MULTILINE)
    names = (_words(functions), _words(classes), _words(literals))
    return Grammar(module, *names, comment, pattern, function)


_JS_HINT = (
    r"^[ \t]*(?:export |async |default )*(?:function\b|class \w+|(?:const|let|var) [\w{\[]|import "
    r"|interface \w+|type \w+ =|enum \w+)"
)
GRAMMARS: Mapping[str, Grammar] = {
    "python": _grammar(
        "tree_sitter_python",
        "function_definition",
        "class_definition",
        "dictionary list set tuple",
        "#",
        r"^[ \t]*(?:async )?def \w+\(|^class \w+|^(?:from [\w.]+ )?import \w",
    ),
    "javascript": _grammar(
        "tree_sitter_javascript",
        _JS_FUNCTIONS,
        "class_declaration class",
        "object array",
        "//",
        _JS_HINT,
    ),
    "typescript": _grammar(
        "tree_sitter_typescript",
        _JS_FUNCTIONS,
        "class_declaration abstract_class_declaration class",
        "object array",
        "//",
        _JS_HINT,
        function="language_typescript",
    ),
    "tsx": _grammar(
        "tree_sitter_typescript",
        _JS_FUNCTIONS,
        "class_declaration abstract_class_declaration class",
        "object array",
        "//",
        _JS_HINT,
        function="language_tsx",
    ),
    "go": _grammar(
        "tree_sitter_go",
        "function_declaration method_declaration func_literal",
        "",
        "literal_value",
        "//",
        r"^(?:func |package \w+$|type \w+ |import [\"(])",
    ),
    "java": _grammar(
        "tree_sitter_java",
        "method_declaration constructor_declaration compact_constructor_declaration"
        " lambda_expression",
        "class_declaration interface_declaration enum_declaration record_declaration",
        "array_initializer",
        "//",
        r"^[ \t]*(?:public|private|protected|static|final|abstract) .*[({]"
        r"|^(?:package|import) [\w.]+;",
    ),
    "rust": _grammar(
        "tree_sitter_rust",
        "function_item closure_expression",
        "impl_item trait_item mod_item",
        "array_expression",
        "//",
        r"^[ \t]*(?:pub(?:\([a-z]+\))? )?(?:async |unsafe )*(?:fn \w+|impl\b|struct \w+|enum \w+"
        r"|trait \w+|use [\w:]+)",
    ),
}
ENDINGS: Mapping[str, str] = {
    **dict.fromkeys(("py", "pyi", "pyw"), "python"),
    **dict.fromkeys(("js", "mjs", "cjs", "jsx"), "javascript"),
    **dict.fromkeys(("ts", "mts", "cts"), "typescript"),
    "tsx": "tsx",
    "go": "go",
    "java": "java",
    "rs": "rust",
}
TAGS: Mapping[str, str] = {
    **{name: name for name in GRAMMARS},
    **ENDINGS,
    "golang": "go",
    "python3": "python",
}
_PATH = re.compile(rf"[\w@~-]\.({'|'.join(ENDINGS)})(?![\w.])")
PARSE_SECONDS, BYTE_SECONDS = 0.2, 1e-6  # of CPU: code takes less than a fifth of either
CHUNK = 65_536
DEEPEST, PAIRS = 1_000, (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))
HINTS = 2  # lines that a text has at least if its language is to be guessed


def of_path(text: str) -> str | None:
    """Return the language of the last file that `text` names, such as a command; or None."""
    names = _PATH.findall(text[-4_000:])
    return ENDINGS[names[-1]] if names else None


def guesses(text: str) -> list[str]:
    """Return the languages that `text` may be in, likeliest first."""
    counts = {name: len(grammar.hint.findall(text)) for name, grammar in GRAMMARS.items()}
    return sorted((n for n in counts if counts[n] >= HINTS), key=lambda name: -counts[name])


def parse(source: str, language: str) -> Tree | None:
    """Return the syntax tree of `source`; places in it are in UTF-8 bytes.

    None for a text that takes far longer than code does, or opens far more than it closes: errors
    without end would take time and memory that grow with the square of its length.
    """
    if any(source.count(left) - source.count(right) > DEEPEST for left, right in PAIRS):
        return (
            None  # at its end the parser looks into all that is open, and cannot be asked to stop
        )
    data = source.encode("utf-8", "replace")
    end = thread_time() + PARSE_SECONDS + len(data) * BYTE_SECONDS

    def read(offset: int, _place: object) -> bytes:
        return data[offset : offset + CHUNK]

    def is_late(_offset: int, _failed: bool) -> bool:
        return thread_time() > end

    try:
        tree: Tree | None = Parser(_language(language)).parse(read, progress_callback=is_late)
    except ValueError:  # it was ended
        return None
    return tree


@cache
def _language(name: str) -> Language:
    grammar = GRAMMARS[name]
    module = importlib.import_module(grammar.module)
    return Language(getattr(module, grammar.function)())
