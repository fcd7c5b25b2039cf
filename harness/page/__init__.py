"""A page of a Gradio app without a browser: the values it holds, the events it sends, and what follows them.

Knows nothing of Locust, histories and runs. The modules import gevent and gradio_client, so nothing is imported until a
name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.page.gradio_page import GradioPage

__all__ = ["GradioPage"]


def __getattr__(name: str) -> Any:
    if name == "GradioPage":
        from harness.page.gradio_page import GradioPage

        return GradioPage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
