"""Errors with a hint for the user, and the exit codes of the command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `gradsoak`. `gradsoak --help` lists them."""

    PASS = 0
    ANOMALY = 1
    USAGE = 2
    UNKNOWN = 3
    TARGET_FAILED = 4
    INTERNAL = 70


class HarnessError(Exception):
    """A failure that the user sees as one message, without a traceback.

    Attributes:
        message: what failed, on what, and why.
        hint: what the user can do next.
        exit_code: exit code of the command.
    """

    default_exit_code = ExitCode.INTERNAL

    def __init__(self, message: str, hint: str = "", exit_code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = self.default_exit_code if exit_code is None else exit_code


class UsageError(HarnessError):
    """The command line, a scenario, or a profile is not valid."""

    default_exit_code = ExitCode.USAGE


class TargetError(HarnessError):
    """The app under test did not start, or died."""

    default_exit_code = ExitCode.TARGET_FAILED


class StorageError(HarnessError):
    """A file of the run could not be written. The record is incomplete, so the verdict is unknown."""

    default_exit_code = ExitCode.UNKNOWN


def run_exit_code(verdict: str, error: HarnessError | None) -> ExitCode:
    """The exit code of a run: that of the error that ended it early, or else that of its verdict."""
    if error is not None:
        return error.exit_code
    return {"pass": ExitCode.PASS, "fail": ExitCode.ANOMALY}.get(verdict, ExitCode.UNKNOWN)
