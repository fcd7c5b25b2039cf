"""Errors that a user can act on, and the exit codes of the command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process exit status means. Listed in `gradsoak --help`."""

    PASS = 0
    ANOMALY = 1
    USAGE = 2
    UNKNOWN = 3
    TARGET_FAILED = 4
    INTERNAL = 70


class HarnessError(Exception):
    """A failure that is explained to the user in one message instead of a traceback.

    Attributes:
        message: what failed, on what, and why.
        hint: the next thing to try.
        exit_code: the status that the command ends with.
    """

    default_exit_code = ExitCode.INTERNAL

    def __init__(self, message: str, hint: str = "", exit_code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = self.default_exit_code if exit_code is None else exit_code


class UsageError(HarnessError):
    """The command line, a scenario, or a profile cannot be used as it is."""

    default_exit_code = ExitCode.USAGE


class TargetError(HarnessError):
    """The app under test did not start, or died."""

    default_exit_code = ExitCode.TARGET_FAILED


class StorageError(HarnessError):
    """A file of the run could not be written: what was observed is incomplete, so nothing is known."""

    default_exit_code = ExitCode.UNKNOWN


def run_exit_code(verdict: str, error: HarnessError | None) -> ExitCode:
    """What a run's exit status is: the reason for its early end, or its verdict."""
    if error is not None:
        return error.exit_code
    return {"pass": ExitCode.PASS, "fail": ExitCode.ANOMALY}.get(verdict, ExitCode.UNKNOWN)
