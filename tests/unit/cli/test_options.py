from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.options import accounts
from harness.errors import UsageError


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADSOAK_AUTH", raising=False)


def test_logins_in_the_order_given() -> None:
    assert accounts(["a:1", "b:with:colons", "c:"]) == [("a", "1"), ("b", "with:colons"), ("c", "")]
    assert accounts(None) == []


def test_a_file_holds_one_on_each_line(tmp_path: Path) -> None:
    (tmp_path / "logins").write_text("a:1\n\n b:2\n")
    assert accounts([f"@{tmp_path / 'logins'}", "c:3"]) == [("a", "1"), ("b", "2"), ("c", "3")]


def test_the_environment_counts_if_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSOAK_AUTH", "a:1\nb:2\n")
    assert accounts(None) == [("a", "1"), ("b", "2")]
    assert accounts(["c:3"]) == [("c", "3")]


def test_what_is_no_login_is_refused_without_repeating_it(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for given, says in (
        ("geheim", "not USER:PASSWORD"),
        (":geheim", "not USER:PASSWORD"),
        (f"@{tmp_path}/nowhere", "cannot be read"),
        (f"@{tmp_path}/empty", "holds no login"),
    ):
        with pytest.raises(UsageError, match=says) as refused:
            accounts([given])
        assert "geheim" not in refused.value.message + refused.value.hint
