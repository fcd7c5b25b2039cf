"""A working folder with files that have the names of modules, as a user may have them. Each fails when it is imported."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

MODULES = (
    "random", "json", "struct", "ctypes", "queue", "socket", "types", "importlib", "email", "locust", "gevent", "memray", "rich",
    "matplotlib", "numpy", "scipy", "psutil", "msgspec", "typer", "jinja2", "gradio", "gradio_client", "geventhttpclient", "harness",
)  # fmt: skip


# Of these, the modules that the load generator needs and a Gradio app does not.
GENERATOR_MODULES = ("locust", "gevent", "geventhttpclient", "msgspec", "harness")


def hostile_folder(folder: Path, names: Iterable[str] = MODULES) -> Path:
    """Write the files into a folder."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text("raise RuntimeError(f'{__file__} was imported')\n")
    return folder
