"""Tokens: unique values that name the session and operation that wrote them.

A token looks like `t-7f3a-0-17-4-c9e1`: run, worker, session number, sequence number within the
session, checksum. It is plain ASCII without underscores, stars or spaces, so it survives Markdown,
HTML, JSON, URLs and file names unchanged. The checksum keeps ordinary text that happens to look
alike from being taken for evidence.
"""

from __future__ import annotations

import re
import zlib
from typing import Any, NamedTuple

# Any text may stand before and after; the checksum tells whether it is a token.
_TOKEN = re.compile(r"t-([0-9a-f]{4,})-(\d+)-(\d+)-(\d+)-([0-9a-f]{4})")


class Token(NamedTuple):
    """A parsed token.

    Attributes:
        run: tag of the run that minted it, at least four hexadecimal digits.
        worker: index of the load generator process.
        session: number of the session within that worker.
        sequence: number of the write within that session.
    """

    run: str
    worker: int
    session: int
    sequence: int

    @property
    def session_id(self) -> str:
        """The id under which history records the session, for example `s0-17`."""
        return session_id(self.worker, self.session)


def session_id(worker: int, session: int) -> str:
    """Name of a session, unique within a run."""
    return f"s{worker}-{session}"


def user_name(run: str, worker: int, person: int) -> str:
    """Name of a person, unique over all runs against one app; a reload of the page keeps it."""
    return f"u-{run}-{worker}-{person}"


def mint(run: str, worker: int, session: int, sequence: int) -> str:
    """Make the token of one write."""
    body = f"t-{run}-{worker}-{session}-{sequence}"
    return f"{body}-{_checksum(body)}"


def find(text: str) -> list[str]:
    """Return all valid tokens in a text, in order of appearance."""
    return [m.group(0) for m in _TOKEN.finditer(text) if _valid(m)]


def all_in(value: Any) -> list[str]:
    """Return the tokens in a value (a text, or lists and dicts of texts), each once, in order of appearance."""
    found: dict[str, None] = {}
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            found |= dict.fromkeys(find(part))
        elif isinstance(part, dict):
            waiting += [*reversed(part.values())]
        elif isinstance(part, (list, tuple)):
            waiting += [*reversed(part)]
    return list(found)


def parse(text: str) -> Token | None:
    """Read a token; None if the text is not exactly one valid token."""
    match = _TOKEN.fullmatch(text)
    if match is None or not _valid(match):
        return None
    return Token(match.group(1), int(match.group(2)), int(match.group(3)), int(match.group(4)))


def _valid(match: re.Match[str]) -> bool:
    body, _, checksum = match.group(0).rpartition("-")
    return _checksum(body) == checksum


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()) & 0xFFFF:04x}"
