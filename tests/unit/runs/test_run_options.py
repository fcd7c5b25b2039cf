from __future__ import annotations

import pytest

from harness.runs.run_options import without_secrets


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["run", "counters", "--auth", "a:geheim"], ["run", "counters", "--auth", "***"]),
        (["run", "--auth=a:geheim", "--json"], ["run", "--auth=***", "--json"]),
        (["--auth", "a:geheim", "--auth", "b:geheim"], ["--auth", "***", "--auth", "***"]),
        (["--auth", "--geheim:x"], ["--auth", "***"]),
        (["--auth", "@accounts.txt"], ["--auth", "@accounts.txt"]),
        (["--url", "http://a:geheim@h:1/p"], ["--url", "http://***@h:1/p"]),
        (["--url=http://h/p?token=geheim"], ["--url=http://h/p?***"]),
        (["--url", "http://h/p#geheim"], ["--url", "http://h/p?***"]),
        (["--url", "http://h:7860/p"], ["--url", "http://h:7860/p"]),
        (["--param", "A=b:c", "--seed", "3"], ["--param", "A=b:c", "--seed", "3"]),
    ],
)
def test_no_secret_of_the_command_line_is_kept(typed: list[str], kept: list[str]) -> None:
    shown = without_secrets(typed)
    assert shown == kept
    assert "geheim" not in " ".join(shown)
