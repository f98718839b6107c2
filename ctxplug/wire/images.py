"""Images on the wire: data URLs, media types, and the note that stands in for an image."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes

from ctxplug.messages import ImagePart

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}


def read_data_url(url: str) -> tuple[bytes, str | None] | None:
    """Return the bytes and media type of a `data:` URL; None if it cannot be read."""
    head, comma, body = url.partition(",")
    if not head.lower().startswith("data:") or not comma:
        return None
    fields = head[5:].split(";")
    try:
        if fields[-1].strip().lower() == "base64":
            data = base64.b64decode(unquote_to_bytes(body), validate=True)
        else:
            data = unquote_to_bytes(body)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data, fields[0].strip().lower() or None


def data_url(data: bytes, media_type: str) -> str:
    """Return `data` as a base64 `data:` URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def media_type_of(data: bytes, stated: str | None) -> str:
    """Return the stated media type, or the one that the first bytes show."""
    if stated:
        return "image/jpeg" if stated == "image/jpg" else stated
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    for magic, media_type in _MAGIC.items():
        if data.startswith(magic):
            return media_type
    return "application/octet-stream"


def resolve(image: ImagePart) -> ImagePart:
    """Return the image with a `data:` URL, if it has one, turned into bytes."""
    found = read_data_url(image.url) if image.url is not None else None
    if found is None:
        return image
    return ImagePart(data=found[0], media_type=found[1], extra=image.extra)


def image_note(image: ImagePart) -> str:
    """Return the text that stands where a provider takes no image."""
    image = resolve(image)
    if image.data is None:
        return f"[image: {image.url}]"
    return f"[image: {media_type_of(image.data, image.media_type)}, {len(image.data)} bytes]"
