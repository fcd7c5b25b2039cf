"""One browser tab of a Gradio app, without a browser: what it holds, what it sends, what sets off what.

Knows nothing of Locust, of histories, or of runs. Importing the parts brings gevent and gradio_client, so nothing is
imported until it is asked for.
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
