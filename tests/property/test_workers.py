"""Several workers, with clocks that disagree or records that are missing: no false anomaly, and none missed."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from harness import tokens
from harness.checkers import check_history
from harness.history import History, WorkerFacts, Workers
from harness.records import Checks, Effect, Operation
from harness.workload import append_only_list, counter, register
from tests.builders import COMPLETED

STATE = {"log": append_only_list(), "n": counter(), "r": register()}
RUN = "7f3a"
SESSIONS = {"s1-1": 1, "s1-2": 1, "s2-1": 2, "s3-1": 3}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(SESSIONS)), st.sampled_from(["append", "click", "write", "read", "timeout"])
    ),
    min_size=1,
    max_size=25,
)
# From far behind to far ahead, compared with a history that lasts 75 ns.
SKEWS = st.fixed_dictionaries({worker: st.integers(-1000, 1000) for worker in (1, 2, 3)})


def play(
    steps: list[tuple[str, str]], *, shared: bool, skew: dict[int, int] | None = None
) -> list[Operation]:
    """What workers record whose clocks are ahead by `skew`, of a server that keeps sessions apart or does not."""
    state: dict[str, dict] = {}
    operations = []
    for number, (session, what) in enumerate(steps, start=1):
        worker = SESSIONS[session]
        mine = state.setdefault("everybody" if shared else session, {"log": [], "n": 0, "r": None})
        value = tokens.mint(RUN, worker, int(session.partition("-")[2]), number)
        effects, reads, outcome = {}, {}, "ok"
        if what in ("append", "timeout"):
            mine["log"].append(value)
            effects = {"log": Effect(op="append", value=value)}
            outcome = "info" if what == "timeout" else "ok"
            reads = {} if what == "timeout" else {"log": list(mine["log"])}
        elif what == "click":
            mine["n"] += 1
            effects, reads = {"n": Effect(op="increment", value=1)}, {"n": mine["n"]}
        elif what == "write":
            mine["r"] = value
            effects, reads = {"r": Effect(op="write", value=value)}, {"r": value}
        else:
            reads = {"log": list(mine["log"]), "n": mine["n"], "r": mine["r"]}
        ahead = (skew or {}).get(worker, 0)
        operations.append(
            Operation(
                worker=str(worker),
                id=number,
                session=session,
                action="act",
                phase="load",
                outcome=outcome,  # type: ignore[arg-type]
                invoke_ns=3 * number + ahead,
                complete_ns=3 * number + 1 + ahead,
                effects=effects,
                reads=reads,
            )
        )
    return operations


def check(operations: list[Operation], **facts: dict[str, str]) -> Checks:
    """Facts: field → worker → value."""
    workers = {
        name: WorkerFacts(
            name=name,
            **{field: values[name] for field, values in facts.items() if name in values},  # type: ignore[arg-type]
        )
        for name in ("1", "2", "3")
    }
    ordered = sorted(operations, key=lambda o: (o.invoke_ns, o.worker, o.id))
    history = History(operations=ordered, problems=[], workers=Workers(run_tag=RUN, facts=workers))
    return check_history(history, STATE, COMPLETED)


OWN_CLOCKS = {"1": "one", "2": "two", "3": "three"}
SAME_CLOCK = dict.fromkeys("123", "one")


def failed(checks: Checks) -> set[str]:
    return {check.name for check in checks.checks if check.verdict == "fail"}


def visible(steps: list[tuple[str, str]]) -> bool:
    """Brute force: somebody read after somebody else had written to the same variable of a shared state."""
    log_by: set[str] = set()
    clicks_by: set[str] = set()
    last_writer = None
    for session, what in steps:
        if what in ("append", "timeout"):
            log_by.add(session)
        if what == "click":
            clicks_by.add(session)
        if what == "write":
            last_writer = session
        if what in ("append", "read") and log_by - {session}:
            return True
        if what in ("click", "read") and clicks_by - {session}:
            return True
        if what == "read" and last_writer not in (None, session):
            return True
    return False


@given(STEPS, SKEWS)
def test_clock_offsets_cause_no_anomaly(steps: list[tuple[str, str]], skew: dict[int, int]) -> None:
    checks = check(play(steps, shared=False, skew=skew), clock=OWN_CLOCKS)
    assert failed(checks) == set()
    assert {worker.verdict for worker in checks.workers} <= {"pass", "unknown"}


@given(STEPS, SKEWS)
def test_clocks_that_disagree_hide_nothing(steps: list[tuple[str, str]], skew: dict[int, int]) -> None:
    found = failed(check(play(steps, shared=True, skew=skew), clock=OWN_CLOCKS))
    assert ("cross-session-read" in found) == visible(steps)
    assert "garbage-read" not in found


def test_comparing_times_of_different_clocks_would_have_been_wrong() -> None:
    """The same history, of a worker whose clock is ahead: taken for one clock, and for two."""
    steps = [("s2-1", "click"), ("s2-1", "click"), ("s1-1", "click"), ("s1-1", "read")]
    operations = play(steps, shared=True, skew={2: 1000})
    assert "garbage-read" in failed(check(operations, clock=SAME_CLOCK))
    assert failed(check(operations, clock=OWN_CLOCKS)) == {"cross-session-read"}


@given(STEPS, SKEWS)
def test_the_skew_changes_no_verdict_at_all(steps: list[tuple[str, str]], skew: dict[int, int]) -> None:
    for shared in (False, True):
        straight = check(play(steps, shared=shared), clock=OWN_CLOCKS)
        skewed = check(play(steps, shared=shared, skew=skew), clock=OWN_CLOCKS)
        assert [(c.name, c.verdict, c.suffered) for c in straight.checks] == [
            (c.name, c.verdict, c.suffered) for c in skewed.checks
        ]


@given(STEPS, st.sampled_from("123"))
def test_a_lost_worker_causes_no_anomaly_and_no_pass(steps: list[tuple[str, str]], lost: str) -> None:
    everything = play(steps, shared=False)
    for operations in (everything, [o for o in everything if o.worker != lost]):
        missing = {lost: "Its shard is missing."} if len(operations) < len(everything) else {}
        checks = check(operations, clock=SAME_CLOCK, lost={lost: "was killed by SIGKILL"}, missing=missing)
        assert failed(checks) == set()
        assert checks.verdict == "unknown"
        assert "was killed by SIGKILL" in checks.reason
        assert {worker.worker: worker.verdict for worker in checks.workers}[lost] == "unknown"


@given(STEPS, st.sampled_from("123"))
def test_what_a_token_says_counts_without_the_record_of_its_writer(
    steps: list[tuple[str, str]], lost: str
) -> None:
    """Brute force again: a reader of another worker saw something that a session of the lost worker wrote."""
    operations = [o for o in play(steps, shared=True) if o.worker != lost]
    leaked = False
    for operation in operations:
        seen = [*(operation.reads.get("log") or []), operation.reads.get("r")]
        leaked |= any(value and str(tokens.parse(value).worker) == lost for value in seen)  # type: ignore[union-attr]
    checks = check(
        operations,
        clock=SAME_CLOCK,
        lost={lost: "was killed by SIGKILL"},
        missing={lost: "Its shard is missing."},
    )
    cross = next(c for c in checks.checks if c.name == "cross-session-read")
    theirs = (f"s{lost}-", f"sessions of worker {lost}")
    from_lost = [a for a in cross.anomalies if a.sessions[0].startswith(theirs)]
    if leaked:
        assert from_lost
        assert checks.verdict == "fail"
    assert "garbage-read" not in failed(checks)
    for anomaly in from_lost:
        assert "incomplete" in anomaly.explanation or "missing" in anomaly.explanation


@given(STEPS)
def test_the_lost_worker_is_the_only_one_that_is_unknown(steps: list[tuple[str, str]]) -> None:
    enough = [(s, what) for what in ("write", "append", "click", "read") for s in ("s1-1", "s3-1")]
    operations = play([*steps, *enough], shared=False)
    checks = check(operations, clock=SAME_CLOCK, lost={"2": "was killed by SIGKILL"})
    assert {w.worker: w.verdict for w in checks.workers} == {"1": "pass", "2": "unknown", "3": "pass"}
    assert checks.verdict == "unknown"
    whole = check(operations, clock=SAME_CLOCK)
    assert {w.verdict for w in whole.workers if w.sessions} == {"pass"}
    assert sum(w.sessions for w in whole.workers) == len({o.session for o in operations})


def test_phases_order_what_clocks_cannot_but_not_for_a_lost_worker() -> None:
    """A write in the staircase, acknowledged, and a read under load on another machine, which could have shown a leak."""
    write, read = play([("s1-1", "append"), ("s2-1", "read")], shared=False, skew={1: 500})
    earlier = msgspec.structs.replace(write, phase="staircase")

    def exposed(checks: Checks) -> tuple[int, str]:
        cross = next(c for c in checks.checks if c.name == "cross-session-read")
        return cross.evidence["read_after_a_foreign_write"], cross.verdict

    assert exposed(check([earlier, read], clock=OWN_CLOCKS)) == (1, "pass")
    # Nobody waited for a worker that was lost: what it says of its phase is no order.
    assert exposed(check([earlier, read], clock=OWN_CLOCKS, lost={"1": "left"})) == (0, "unknown")
    assert exposed(check([write, read], clock=OWN_CLOCKS)) == (0, "unknown")
