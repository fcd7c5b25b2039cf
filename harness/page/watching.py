"""What a page tells of the responses that it gets, to whoever wants to look for what must not be in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

Kind = Literal["foreign-token", "state-on-the-wire", "secret"]


class Finding(NamedTuple):
    """Something in a response that may not be there.

    Attributes:
        value: what it is.
        literal: a text that stands in the response where it was found: the value itself, unless it was encoded.
    """

    kind: Kind
    value: str
    literal: str


class Watcher(Protocol):
    """Looks at everything that the server sends to a page."""

    @property
    def shared(self) -> frozenset[str]:
        """Names of components in which what belongs to other sessions may stand."""

    def look(self, content: bytes) -> Sequence[Finding]:
        """Search a response."""

    def saw(self, kind: Kind, value: str, where: str) -> None:
        """Take note of what is there and may not be, and of where it stood, for people."""


class Nobody:
    """A watcher that does not look."""

    shared: frozenset[str] = frozenset()

    def look(self, content: bytes) -> Sequence[Finding]:
        """Nothing is found."""
        return ()

    def saw(self, kind: Kind, value: str, where: str) -> None:
        """Nobody takes note."""


NOBODY = Nobody()
