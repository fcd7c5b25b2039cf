"""Gradio's own containers that grow, and how long Gradio keeps their entries."""

from __future__ import annotations

from typing import NamedTuple

from harness.analysis.memory.growth_records import GrowthVerdict, inside

# One account per session, with the values of its components; beyond its capacity, Gradio drops the least recently used.
SESSION_DATA = "gradio.StateHolder.session_data"
# Names of temporary files that Gradio created. Source: gradio/blocks.py, 6.31.
TEMPORARY_FILES = ("gradio.Blocks.temp_file_sets", "gradio.Blocks.upload_file_set")
# The same, with the sets of names inside the first.
TEMPORARY_FILE_LISTS = (*TEMPORARY_FILES, f"{TEMPORARY_FILES[0]}[*]")


class GradioContainer(NamedTuple):
    """A container that Gradio holds.

    Attributes:
        path: its access path.
        verdict: on its growth, and on that of everything inside it.
        reason: how long Gradio keeps its entries, one sentence.
    """

    path: str
    verdict: GrowthVerdict
    reason: str


# If two of them contain a path, the first counts. Source: gradio/state_holder.py and gradio/queueing.py, 6.31.
GRADIO_CONTAINERS = (
    GradioContainer(
        f"{SESSION_DATA}[*].state_data",
        "retained-until-ttl",
        "Gradio keeps the State of a session while its page is open, and after that until its time to live ends (default: one hour).",
    ),
    GradioContainer(
        "gradio.StateHolder",
        "framework-floor",
        "Gradio keeps an account of each session until there are more sessions than its capacity (default: 10,000).",
    ),
    GradioContainer(
        "gradio.Queue.event_analytics",
        "bounded",
        "Gradio keeps statistics of the last 10,000 events.",
    ),
    GradioContainer(
        "gradio.Queue.pending_messages_per_session",
        "framework-floor",
        "Gradio keeps a queue of messages for each of the last 2,000 sessions.",
    ),
    GradioContainer(
        "gradio.Queue.pending_event_ids_session",
        "framework-floor",
        "Gradio keeps a set of pending events for each session.",
    ),
    *(
        GradioContainer(
            path,
            "framework-floor",
            "Gradio keeps the name of every uploaded or cached file. It deletes names and files only if "
            "`gr.Blocks(delete_cache=(frequency, age))` is set.",
        )
        for path in TEMPORARY_FILES
    ),
)


def gradio_container(path: str) -> GradioContainer | None:
    """Return Gradio's container at an access path or around it; None if it is not one of these."""
    return next((c for c in GRADIO_CONTAINERS if path == c.path or inside(path, c.path)), None)
