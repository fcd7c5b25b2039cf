"""The command line: one short file per verb. The only place that prints results or exits."""

from __future__ import annotations

import signal
import sys
from typing import Any

import msgspec
from rich.console import Console

from harness.cli.app import app
from harness.cli.summary import print_error
from harness.errors import ExitCode, HarnessError

__all__ = ["main"]


def main() -> None:
    """Run `gradsoak`, and turn whatever happens into one message and the right exit status."""
    # Whoever ends us politely (CI, systemd) gets the same clean end as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(standalone_mode=True)
    except HarnessError as error:
        _explain(error)
        raise SystemExit(int(error.exit_code)) from None
    except Exception as error:
        Console(stderr=True).print_exception()
        _explain(
            HarnessError(
                f"gradsoak itself failed: {type(error).__name__}: {error}",
                "Please report this, with the traceback above.",
            )
        )
        raise SystemExit(int(ExitCode.INTERNAL)) from None


def _explain(error: HarnessError) -> None:
    if "--json" in sys.argv[1:]:
        empty: dict[str, Any] = {
            "run_dir": None,
            "verdict": "unknown",
            "checks": {},
            "figures": {},
            "error": {"message": error.message, "hint": error.hint, "exit_code": int(error.exit_code)},
        }
        sys.stdout.write(msgspec.json.encode(empty).decode() + "\n")
    print_error(error)
