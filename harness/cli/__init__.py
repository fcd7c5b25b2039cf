"""The command line: one short file per verb. The only place that prints results or exits."""

from __future__ import annotations

import signal
import sys
from typing import Any

import msgspec
from rich.console import Console

from harness.cli.terminal_summary import json_was_printed, print_error, print_interrupted, print_json
from harness.cli.verbs import app, no_result
from harness.errors import ExitCode, HarnessError, UsageError

__all__ = ["main"]


# Typer's exit code after Ctrl-C, by a shell convention. Ours is that of `unknown`.
_TYPER_INTERRUPTED = 130


def main() -> None:
    """Run `gradsoak`. Each failure becomes one message, and one exit code of `ExitCode`."""
    # SIGTERM, as CI and systemd send it, ends a run as cleanly as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(standalone_mode=True)
    except SystemExit as end:
        raise SystemExit(_status(end.code)) from None
    except HarnessError as error:
        print_error(error)
        _as_json(error)
        raise SystemExit(int(error.exit_code)) from None
    except KeyboardInterrupt:
        raise SystemExit(_status(_TYPER_INTERRUPTED)) from None
    except Exception as error:
        Console(stderr=True).print_exception()
        failure = HarnessError(
            f"gradsoak itself failed: {type(error).__name__}: {error}",
            "Please report this, with the traceback above.",
        )
        print_error(failure)
        _as_json(failure)
        raise SystemExit(int(ExitCode.INTERNAL)) from None


def _status(code: Any) -> Any:
    """The exit code for one that typer chose. With --json, the JSON object that typer does not print is printed."""
    if code == _TYPER_INTERRUPTED:
        print_interrupted()
        _as_json(HarnessError("Interrupted.", exit_code=ExitCode.UNKNOWN))
        return int(ExitCode.UNKNOWN)
    if code == int(ExitCode.USAGE):
        _as_json(
            UsageError(
                "The command line is not valid; standard error has the reason.", "See gradsoak --help."
            )
        )
    return code


def _as_json(error: HarnessError) -> None:
    """With --json, print the error as the one JSON object, unless the object is already printed."""
    if "--json" not in sys.argv[1:] or json_was_printed():
        return
    explained = {"message": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
    print_json(msgspec.json.encode({**no_result(sys.argv[1:]), "error": explained}).decode())
