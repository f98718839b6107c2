"""What the site needs beyond Sphinx, furo and MyST.

The pages stay plain Markdown that a code host shows as well. Before a page is parsed, a `public`
block becomes the reference of the names it stands for, a `commands` block that of the command,
and the links of a page of contents become its part of the navigation.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from both_languages import SearchBoth
from command_pages import command_pages
from docutils import nodes
from docutils.parsers.rst import roles
from notebook_pages import NotebookParser
from own_assets import far_assets_in
from reference_names import BLOCK, Wanted, wanted_in, wanted_on
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

public_values: set[int] = set()  # of all pages, by identity
log = logging.getLogger("ctxplug_site")
HOME = "docs/index"
ONE_CLASS = ("docs/reference/agent-memory", "docs/reference/sessions")
SHORT = 100  # characters of a constant's value that is shown
COMMANDS = "```{commands}\n```"
ALL_BESIDE = ("docs/benchmarks/index",)  # their pages come and go with what is measured
CONTENTS = ("docs/index", "docs/reference/index", "examples/README")
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_LINK = re.compile(r"^(?:- |\|\s*)\[([^]]+)\]\(([^)#\s]+\.(?:md|ipynb))\)", re.MULTILINE)
_NAME = re.compile(r"(?:[a-z_]\w*\.)*[A-Z]\w*(?:\.\w+)*|\w+(?:\.\w+)+(?:\(\))?|\w+\(\)")


def import_all(app: Sphinx) -> None:
    """Import what is documented, before autodoc imports anything in its own way."""
    for page in sorted(Path(app.srcdir, "docs", "reference").glob("*.md")):
        for wanted in wanted_on(page.read_text(encoding="utf-8")):
            public_values.update(id(value) for _, value in _named(wanted))


# -- pages before they are parsed ----------------------------------------------------


def expand(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the blocks of a page that stand for something else."""
    if docname.startswith("docs/reference/"):
        source[0] = BLOCK.sub(lambda block: reference_of(block[1]), source[0])
        if COMMANDS in source[0]:
            source[0] = source[0].replace(COMMANDS, command_pages())
    if docname in CONTENTS:
        source[0] += navigation_of(docname, source[0])
    elif docname in ALL_BESIDE:
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"


def navigation_of(docname: str, page: str) -> str:
    """Return the toctrees that the links of a page's sections amount to."""
    trees = []
    parts = ["", *_SECTION.split(page)]  # what stands before the first section has no title
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        linked = [_entry(name, _from(docname, link)) for name, link in _LINK.findall(text)]
        if linked:
            caption = f":caption: {title}\n" if docname == HOME else ""
            trees.append(f"```{{toctree}}\n:hidden:\n{caption}\n" + "\n".join(linked) + "\n```\n")
    return "\n\n" + "\n".join(trees)


def _entry(name: str, page: str) -> str:
    """Return a line of a toctree: a page by the name of its link, or its own if that is code."""
    return page if name.startswith("`") else f"{name} <{page}>"


def _from(docname: str, link: str) -> str:
    """Return the name of the page that `link` on page `docname` leads to, from the root."""
    parts = docname.split("/")[:-1]
    for part in link.rpartition(".")[0].split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


# -- the reference -------------------------------------------------------------------


def reference_of(block: str) -> str:
    """Return the directives that document what a `public` block names."""
    lines = [line for wanted in wanted_in(block) for line in _directives(wanted)]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```"


def _directives(wanted: Wanted) -> Iterator[str]:
    if not wanted.names:
        yield from (f".. automodule:: {wanted.module}", "   :no-members:", "")
    yield from (f".. currentmodule:: {wanted.module}", "")
    for name, value in _named(wanted):
        yield from _directive(name, value)


def _named(wanted: Wanted) -> Iterator[tuple[str, Any]]:
    """Yield each name that a line of a `public` block stands for, with what it is."""
    module = importlib.import_module(wanted.module)
    for name in module.__all__ if wanted.names is None else wanted.names:
        if not name.startswith("__"):
            yield name, getattr(module, name)


def _directive(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, types.ModuleType):
        return  # it has a place of its own
    if isinstance(value, type):
        yield from (f".. autoclass:: {name}", "   :members:")
        if any(map(_is_worth_naming, value.__bases__)):
            yield "   :show-inheritance:"
        if not issubclass(value, BaseException) and _is_ours_alone(value):
            yield "   :inherited-members:"
    elif callable(value) and hasattr(value, "__name__"):
        yield f".. autofunction:: {name}"
    else:
        yield f".. py:data:: {name}"
        if len(repr(value)) <= SHORT and isinstance(value, str | int | float | tuple):
            yield f"   :value: {value!r}"
    yield ""


def _is_ours_alone(cls: type) -> bool:
    """Say whether all that a class inherits is of this repository, or of the language itself."""
    return all(
        base.__module__.partition(".")[0] in {"abc", "builtins", "typing"}
        or "ctxplug" in base.__module__.partition(".")[0]
        for base in cls.__mro__
    )


def tidy_signature(
    app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str, returned: str
) -> tuple[str, str] | None:
    """Leave out the signature of what is never called: a protocol, or what `open` makes.

    Of any other, a default that is no literal becomes `...`, so that the types can be read.
    """
    if what == "class" and (getattr(value, "_is_protocol", False) or hasattr(value, "open")):
        return "", ""
    if not signature:
        return None
    return _readable(signature), _readable(returned or "")


def _readable(types: str) -> str:
    return re.sub(r"<(?:[^<>]|<[^<>]*>)*>", "...", types).replace("[[...], ", "[..., ")


def show_bases(app: Sphinx, name: str, value: Any, options: Any, bases: list[Any]) -> None:
    """Name the bases that a reader can look up: errors, public classes, those of others."""
    bases[:] = filter(_is_worth_naming, bases)


def _is_worth_naming(base: Any) -> bool:
    if base.__module__ in {"abc", "builtins", "typing"}:
        return isinstance(base, type) and issubclass(base, Exception)
    return id(base) in public_values or "ctxplug" not in base.__module__


def tidy_docstring(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Make of a docstring what reStructuredText takes for what was meant.

    The second line of an item numbered 10 or more is indented as that of the others is, and a
    word may end in an underscore.
    """
    if what == "class" and (twins := twins_of(value)):
        lines += ["Coroutines that do the same: " + ", ".join(f"`{n}`" for n in twins) + ".", ""]
    wide = False
    for number, line in enumerate(lines):
        wide = bool(re.match(r"\d\d\. ", line)) or (wide and line.startswith("   "))
        if wide and re.match(r" {3}\S", line):
            line = " " + line
        code = re.split(r"(`[^`]*`)", line)
        code[::2] = [re.sub(r"(?<=\w)_(?!\w)", r"\_", text) for text in code[::2]]
        lines[number] = "".join(code)


def leave_twins(
    app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any
) -> bool | None:
    """Leave the a-twin of a method to the sentence that tells of all of them."""
    owner = getattr(value, "__qualname__", "").partition(".")[0]
    cls = vars(sys.modules.get(getattr(value, "__module__", ""), sys)).get(owner)
    return True if isinstance(cls, type) and name in twins_of(cls) else None


def twins_of(cls: type) -> list[str]:
    """Return the coroutine methods of a class that do what a method does that is none."""
    return [
        name
        for name in dir(cls)
        if name.startswith("a")
        and inspect.iscoroutinefunction(getattr(cls, name))
        and callable(getattr(cls, name[1:], None))
    ]


# -- names in docstrings -------------------------------------------------------------


def name_role(
    role: str, raw: str, text: str, line: int, inliner: Any, *_: object
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Show `text` as code, and link it where it is the name of something documented."""
    shown = nodes.literal(text, text)
    if not _NAME.fullmatch(text):
        return [shown], []
    env = inliner.document.settings.env
    link = addnodes.pending_xref(
        "", shown, refdomain="py", reftype="obj", reftarget=text.removesuffix("()"), softly=True
    )
    link["py:module"] = env.ref_context.get("py:module")
    link["py:class"] = env.ref_context.get("py:class")
    link["refdoc"] = env.docname
    return [link], []


def find_elsewhere(app: Sphinx, env: Any, node: Any, shown: Any) -> Any:
    """Find a name by its end, as an annotation has it; let go what needs no link.

    What a page refers to in so many words must exist, and is warned of if it does not.
    """
    if node.get("refdomain") != "py":
        return None
    objects = env.get_domain("py").objects
    target = node["reftarget"]
    alike = _by_last_part(app, objects).get(target.rpartition(".")[2], [])
    ends = [name for name in alike if name == target or name.endswith(f".{target}")]
    ends = [name for name in ends if objects[name].objtype != "module"] or ends
    if len(ends) == 1 or len({objects[name].node_id for name in ends}) == 1:
        found = objects[ends[0]]
        here = node["refdoc"]
        there = app.builder.get_relative_uri(here, found.docname) + f"#{found.node_id}"
        link = nodes.reference("", "", internal=True, refuri=there, reftitle=ends[0])
        link.append(shown)
        return link
    let_go = node.get("softly") or _in_signature(node) or "ctxplug" not in target
    return shown if let_go else None


def _by_last_part(app: Sphinx, objects: Any) -> dict[str, list[str]]:
    """Return the documented names by their last part; made anew when there are more."""
    count, found = getattr(app, "ctxplug_names", (0, {}))
    if count != len(objects):
        found = defaultdict(list)
        for name in objects:
            found[name.rpartition(".")[2]].append(name)
        app.ctxplug_names = len(objects), found  # type: ignore[attr-defined]
    return found


def be_exact(app: Sphinx, doctree: nodes.document) -> None:
    """Let no name stand for several things: `find_elsewhere` links it where it is one."""
    for node in doctree.findall(addnodes.pending_xref):
        node.attributes.pop("refspecific", None)


def _in_signature(node: nodes.Node) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, addnodes.desc_signature | nodes.field):
            return True
    return False


# -- the whole site ------------------------------------------------------------------


def check_names(app: Sphinx, env: Any) -> None:
    """Warn of a public name that a page stands for and that is documented nowhere."""
    documented = env.get_domain("py").objects
    for page in sorted(Path(app.srcdir, "docs", "reference").glob("*.md")):
        for wanted in wanted_on(page.read_text(encoding="utf-8")):
            for name, value in _named(wanted):
                full = f"{wanted.module}.{name}"
                if full not in documented and not isinstance(value, types.ModuleType):
                    log.warning("%s is not documented on %s.", full, page.name)


def shorten_contents(app: Sphinx, env: Any) -> list[str]:
    """List methods beside their page only where it is about one class.

    Each page copies the contents of all, so that this is also a third of the time to write.
    """
    for docname, contents in env.tocs.items():
        if docname.startswith("docs/reference/") and docname not in ONE_CLASS:
            for item in list(contents.findall(nodes.list_item)):
                if _is_object(item) and len(item) > 1:
                    item.children[1:] = []
    return []


def _is_object(item: nodes.list_item) -> bool:
    """Say whether an entry of the contents is a class or function, and not a section."""
    reference = item.next_node(nodes.reference)
    return reference is not None and isinstance(reference[0], nodes.literal)


def finish(app: Sphinx, failed: Exception | None) -> None:
    """Lead the root of the site to its start page; warn of what is fetched from elsewhere."""
    if failed or app.builder.name != "html":
        return
    start = f'<meta http-equiv="refresh" content="0; url={HOME}.html">'
    page = f'<!doctype html><title>ctxplug</title>{start}<a href="{HOME}.html">ctxplug</a>\n'
    Path(app.outdir, "index.html").write_text(page, encoding="utf-8")
    for path, address in far_assets_in(Path(app.outdir)):
        log.warning("%s would fetch %s; keep it in the site.", path.name, address)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it with Sphinx."""
    roles.register_local_role("name", name_role)
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    app.add_search_language(SearchBoth)
    app.connect("builder-inited", import_all)
    app.connect("source-read", expand)
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("autodoc-skip-member", leave_twins)
    app.connect("autodoc-process-bases", show_bases)
    app.connect("autodoc-process-docstring", tidy_docstring)
    app.connect("doctree-read", be_exact)
    app.connect("missing-reference", find_elsewhere)
    app.connect("env-updated", shorten_contents)
    app.connect("env-check-consistency", check_names)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
