"""Containers of Gradio's own that grow, and how long Gradio keeps what they hold."""

from __future__ import annotations

from typing import NamedTuple

from harness.analysis.memory.growth import GrowthVerdict, inside

# Gradio's account of each session, the values of its components among it, until its capacity is reached.
SESSION_DATA = "gradio.StateHolder.session_data"
# Where Gradio notes which temporary files are its own. Source: gradio/blocks.py, 6.31.
TEMPORARY_FILES = ("gradio.Blocks.temp_file_sets", "gradio.Blocks.upload_file_set")
# With the lists of names within them.
TEMPORARY_FILE_LISTS = (*TEMPORARY_FILES, f"{TEMPORARY_FILES[0]}[*]")


class GradioContainer(NamedTuple):
    """A container that Gradio holds: its access path, the verdict on its growth, and how long Gradio keeps its entries."""

    path: str
    verdict: GrowthVerdict
    reason: str


# Of two that contain a path, the first counts. Source: gradio/state_holder.py and gradio/queueing.py, 6.31.
GRADIO_CONTAINERS = (
    GradioContainer(
        f"{SESSION_DATA}[*].state_data",
        "retained-until-ttl",
        "Gradio keeps the State of a session while its page is open, and until its time to live is over (an hour, by default) after that.",
    ),
    GradioContainer(
        "gradio.StateHolder",
        "framework-floor",
        "Gradio keeps an account of each session until more sessions have come than its capacity (10,000, by default).",
    ),
    GradioContainer(
        "gradio.Queue.event_analytics",
        "bounded",
        "Gradio keeps figures of the last 10,000 events.",
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
            "Gradio remembers the name of every file that was uploaded or that it has cached, and forgets and deletes them only if "
            "`gr.Blocks(delete_cache=(frequency, age))` says when.",
        )
        for path in TEMPORARY_FILES
    ),
)


def gradio_container(path: str) -> GradioContainer | None:
    """Return the container of Gradio's own that an access path is, or leads into; None if it is not one of these."""
    return next((c for c in GRADIO_CONTAINERS if path == c.path or inside(path, c.path)), None)
