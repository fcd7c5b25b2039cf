"""Files in the values of components: which ones a page shows, and their addresses.

A browser fetches pictures, sounds and videos as soon as a component shows them, and a download only after a click.
Files are fetched from the app itself only, never from another server.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

# Components whose files are fetched only after a click.
ON_CLICK = frozenset({"file", "downloadbutton", "uploadbutton", "fileexplorer"})
# Components that show text with pictures in it.
_WITH_MARKUP = frozenset({"html", "markdown", "chatbot"})
# Most files that a page fetches for one action, and most bytes of each.
MAX_FILES = 16
MAX_FILE_BYTES = 8_000_000
# One of these occurs in every address, or description, of one of the app's files.
MARKS = (b"file=", b"gradio.FileData")
_MAX_NODES = 20_000
_SOURCE = re.compile(r"""\bsrc\s*=\s*["']?([^"'\s>]*file=[^"'\s>]+)|!\[[^\]]*\]\(\s*([^)\s]*file=[^)\s]+)""")


def addresses(value: Any, kind: str, prefix: str) -> Iterator[str]:
    """Addresses of the files in a component's value, unchanged.

    Args:
        value: the value.
        kind: the component's type.
        prefix: of the app's API, `gradio_api/` or empty.
    """
    waiting = [value]
    for _ in range(_MAX_NODES):
        if not waiting:
            return
        part = waiting.pop()
        if isinstance(part, Mapping):
            if is_file(part):
                # A stream is a list of pieces, which one request cannot fetch.
                if not part.get("is_stream"):
                    yield address_of(part, prefix)
            else:
                waiting += reversed([*part.values()])
        elif isinstance(part, list):
            waiting += reversed(part)
        elif isinstance(part, str) and kind in _WITH_MARKUP and "file=" in part:
            for one, other in _SOURCE.findall(part):
                yield html.unescape(one or other)


def is_file(value: Any) -> bool:
    """Whether a value describes a file on the server."""
    if not isinstance(value, Mapping) or not isinstance(value.get("path"), str):
        return False
    meta = value.get("meta")
    return (isinstance(meta, Mapping) and meta.get("_type") == "gradio.FileData") or isinstance(
        value.get("url"), str
    )


def address_of(file: Mapping[str, Any], prefix: str) -> str:
    """The address of a file."""
    return file.get("url") or f"{prefix}file={quote(file['path'])}"


def is_of(root: str, address: str) -> bool:
    """Whether an address, with or without its server, belongs to the app at this root. False for a text that is no address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("", "http", "https") and parts.netloc in ("", urlsplit(root).netloc)


def path_below(root: str, address: str) -> str:
    """The path of an address below the root of an app. The server in it is ignored: behind a proxy it may be another one."""
    parts = urlsplit(address)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return path.removeprefix(urlsplit(root).path.rstrip("/") + "/").lstrip("/")
