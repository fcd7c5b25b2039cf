"""Content that is too large for a history stands there as its hash: a file, a picture, a long list.

A digest looks like `blake2b:0f343b0931126a20f133d67c2b018a3b:1048576`: the algorithm, the hash of the content's bytes in hexadecimal, and
how many bytes those are. The same content has the same digest in every form: bytes are taken as they are, a
text as UTF-8, anything else as JSON in one canonical form.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

_ALGORITHM = "blake2b"
_HASH_BYTES = 16
_DIGEST = re.compile(rf"{_ALGORITHM}:([0-9a-f]{{{2 * _HASH_BYTES}}}):(\d+)")
_SHOWN = 8
# Whole numbers below this are the same as integers and as floats.
_EXACT = 2**53


def digest(content: Any) -> str:
    """The digest of some content.

    Args:
        content: bytes, a text, or anything that JSON can say.

    Raises:
        TypeError: JSON cannot say it.
    """
    data = as_bytes(content)
    return f"{_ALGORITHM}:{hashlib.blake2b(data, digest_size=_HASH_BYTES).hexdigest()}:{len(data)}"


def as_bytes(content: Any) -> bytes:
    """The bytes of some content, of which `digest` is the hash."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    return content.encode() if isinstance(content, str) else canonical(content)


def named(value: Any) -> str | None:
    """A digest as people read it, None for anything else: `blob 0f343b09 (1,048,576 bytes)`."""
    match = _DIGEST.fullmatch(value) if isinstance(value, str) else None
    return f"blob {match[1][:_SHOWN]} ({int(match[2]):,} bytes)" if match is not None else None


def canonical(value: Any) -> bytes:
    """A JSON value in one form, however it was written down: an object's keys in order, and 1 for 1.0."""
    return msgspec.json.encode(_whole_numbers(value), order="deterministic")


def _whole_numbers(value: Any) -> Any:
    """A JSON value, with every number that is a whole one as an integer."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, (list, tuple)):
        return [_whole_numbers(element) for element in value]
    if isinstance(value, dict):
        return {name: _whole_numbers(element) for name, element in value.items()}
    return value
