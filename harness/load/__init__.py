"""The load side: Locust users with pages, the record of what they do, and the generator processes.

Importing Locust patches the standard library of the whole process. So this package imports nothing until a name is
used; the harness itself only needs `harness.load.generator_client`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.load.gradio_user import GradioUser
    from harness.page.gradio_page import GradioPage

__all__ = ["GradioPage", "GradioUser"]


def __getattr__(name: str) -> Any:
    if name == "GradioUser":
        from harness.load.gradio_user import GradioUser

        return GradioUser
    if name == "GradioPage":
        from harness.page.gradio_page import GradioPage

        return GradioPage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
