"""Write the files of a new plugin from their templates."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from string import Template

from ctxplug.errors import CannotOpenError
from ctxplug.scaffold.kinds import KINDS, Kind
from ctxplug.scaffold.names import Names

TEMPLATES = Path(__file__).parent / "templates"
SUFFIX = ".tmpl"


def files_of(names: Names, kind: str, *, author: str = "") -> Mapping[str, str]:
    """Return the files of a plugin of `kind` (a key of KINDS): texts by path, sorted."""
    values = _values(names, kind, author or f"The {names.distribution} authors")
    found = {}
    for folder in (TEMPLATES / "common", TEMPLATES / kind):
        for path in sorted(folder.rglob(f"*{SUFFIX}")):
            name = path.relative_to(folder).as_posix().removesuffix(SUFFIX)
            found[name.replace("package/", f"{names.module}/", 1)] = _filled(path, values)
    found["README.md"] = found["README.md"].replace("{{ABOUT}}\n", found.pop("ABOUT.md"))
    return dict(sorted(found.items()))


def write_plugin(names: Names, kind: str, folder: Path, *, author: str = "") -> list[Path]:
    """Write a plugin of `kind` into `folder`, which is made, and return the paths written.

    Raises CannotOpenError where `folder` exists, or cannot be made; nothing is written then.
    """
    files = files_of(names, kind, author=author)
    try:
        folder.mkdir(parents=True)
        written = []
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            written.append(path)
    except FileExistsError:
        raise CannotOpenError(
            f"{str(folder)!r} exists already, and nothing is written over. Choose another name, or"
            " another place with --into.",
            target=str(folder),
        ) from None
    except OSError as exc:
        raise CannotOpenError(
            f"{str(folder)!r} cannot be written: {exc.strerror or exc}. Choose another place with"
            " --into.",
            target=str(folder),
        ) from exc
    return written


def _values(names: Names, kind: str, author: str) -> dict[str, str]:
    about = KINDS[kind]
    minor = ".".join(version("ctxplug").split(".")[:2])
    dependencies = sorted((f"ctxplug>={minor},<1", *about.needs))
    return {
        "author": author,
        "author_toml": author.replace("\\", "\\\\").replace('"', '\\"'),
        "component": _component(names, about),
        "dependencies": ", ".join(f'"{one}"' for one in dependencies),
        "distribution": names.distribution,
        "label": kind.replace("-", " "),
        "module": names.module,
        "name": names.name,
        "offer": _offer(names, about),
        "what": about.what,
        "word": names.word,
    }


def _offer(names: Names, kind: Kind) -> str:
    """Return the expression that says of a PluginInfo `found` that it offers the component."""
    if not kind.extension:
        return f'found.hooks == ("{kind.hook}",)'
    return f'found.components == {{"{kind.extension}": ("{_component(names, kind)}",)}}'


def _component(names: Names, kind: Kind) -> str:
    """Return what the component is called: functions have no hyphens, and tools are named so."""
    return names.word if kind.extension == "tool" else names.name


def _filled(path: Path, values: Mapping[str, str]) -> str:
    return Template(path.read_text(encoding="utf-8")).substitute(values)
