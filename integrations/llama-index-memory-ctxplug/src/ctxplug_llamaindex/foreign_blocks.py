"""Blocks of other frameworks and providers for which LlamaIndex has one of its own."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import AudioBlock, DocumentBlock, TextBlock
from llama_index.core.bridge.pydantic import ValidationError

from ctxplug.messages import OpaquePart


def foreign_block(part: OpaquePart) -> Any:
    """Return the block that says the same as a provider's; None if there is none."""
    try:
        match part.data.get("type"):
            case "document":
                return _anthropic_document(part.data)
            case "input_audio":
                audio = part.data["input_audio"]
                return AudioBlock(audio=audio["data"].encode(), format=audio.get("format"))
            case "file" if isinstance(part.data.get("file"), Mapping):
                return _openai_file(part.data["file"])
            case "file" | "audio" | "video":
                return _langchain_media(part.data)
    except (AttributeError, KeyError, TypeError, ValidationError, binascii.Error):
        pass  # it is not in the form that it says it is in
    return None


def _anthropic_document(data: Mapping[str, Any]) -> Any:
    source, title = data["source"], data.get("title")
    if source["type"] == "text":
        return TextBlock(text=source["data"])
    if source["type"] == "url":
        return DocumentBlock(url=source["url"], title=title, document_mimetype="application/pdf")
    if source["type"] != "base64":
        return None
    encoded, media_type = source["data"].encode(), source["media_type"]
    return DocumentBlock(data=encoded, title=title, document_mimetype=media_type)


def _openai_file(file: Mapping[str, Any]) -> Any:
    head, _, encoded = file["file_data"].partition(";base64,")
    title, media_type = file.get("filename"), head.removeprefix("data:")
    return DocumentBlock(data=encoded.encode(), title=title, document_mimetype=media_type)


def _langchain_media(data: Mapping[str, Any]) -> Any:
    """Return the block of LangChain's standard content for files, audio and video."""
    kind, media_type, url = data["type"], data.get("mime_type"), data.get("url")
    content = data.get("base64")
    content = content.encode() if isinstance(content, str) else None
    if content is None and url is None:
        return None
    if kind == "file":
        return DocumentBlock(data=content, url=url, document_mimetype=media_type)
    if kind == "audio":
        subtype = str(media_type).partition("/")[2] if media_type else None
        return AudioBlock(audio=content, url=url, format=subtype)
    video = getattr(types, "VideoBlock", None)
    return video and video(video=content, url=url, video_mimetype=media_type)
