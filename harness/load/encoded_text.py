"""How a text looks in a response: as it is, or in the escapes of JSON, URLs and HTML, or in base64. Pure."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

# Most places in one response that are searched for the same bytes.
MAX_HITS = 10_000
PNG_IN_BASE64 = b"iVBORw0KGgo"
DATA_URL = b";base64,"
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]*")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_JSON_ESCAPE = re.compile(rb"\\+(?:u00|x)([0-9a-fA-F]{2})")


def base64_at(content: bytes, at: int) -> str:
    """The first characters of the base64 at a place, enough to find it again."""
    run = _BASE64_RUN.match(content, at, at + 24)
    return run.group().decode() if run else ""


def places(content: bytes, needle: bytes) -> Iterator[int]:
    """Where the needle stands in the content, in order; at most `MAX_HITS` places."""
    at = content.find(needle)
    for _ in range(MAX_HITS):
        if at < 0:
            return
        yield at
        at = content.find(needle, at + 1)


def unescaped(text: bytes) -> bytes:
    """The text without the escapes of URLs, HTML and JSON, nested escapes included."""
    for _ in range(4):
        before = text
        text = _JSON_ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), unquote_to_bytes(text))
        text = html.unescape(text.decode("latin-1")).encode("latin-1", "replace")
        if text == before:
            break
    return text


def encoded_forms(text: str) -> Iterator[bytes]:
    """The bytes of a text in a response: as it is, in JSON, in a URL, in HTML, in base64."""
    for plain in (
        text,
        json.dumps(text, ensure_ascii=False)[1:-1],
        json.dumps(text)[1:-1],
        quote(text),
        html.escape(text),
    ):
        yield plain.encode()
    for core, _ in base64_cores(text.encode()):
        yield core


def base64_cores(text: bytes) -> Iterator[tuple[bytes, int]]:
    """The characters that must occur in the base64 of any content with this text in it, in both alphabets.

    Base64 writes three bytes as four characters, so the text can begin at three places of a group. Characters that share
    bits with neighbouring bytes are left out.

    Yields:
        Characters, and how many characters lie between the beginning of their group and the first of them.
    """
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + text)
        first = -(-before * 8 // 6)
        core = encoded[first : (before + len(text)) * 8 // 6]
        yield core, first
        if (url_safe := core.translate(bytes.maketrans(b"+/", b"-_"))) != core:
            yield url_safe, first


def base64_decoded(content: bytes) -> bytes:
    """The base64 at the beginning of the content, decoded up to the first other character."""
    run = _BASE64_RUN.match(content)
    assert run is not None  # the pattern also matches the empty text
    text = run.group().translate(_URL_SAFE)
    if len(text) % 4 == 1:
        text = text[:-1]
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""
