"""What a browser keeps between the pages of one user."""

from __future__ import annotations

from typing import Any


class Browser:
    """What a browser keeps when a page is closed or loaded again.

    Attributes:
        storage: its local storage, for `gr.BrowserState`.
        cookies: by name; a login or a load balancer's cookie, for example.
    """

    __slots__ = ("cookies", "storage")

    def __init__(self) -> None:
        self.storage: dict[str, Any] = {}
        self.cookies: dict[str, str] = {}
