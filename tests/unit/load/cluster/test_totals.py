"""The answers and the progress of several workers, added up."""

from __future__ import annotations

from harness.load.arrival_schedule import ArrivalCounts
from harness.load.cluster.totals import add_answers, add_statuses
from harness.load.commands import Done
from harness.records import LoadStatus


def test_answers_are_added_up() -> None:
    counts = ArrivalCounts(total=5, started=4, dropped=1)
    answers = [
        Done(held=2, failed=1, arrivals=counts, requests=10, sessions=3),
        Done(held=3, failed=0, arrivals=counts, requests=20, sessions=4),
    ]
    assert add_answers(answers, complete=True) == Done(
        held=5,
        failed=1,
        arrivals=ArrivalCounts(total=10, started=8, dropped=2),
        requests=30,
        sessions=7,
    )


def test_totals_of_the_run_are_unknown_if_a_worker_did_not_answer_or_did_not_count() -> None:
    counted, uncounted = Done(requests=10, sessions=3), Done(requests=None, sessions=3)
    lost = add_answers([counted], complete=False)
    assert (lost.requests, lost.sessions, lost.arrivals) == (None, None, None)
    assert add_answers([counted, uncounted], complete=True).requests is None


def test_operations_of_a_lost_worker_count_and_its_users_do_not() -> None:
    one = LoadStatus(users=4, open_sessions=4, operations=100, failures=1, p95_ms=20.0, notices=["a", "b"])
    lost = LoadStatus(users=3, open_sessions=3, operations=50, failures=2, p95_ms=90.0, notices=["b", "c"])
    assert add_statuses([(one, True), (lost, False)]) == LoadStatus(
        users=4, open_sessions=4, operations=150, failures=3, p95_ms=20.0, notices=["a", "b", "c"]
    )
