"""Record anew what is concluded from the frozen runs: `python -m tests.frozen.record [--only-text | --check] [NAME …]`.

Run it after a change of results that is meant, and read the difference in git. With `--only-text`, nothing is written if more
than the wording of sentences changed. With `--check`, nothing is written at all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.frozen.differences import differences
from tests.frozen.evaluation import EXPECTED, evaluated, expected, names, unpack


def main() -> int:
    """Record the expectations; 1 if an option forbids a change that was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--only-text", action="store_true", help="refuse if more than sentences changed")
    choice.add_argument("--check", action="store_true", help="write nothing; refuse if anything changed")
    parser.add_argument("names", nargs="*", metavar="NAME", help="frozen runs; all by default")
    given = parser.parse_args()
    found = {}
    for name in given.names or names():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = evaluated(unpack(name, Path(folder)))
    if given.only_text or given.check:
        refused = [
            f"{name}: {difference}"
            for name, values in found.items()
            for difference in differences(expected(name), values)
            if given.check or not difference.only_text
        ]
        if refused:
            print("\n".join(refused), file=sys.stderr)
        if refused or given.check:
            return int(bool(refused))
    for name, values in found.items():
        _write(name, values)
    return 0


def _write(name: str, values: dict[str, Any]) -> None:
    folder = EXPECTED / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, value in values.items():
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
        (folder / f"{file}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
