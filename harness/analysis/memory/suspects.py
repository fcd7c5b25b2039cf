"""Whether something grew that is worth asking the app about: asking takes it seconds, so a short run asks only if there is."""

from __future__ import annotations

from harness.analysis.memory.container_growth import known_of_gradio
from harness.history import type_counts
from harness.records import Census


def suspicious(first: Census, last: Census, requests: int) -> bool:
    """Whether anything grew from the first census to the last but what Gradio keeps of each session and each request.

    Args:
        first: of the process.
        last: of the same.
        requests: that came between the two. A type of which there are as many more may leak with each of them.
    """
    before = {container.path: container.length for container in first.containers}
    if any(
        container.length > before.get(container.path, 0) and not known_of_gradio(container.path)
        for container in last.containers
    ):
        return True
    counts = type_counts(first, first)
    return requests > 0 and any(
        "." in name and number - counts.get(name, 0) >= requests
        for name, number in type_counts(first, last).items()
    )
