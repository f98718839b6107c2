"""The viewer's files: served from the package, with types that do not depend on the machine."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from starlette.requests import Request
from starlette.responses import Response

from ctxplug.errors import NotFoundError

__all__ = ["Files"]

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
BUNDLED = ("app.js", "style/all.css")  # served with all that they import in them
CACHE = "no-cache"  # kept, but asked for again: the names stay when the content changes


@dataclass(frozen=True, slots=True)
class _File:
    changed: int
    etag: str
    body: bytes
    type: str


class Files:
    """The files under `root`, read when they are first asked for or have changed."""

    path = "/{path}"  # what their requests are counted as

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, _File] = {}

    async def answer(self, request: Request) -> Response:
        """Answer with a file, or that the one that the asker has is still the same."""
        file = self._file(request.path_params.get("path") or "index.html")
        request.scope["route"] = self
        headers = {"etag": file.etag, "cache-control": CACHE}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.type, headers=headers)

    def _file(self, name: str) -> _File:
        path = PurePosixPath(name)
        kind = TYPES.get(path.suffix)
        plain = all(part[0] not in ".~" for part in path.parts) and not path.is_absolute()
        if kind is None or not plain or "\\" in name or "\0" in name:
            raise _nothing()
        name = str(path)  # one name for "style//all.css" too: what is kept must not grow
        try:
            changed = self._changed(path)
            found = self._read.get(name)
            if found is None or found.changed != changed:
                body = self._body(name)
                etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
                found = self._read[name] = _File(changed, etag, body, kind)
        except OSError:
            raise _nothing() from None
        return found

    def _changed(self, path: PurePosixPath) -> int:
        """Return when a file, or one that it has in it, was changed last."""
        if str(path) not in BUNDLED:
            return (self._root / path).stat().st_mtime_ns
        return max(one.stat().st_mtime_ns for one in self._root.rglob(f"*{path.suffix}"))

    def _body(self, name: str) -> bytes:
        """Return what is sent: one file in place of a hundred is what makes the page quick."""
        if name not in BUNDLED:
            return (self._root / name).read_bytes()
        from ctxplug_server.report.bundling import bundle_script, bundle_styles

        bundle = bundle_script if name.endswith(".js") else bundle_styles
        return bundle(self._root, name).encode()


def _nothing() -> NotFoundError:
    return NotFoundError("There is nothing at this address.")
