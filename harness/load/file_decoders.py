"""Decodes texts in files that a plain search cannot find: texts in pictures, members of archives, UTF-16.

Only texts are decoded, no pixels and no sound. Everything is bounded, since a few kilobytes may unpack to gigabytes.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator

MAX_TEXT_BYTES = 1_000_000
_MAX_ALL_BYTES = 8_000_000
_MAX_PARTS = 200
_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = (b"GIF87a", b"GIF89a")
_ZIP = b"PK\x03\x04"
_GZIP = b"\x1f\x8b"
_PDF = b"%PDF-"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# Raised for an archive, or a member of one, that is broken, encrypted, or packed with an unknown method.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)
# Documents with texts as they are or in UTF-16.
_OTHERS = (b"\xff\xd8\xff", b"RIFF", b"ID3", b"II*\0", b"MM\0*")
_BEGINNINGS = (_PNG, *_GIF, _ZIP, _GZIP, _PDF, *_UTF_16, *_OTHERS)


def is_document(content: bytes) -> bool:
    """Whether the content is of a kind that `parts` decodes."""
    return content.startswith(_BEGINNINGS)


def parts(content: bytes) -> Iterator[bytes]:
    """The decoded parts of a document, without those that its bytes contain as they are. A part may be a document itself."""
    left = _MAX_ALL_BYTES
    for number, part in enumerate(_parts(content)):
        if number == _MAX_PARTS or left <= 0:
            return
        yield part[:left]
        left -= len(part)


def _parts(content: bytes) -> Iterator[bytes]:
    if content.startswith(_PNG):
        yield from _of_png(content)
    elif content.startswith(_GIF):
        yield from _of_gif(content)
    elif content.startswith(_ZIP):
        yield from _of_zip(content)
    elif content.startswith(_GZIP):
        yield from _of_gzip(content)
    elif content.startswith(_PDF):
        yield from _of_pdf(content)
    elif content.startswith(_UTF_16):
        yield content[: 4 * MAX_TEXT_BYTES].decode("utf-16", "replace").encode()


def _of_png(content: bytes) -> Iterator[bytes]:
    """The compressed texts (zTXt, iTXt); other texts need no decoding."""
    at = len(_PNG)
    while at + 12 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if kind in (b"zTXt", b"iTXt"):
            _, _, rest = content[at + 8 : at + 8 + length].partition(b"\0")
            if kind == b"zTXt":
                yield _inflated(rest[1:])
            elif rest[:1] == b"\1":
                yield _inflated(rest[2:].split(b"\0", 2)[-1])
        at += 12 + length


def _of_gif(content: bytes) -> Iterator[bytes]:
    """The comments, each put together from its blocks of at most 255 bytes."""
    at = 13 + _colours(content, 10)
    while at + 2 < len(content):
        if content[at] == 0x2C:  # a picture
            at += 11 + _colours(content, at + 9)
            _, at = _blocks(content, at)
        elif content[at] == 0x21:  # an extension
            text, end = _blocks(content, at + 2)
            if content[at + 1] == 0xFE:
                yield text
            at = end
        else:
            return


def _colours(content: bytes, at: int) -> int:
    """Size in bytes of the table of colours that the flags announce."""
    flags = content[at] if at < len(content) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(content: bytes, at: int) -> tuple[bytes, int]:
    text = bytearray()
    while at < len(content) and content[at]:
        text += content[at + 1 : at + 1 + content[at]]
        at += 1 + content[at]
    return bytes(text), at + 1


def _of_zip(content: bytes) -> Iterator[bytes]:
    """The members of an archive; office documents are archives, too. Encrypted and broken members are left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()[:_MAX_PARTS]
            yield "\n".join(member.filename for member in members).encode()
            for member in members:
                # An unreadable member must not hide the others.
                with contextlib.suppress(*_UNREADABLE), archive.open(member) as file:
                    yield file.read(MAX_TEXT_BYTES)
    except _UNREADABLE:
        return


def _of_gzip(content: bytes) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            yield file.read(MAX_TEXT_BYTES)
    except (zlib.error, EOFError, OSError):
        return


def _of_pdf(content: bytes) -> Iterator[bytes]:
    """The compressed streams; most of them contain plain text."""
    at = content.find(b"stream")
    while at >= 0:
        begin = at + len(b"stream")
        begin += 2 if content[begin : begin + 2] == b"\r\n" else 1
        if content[at - 3 : at] != b"end":
            yield _inflated(content[begin:])
        at = content.find(b"stream", begin)


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_TEXT_BYTES)
    except zlib.error:
        return b""
