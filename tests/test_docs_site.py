"""The documentation site: complete, in step with the code, and without assets of others."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CORE = ROOT / "ctxplug"


def _extension(name: str) -> types.ModuleType:
    """Load a module of docs/_ext, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "_ext" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


reference_names = _extension("reference_names")
own_assets = _extension("own_assets")


# -- the reference -------------------------------------------------------------------


def _documented() -> dict[str, set[str] | None]:
    """Return by module the names that pages of the reference show; None: all of `__all__`."""
    found: dict[str, set[str] | None] = {}
    for page in sorted((DOCS / "reference").glob("*.md")):
        for wanted in reference_names.wanted_on(page.read_text(encoding="utf-8")):
            known = found.setdefault(wanted.module, set())
            if wanted.names is None or known is None:
                found[wanted.module] = None
            else:
                known.update(wanted.names)
    return found


def _public_modules() -> dict[str, Path]:
    """Return the packages that have public names: the rooms, and other distributions."""
    rooms = {f"ctxplug.{path.parent.name}": path for path in CORE.glob("*/__init__.py")}
    others = [*ROOT.glob("plugins/*/*/__init__.py"), *ROOT.glob("integrations/*/*/__init__.py")]
    others += ROOT.glob("integrations/*/src/ctxplug_*/__init__.py")
    mine = {path.parent.name: path for path in others if path.parent.name != "tests"}
    return {"ctxplug": CORE / "__init__.py", **rooms, **mine}


DOCUMENTED = _documented()
ANYWHERE = {name for names in DOCUMENTED.values() for name in names or ()}
PUBLIC = {m: n for m, p in _public_modules().items() if (n := reference_names.public_names(p))}


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_every_public_name_is_on_a_page_of_the_reference(module: str) -> None:
    if module in DOCUMENTED and DOCUMENTED[module] is None:
        return  # all of its names
    own = [name for name in PUBLIC[module] if not name.startswith("__")]
    assert not [n for n in own if n not in ANYWHERE and f"{module}.{n}" not in DOCUMENTED]


def test_the_pages_name_hooks_and_errors_one_by_one() -> None:
    from ctxplug import errors, hookspecs

    hooks = {n for n, value in vars(hookspecs).items() if hasattr(value, "ctxplug_spec")}
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    family = {value.__name__ for value in classes if value.__module__ == errors.__name__}
    assert hooks <= (DOCUMENTED["ctxplug.hookspecs"] or set())
    assert family == (DOCUMENTED["ctxplug.errors"] or set())


def test_what_the_pages_name_exists_in_the_core() -> None:
    import importlib

    missing = []
    for module, names in DOCUMENTED.items():
        if module.split(".")[0] == "ctxplug" and module not in {"ctxplug.tracing.otel"}:
            found = importlib.import_module(module)
            missing += [f"{module}.{name}" for name in names or () if not hasattr(found, name)]
    assert not missing


def test_a_line_that_names_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'ctxplug\.storage Backend' is no line"):
        reference_names.wanted_in("ctxplug.storage Backend\n")


# -- architecture --------------------------------------------------------------------


def _layers() -> list[list[str]]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = table["tool"]["importlinter"]["contracts"][0]["layers"]
    return [re.findall(r"\w+", layer) for layer in layers]


def test_the_architecture_page_has_the_layers_of_the_contracts() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| layer, from the top |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    assert list(map(sorted, rows)) == list(map(sorted, _layers()))


def test_the_architecture_page_names_rooms_and_files_that_exist() -> None:
    rooms = {p.name.removesuffix(".py") for p in CORE.iterdir() if p.suffix in {"", ".py"}}
    assert {name for layer in _layers() for name in layer} <= rooms
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    files = re.findall(r"`((?:[\w-]+/)+[\w.-]*|\w+\.(?:py|toml|md))`", page)
    places = (ROOT, CORE)
    missing = [f for f in files if not any((place / f).exists() for place in places)]
    assert len(files) > 30
    assert not missing


# -- assets --------------------------------------------------------------------------

FAR = "https://cdn.example.org/x"


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".html", f'<script async src="{FAR}.js"></script>'),
        (".html", f'<link rel="stylesheet" href="{FAR}.css">'),
        (".html", f'<link href="{FAR}" rel="preconnect">'),
        (".html", f'<img alt="a > b" src="{FAR}.svg">'),
        (".html", '<img src="//cdn.example.org/x.png">'),
        (".html", f'<p style="background: url({FAR}.png)">'),
        (".css", f'@import "{FAR}.css";'),
        (".css", f"@font-face {{ src: url('{FAR}.woff2') }}"),
        (".js", f'import x from "{FAR}.js"'),
        (".js", f'script.src = "{FAR}.js"'),
        (".svg", f'<image href="{FAR}.png"/>'),
    ],
)
def test_what_is_fetched_from_elsewhere_is_found(suffix: str, text: str) -> None:
    (found,) = own_assets.far_assets(text, suffix)
    assert found.startswith(("https://cdn.example.org/x", "//cdn.example.org/x"))


def test_links_and_own_assets_are_no_assets_of_others() -> None:
    page = (
        f'<a href="{FAR}">there</a><img src="data:image/png;base64,AA//"><img src="a/b.png">'
        '<link rel="canonical" href="https://example.org/"><script src="../_static/x.js"></script>'
    )
    assert own_assets.far_assets(page, ".html") == []
    assert (
        own_assets.far_assets("a { background: url(../x.png) } /* https://a.org */", ".css") == []
    )
    assert own_assets.far_assets("// see https://a.org\nlink.href = base + '/x'", ".js") == []


def test_pictures_stand_in_both_colour_schemes_and_say_what_they_show() -> None:
    pictures = sorted((DOCS / "images").glob("concepts-*.svg"))
    assert len(pictures) == 7
    for path in pictures:
        text = path.read_text(encoding="utf-8")
        assert "prefers-color-scheme: dark" in text and 'class="ground"' in text, path.name
        assert re.search(r"<title[^>]*>\w", text) and re.search(r"<desc[^>]*>\w", text), path.name
        assert own_assets.far_assets(text, ".svg") == []


# -- pages ---------------------------------------------------------------------------


def test_the_start_page_leads_to_every_page() -> None:
    start = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = {(DOCS / link).resolve() for link in re.findall(r"\]\(([^)#]+\.md)\)", start)}
    pages = [
        *DOCS.glob("*.md"),
        *ROOT.glob("plugins/*/README.md"),
        *ROOT.glob("integrations/*/README.md"),
    ]
    pages += [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    assert not [p.relative_to(ROOT) for p in pages if p.name != "index.md" and p not in linked]
    assert not [link for link in linked if not link.exists()]
    listed = re.findall(r"^- \[[^]]+\]\(([^)]+)\)", start, re.MULTILINE)
    assert len(listed) == len(set(listed)) > 30, "the site's navigation has each page once"


# -- with Sphinx ---------------------------------------------------------------------


def test_notebooks_become_pages_with_their_outputs() -> None:
    pytest.importorskip("myst_parser")
    notebook_pages = _extension("notebook_pages")
    code = {"cell_type": "code", "source": ["print('三')\n", "x\n", "!ctxplug show a.db"]}
    outputs = [
        {"output_type": "stream", "text": ["\x1b[1m三\x1b[0m\n"]},
        {"output_type": "display_data", "data": {"image/png": "QUJD\n", "text/plain": "<Figure>"}},
        {"output_type": "execute_result", "data": {"text/plain": ["'```'"]}},
    ]
    text = {"cell_type": "markdown", "source": "# 标题"}
    page = notebook_pages.as_markdown(json.dumps({"cells": [text, {**code, "outputs": outputs}]}))
    assert "# 标题\n\n```python\nprint('三')\nx\n```\n" in page
    assert "\n```sh\nctxplug show a.db\n```\n\n```text\n三\n```\n" in page
    assert 'src="data:image/png;base64,QUJD"' in page and "Figure" not in page
    assert "````text\n'```'\n````" in page


def test_the_reference_of_the_command_has_every_command_and_option() -> None:
    pytest.importorskip("furo")  # where it is not, typer may be older than what the page reads
    import typer

    from ctxplug.cli.app import app

    page = _extension("command_pages").command_pages()
    root = typer.main.get_command(app)
    todo = [("ctxplug", root)]
    for path, command in todo:
        todo += [(f"{path} {n}", c) for n, c in getattr(command, "commands", {}).items()]
        section = page.partition(f"# {path}\n")[2].partition("\n(ctxplug-")[0] or page
        options = [name for parameter in command.params for name in parameter.opts]
        assert not [o for o in options if o.startswith("-") and f"`{o}`" not in section], path
    assert len(todo) > 40
    assert page.count("\n(ctxplug-") >= len(todo) - 1
    assert "| `--budget`, `-b` | number | Tokens that one model call may take." in page


def test_search_finds_chinese_by_pairs_and_english_by_stems() -> None:
    pytest.importorskip("sphinx")
    search = _extension("both_languages").SearchBoth({})
    words = search.split("对花生过敏, iPhone手机 windows")
    assert {"花生", "过敏", "生", "iPhone", "手机", "windows"} <= set(words)
    assert "对花生过敏" not in words
    assert search.stem("windows") == "window" and search.stem("花生") == "花生"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_needs_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    pytest.importorskip("furo")
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", "docs"]
    done = subprocess.run(
        [*build, "-d", tmp_path / "trees", ".", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not list(own_assets.far_assets_in(tmp_path / "site"))
    index = (tmp_path / "site" / "searchindex.js").read_text(encoding="utf-8")
    assert json.dumps("花生") in index  # ASCII, as sphinx writes it
