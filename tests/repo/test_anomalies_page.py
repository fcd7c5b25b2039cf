"""docs/methods/anomalies.md says what the catalogue of the checkers says."""

from __future__ import annotations

from harness.checkers import anomaly_names as names
from harness.checkers.anomaly_catalogue import CATALOGUE
from tests.docs import anomalies


def test_the_page_is_what_make_docs_writes() -> None:
    assert anomalies.PAGE.read_text() == anomalies.page(), (
        "run `make docs` and commit docs/methods/anomalies.md"
    )


def test_every_name_has_one_entry() -> None:
    declared = {value for name, value in vars(names).items() if name.isupper()}
    entries = [entry.name for entry in CATALOGUE]
    assert declared <= set(entries)
    assert len(entries) == len(set(entries))
