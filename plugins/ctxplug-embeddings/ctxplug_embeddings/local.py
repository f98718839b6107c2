"""sentence-transformers: a model from a folder, or from the local cache by its name.

Nothing is downloaded unless the spec says `?download=1`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from ctxplug.errors import InvalidValueError
from ctxplug_embeddings.needs import needed
from ctxplug_embeddings.text_embedder import TextEmbedder

INSTALL = "sentence-transformers"
MAX_BYTES = 100_000  # the model cuts by its own tokens


def sentence_transformers(argument: str) -> TextEmbedder:
    """Return the embedder for "sentence-transformers:NAME_OR_FOLDER[?download=1]".

    Raises InvalidValueError without a model, PluginError without the library or if the
    model is neither a folder nor in the local cache.
    """
    model_name, _, query = argument.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not model_name or options.keys() - {"download", "device"}:
        raise InvalidValueError(
            f"'sentence-transformers:{argument}' names no model, or has unknown options; write"
            " 'sentence-transformers:FOLDER' or, to allow a download,"
            " 'sentence-transformers:NAME?download=1'."
        )
    library = needed("sentence_transformers", INSTALL)
    model = library.SentenceTransformer(
        model_name,
        device=options.get("device", "cpu"),
        local_files_only=options.get("download") != "1",
    )
    return from_model(model, _name(model_name))


def from_model(model: Any, name: str) -> TextEmbedder:
    """Return the embedder that a loaded SentenceTransformer is."""
    flags = {"convert_to_numpy": True, "show_progress_bar": False}

    def documents(texts: list[str]) -> Any:
        return model.encode_document(texts, **flags)

    def question(text: str) -> Any:
        return model.encode_query(text, **flags)

    return TextEmbedder(name, documents, question, max_bytes=MAX_BYTES)


def _name(model_name: str) -> str:
    """Return a name without the folder's path, that changes when the model's files do."""
    folder = Path(model_name)
    if not folder.is_dir():
        return f"sentence-transformers:{model_name}"
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(folder).as_posix()} {file.stat().st_size}\n".encode())
            if file.suffix == ".json" and file.stat().st_size < 2**20:
                digest.update(file.read_bytes())
    return f"sentence-transformers:{folder.resolve().name}:{digest.hexdigest()[:8]}"
