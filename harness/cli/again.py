"""What `gradsoak check` and `gradsoak report` have in common: everything that follows from the files of a run, once more."""

from __future__ import annotations

from pathlib import Path

from harness import evaluate
from harness.errors import ExitCode, HarnessError, StorageError, UsageError, run_exit_code
from harness.evaluate import Derived
from harness.run_dir import RunDir


def redo(path: Path) -> tuple[Derived, HarnessError | None]:
    """Redo verdicts, figures, plots and the report of a run.

    Args:
        path: the run folder. Its raw files are only read.

    Returns:
        What was concluded; and the error, if it could not all be written down. What stood there before is then still there.

    Raises:
        UsageError: there is no run, or it cannot be read.
    """
    folder = RunDir.open(path)
    try:
        derived = evaluate.derive(folder)
    except OSError as error:
        raise UsageError(
            f"Cannot read {error.filename or path}: {error.strerror or error}.",
            "Give yourself the right to read the run folder, or copy it to where you have it.",
        ) from error
    try:
        evaluate.write(folder, derived)
        evaluate.render(folder, derived)
    except StorageError as error:
        return derived, StorageError(
            error.message, "Free some space, or copy the run folder to where it can be written to."
        )
    return derived, None


def exit_code(derived: Derived, error: HarnessError | None) -> int:
    """The exit status: an anomaly that is proven stays proven, also if that cannot be written down."""
    if derived.checks.verdict == "fail":
        return int(ExitCode.ANOMALY)
    return int(run_exit_code(derived.checks.verdict, error))
