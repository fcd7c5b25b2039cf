"""`python -m harness` and the `gradsoak` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its status."""
    from harness.cli import main as cli_main

    cli_main()


if __name__ == "__main__":
    main()
