"""Which scenarios `gradsoak bench` runs."""

from __future__ import annotations

from typing import Any

import pytest

from harness.cli import bench as command
from harness.errors import UsageError


@pytest.mark.parametrize(
    ("given", "everything"), [({}, False), ({"everything": True}, True), ({"profile": "full"}, True)]
)
def test_all_scenarios_are_run_with_all_or_under_the_full_profile(
    given: dict[str, Any], everything: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def select(targets: list[str], *, everything: bool) -> None:
        asked.append((targets, everything))
        raise UsageError("That is all.")

    monkeypatch.setattr(command.benches, "select", select)
    with pytest.raises(UsageError, match="That is all"):
        command.bench(**given)
    assert asked == [([], everything)]
