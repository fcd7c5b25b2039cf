"""What docs/methods/isolation.md says of rare faults is what the command measures, and what chance allows."""

from __future__ import annotations

import math

import msgspec
import pytest

from harness.checkers.detection_limit import rarest_found
from tests.power.__main__ import DOCUMENT, MEASURED, Measured, place
from tests.power.detection import Row, measure, operations_needed, watch
from tests.power.simulation import FAULTS, MODELS, App, Fault

MEASURED_ROWS = msgspec.json.decode(MEASURED.read_bytes(), type=Measured)


@pytest.mark.parametrize("name", ["power", "silence", "planning"])
def test_the_document_shows_what_was_measured(name: str) -> None:
    pattern, content = place(name, MEASURED_ROWS.tables()[name])
    assert pattern.findall(DOCUMENT.read_text()) == [content]


def test_what_was_measured_is_every_fault_and_every_model() -> None:
    assert [(row.model, row.fault, row.check) for row in MEASURED_ROWS.rows] == [
        (fault.model, fault.name, fault.check) for fault in FAULTS
    ]
    assert [silence.model for silence in MEASURED_ROWS.silences] == list(MODELS)
    assert {len(row.strikes) for row in MEASURED_ROWS.rows} == {MEASURED_ROWS.repetitions}


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[f"{f.model}-{f.check}" for f in FAULTS])
def test_the_checkers_still_report_at_the_operation_that_was_measured(number: int) -> None:
    """The first repetitions, again; all of them: make power."""
    again, row = measure(FAULTS[number], 2), MEASURED_ROWS.rows[number]
    assert (again.operations, again.strikes) == (row.operations[:2], row.strikes[:2])
    assert again.false_alarms == 0


def test_no_simulation_without_a_fault_gives_an_anomaly() -> None:
    assert [row.false_alarms for row in MEASURED_ROWS.rows] == [0] * len(FAULTS)
    assert [silence.accused for silence in MEASURED_ROWS.silences] == [0] * len(MODELS)


@pytest.mark.parametrize("row", MEASURED_ROWS.rows, ids=lambda row: f"{row.model}-{row.check}")
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_what_was_measured_is_what_chance_allows(row: Row, share: float) -> None:
    """As many repetitions had seen the fault by then as the geometric distribution says, within four standard deviations."""
    by_then = sum(count is not None and count <= row.expected(share) for count in row.operations)
    total = len(row.operations)
    # A lag of some operations, until somebody looks, is no part of the distribution: at most 5 % here.
    lag = 0.05 * total
    assert abs(by_then - share * total) <= 4 * math.sqrt(total * share * (1 - share)) + lag


def test_the_rule_of_three() -> None:
    for once_in in (100, 1_000, 10_000):
        assert operations_needed(1 / once_in) == pytest.approx(3 * once_in, rel=0.005)
        assert rarest_found(operations_needed(1 / once_in)) == once_in
        assert rarest_found(operations_needed(1 / once_in) - 1) == once_in - 1
    assert rarest_found(0) is rarest_found(27) is None
    # By hand: 0.9 ** 28 = 0.0523, 0.9 ** 29 = 0.0471.
    assert operations_needed(0.1) == 29
    assert operations_needed(0.2, seen=0.5) == 29
    assert rarest_found(29) == 10


def test_the_first_report_is_found_wherever_it_is() -> None:
    """Against looking after each single operation."""
    fault = next(f for f in FAULTS if f.check == "read-your-writes")
    found = watch(fault, "here", rate=0.02)
    app = App(MODELS[fault.model], fault, 0.02, "here")
    app.run(lambda: len(app.completed) >= 400)
    from tests.power.detection import _failed

    assert found.operations == next(n for n in range(1, 400) if fault.check in _failed(app, n))


def test_a_fault_that_no_check_reports_is_given_up_and_counted_as_such() -> None:
    harmless = Fault(
        model="list",
        name="nothing happens",
        check="lost-update",
        suits=lambda app, action: True,
        spoil=lambda app, action: app.right(action),
    )
    row = measure(harmless, 1, rate=0.5)
    assert row.operations == [None]
    assert row.strikes == [50]
    assert row.seen == 0
    assert row.measured(0.5) is None
