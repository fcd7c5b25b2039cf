"""Files that the server offers: which of them a page shows, so that a browser fetches them, and where they are.

A browser fetches pictures, sounds and films as soon as a component shows them, and a file to be downloaded when somebody
clicks on it. Nothing is fetched from anywhere else than from the app itself.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

# Components whose files wait for a click.
ON_CLICK = frozenset({"file", "downloadbutton", "uploadbutton", "fileexplorer"})
# Components that show text in which pictures may stand.
_WITH_MARKUP = frozenset({"html", "markdown", "chatbot"})
# What a page fetches for one action, at most, and how much of each file.
MAX_FILES = 16
MAX_FILE_BYTES = 8_000_000
# What every address of one of the app's files has in it, and every description of one.
MARKS = (b"file=", b"gradio.FileData")
_MAX_NODES = 20_000
_SOURCE = re.compile(r"""\bsrc\s*=\s*["']?([^"'\s>]*file=[^"'\s>]+)|!\[[^\]]*\]\(\s*([^)\s]*file=[^)\s]+)""")


def addresses(value: Any, kind: str, prefix: str) -> Iterator[str]:
    """Addresses of the files in a component's value, as they stand there.

    Args:
        value: what the component shows.
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
                # What is streamed is a list of pieces, which no one fetch brings.
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
    """Whether a value describes a file of the server."""
    if not isinstance(value, Mapping) or not isinstance(value.get("path"), str):
        return False
    meta = value.get("meta")
    return (isinstance(meta, Mapping) and meta.get("_type") == "gradio.FileData") or isinstance(
        value.get("url"), str
    )


def address_of(file: Mapping[str, Any], prefix: str) -> str:
    """Where a file is."""
    return file.get("url") or f"{prefix}file={quote(file['path'])}"


def is_of(root: str, address: str) -> bool:
    """Whether an address, whole or without its server, is one of the app at this root; what is no address is not."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("", "http", "https") and parts.netloc in ("", urlsplit(root).netloc)


def path_below(root: str, address: str) -> str:
    """The path of an address below the root of an app, whatever server it names: behind a proxy, that may be another."""
    parts = urlsplit(address)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return path.removeprefix(urlsplit(root).path.rstrip("/") + "/").lstrip("/")
