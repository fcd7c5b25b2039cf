"""Completeness: is there enough, and is it whole? Without that, the absence of anomalies means nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.checkers.screening import Scan
from harness.history import WorkerFacts, Workers
from harness.records import (
    DRAIN_PHASE,
    LOAD_PHASE,
    PAGE_ACTIONS,
    RETURN_PHASE,
    STAIRCASE_PHASE,
    Check,
    Seal,
    StateVariable,
)

NAME = "completeness"
# Above this share of failures, the few operations that succeeded stand for nothing.
MOST = 0.5
# Sessions that the app stopped answering have most likely lost their state, which no later read shows. A few are the price of
# any overload; from this share on, what the others saw does not stand for all.
CUT_OFF = 0.1
# One session alone may have met with an accident, in however small a run.
CUT_OFF_SESSIONS = 2


def check_completeness(
    scan: Scan,
    workers: Workers,
    state: Mapping[str, StateVariable],
    seal: Seal | None,
    problems: Sequence[str],
    *,
    restarted: bool = False,
) -> Check:
    """Judge the record itself. The verdict is `pass` or `unknown`, never `fail`.

    Args:
        scan: of the history.
        workers: the processes that made it; empty for what holds for all of them alike.
        state: what the workload declared.
        seal: None if the run was never sealed.
        problems: files that could not be read, or changed after the seal.
        restarted: the app was stopped and started again.
    """
    found = [*problems, *scan.problems]
    if restarted and not _Phase(scan, RETURN_PHASE).began:
        found.append("The app was restarted, and no user returned to it.")
    if seal is None:
        found.insert(0, "The run was never sealed, because the harness ended during the run.")
    elif seal.ended != "completed":
        found.insert(0, seal.reason or f"The run ended early: {seal.ended}.")
    outcomes = dict.fromkeys(("ok", "fail", "info", "pending"), 0)
    reading = 0
    for (_, _, outcome, read), count in scan.outcomes.items():
        outcomes[outcome] += count
        reading += count * read
    ended_early = bool(found)  # the reason for that is the reason for the rest
    found = [*incomplete_workers(scan, workers), *found]
    if not state and not watched(scan) and not ended_early:
        found.append("The workload declares no state, so there is nothing to check.")
    elif not ended_early:
        found += _missing_evidence(scan, state)
    if scan.broken:
        # Other missing evidence may follow from this.
        found.insert(
            0,
            f"The workload itself raised an error in {len(scan.broken)} operations, first: {scan.broken[0]}.",
        )
    evidence = {
        "operations": sum(outcomes.values()),
        **outcomes,
        "operations_that_read": reading,
        "sessions": len(scan.sessions),
    }
    if found:
        shown = " ".join(found[:3]) + (f" (and {len(found) - 3} more)" if len(found) > 3 else "")
        return Check(name=NAME, verdict="unknown", reason=shown, evidence=evidence)
    return Check(
        name=NAME,
        verdict="pass",
        reason=f"{evidence['operations']} operations of {evidence['sessions']} sessions were recorded in full.",
        evidence=evidence,
    )


def watched(scan: Scan) -> bool:
    """Whether a token could have reached another session: two sessions sent tokens, and responses contain tokens."""
    return sum(session.sent_token for session in scan.sessions.values()) > 1 and scan.own_tokens_seen > 0


def incomplete_workers(scan: Scan, workers: Workers) -> list[str]:
    """A sentence about the sessions that are unknown because workers or their shards were lost; empty if none were."""
    unknown = workers.unknown
    if not unknown:
        return []
    names = {facts.name for facts in unknown}
    recorded = sessions_by_worker(scan)
    reasons = " ".join(facts.unknown or "" for facts in unknown)
    theirs = sum(sessions_of(facts, recorded) for facts in unknown)
    others = sum(count for worker, count in recorded.items() if worker not in names)
    of_them = "its" if len(unknown) == 1 else "their"
    return [
        f"{reasons} {of_them.capitalize()} {theirs} session{' is' if theirs == 1 else 's are'} unknown; "
        f"those of the other workers, {others}, are recorded in full."
    ]


def sessions_by_worker(scan: Scan) -> dict[str, int]:
    """Worker → sessions in its shard."""
    return dict(Counter(session.worker for session in scan.sessions.values()))


def sessions_of(facts: WorkerFacts, recorded: Mapping[str, int]) -> int:
    """Number of sessions of a worker: those recorded, or those of its last report if that is more."""
    return max(recorded.get(facts.name, 0), facts.sessions or 0)


class _Phase:
    """Number of operations of one phase, without operations on the page as a whole, such as `open`.

    Attributes:
        all: all of them.
        read: those with a read.
        failed: those that were not acknowledged.
    """

    def __init__(self, scan: Scan, phase: str) -> None:
        of_it = [(key, count) for key, count in scan.outcomes.items() if key[0] == phase]
        own = [(key, count) for key, count in of_it if key[1] not in PAGE_ACTIONS]
        self.began = bool(of_it)
        self.all = sum(count for _, count in own)
        self.read = sum(count for (*_, read), count in own if read)
        self.failed = sum(count for (_, _, outcome, _), count in own if outcome != "ok")

    @property
    def mostly_failed(self) -> bool:
        """Whether so many operations failed that the others are too few to judge by."""
        return self.failed > MOST * self.all


def _missing_evidence(scan: Scan, state: Mapping[str, StateVariable]) -> list[str]:
    """Sentences about missing evidence, without which `pass` would claim more than was observed."""
    found = []
    loaded = _Phase(scan, LOAD_PHASE)
    if not state:
        if not scan.searched_under_load:
            found.append("No response of the load phase was searched for what other sessions had sent.")
    elif not loaded.read:
        found.append("No operation of the load phase read any state, so nothing was observed under load.")
    else:
        never = sorted(name for name in state if not scan.variables[name].reads)
        if never:
            found.append(f"The workload declares {', '.join(never)} and never reads it.")
        nothing = sorted(
            name for name in state if 0 < scan.variables[name].reads == scan.variables[name].absent
        )
        if nothing:
            found.append(f"The app gave no session a value for {', '.join(nothing)}.")
    if loaded.mostly_failed:
        found.append(
            f"{loaded.failed} of {loaded.all} operations of the load phase failed: what the app does when it works was hardly seen."
        )
    cut_off, driven = len(scan.cut_off), len(scan.driven)
    if cut_off >= CUT_OFF_SESSIONS and cut_off > CUT_OFF * driven:
        found.append(
            f"{cut_off} of {driven} sessions of the load phase ended with a time-out or a lost connection: "
            "whether their state was still there was not seen."
        )
    # An app that stops answering half-way fails few operations of the load phase: all sessions wait.
    again = _Phase(scan, DRAIN_PHASE)
    if not again.all and _Phase(scan, STAIRCASE_PHASE).began:
        found.append("No held session acted again.")
    if again.mostly_failed:
        found.append(
            f"{again.failed} of {again.all} sessions that were held open did not answer at the end: whether their state was still there was not seen."
        )
    after = _Phase(scan, RETURN_PHASE)
    if after.began and not after.read:
        found.append("No user that returned after the restart of the app read any state.")
    if after.mostly_failed:
        found.append(
            f"{after.failed} of {after.all} operations after the restart of the app failed: what was still there was hardly seen."
        )
    return found
