"""The load side: one page per session, Locust users that own them, and the generator process.

Importing Locust patches the standard library of the whole process, so nothing here is imported until it is
asked for: the harness itself only needs `harness.load.generator`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.load.page import GradioPage
    from harness.load.user import GradioUser

__all__ = ["GradioPage", "GradioUser"]


def __getattr__(name: str) -> Any:
    if name == "GradioUser":
        from harness.load.user import GradioUser

        return GradioUser
    if name == "GradioPage":
        from harness.load.page import GradioPage

        return GradioPage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
