"""Completeness: is there enough, and is it whole? Without that, the absence of anomalies means nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.history import History, WorkerFacts
from harness.records import (
    DRAIN_PHASE,
    LOAD_PHASE,
    RETURN_PHASE,
    STAIRCASE_PHASE,
    TAB_ACTIONS,
    Check,
    Seal,
    StateVariable,
)

NAME = "completeness"
# Above this share of failures, the few operations that succeeded stand for nothing.
MOST = 0.5
# Sessions that the app stopped answering are those whose state is most likely gone, and nobody looked. A few are the price of
# any overload; from this share on, what the others saw does not stand for all.
CUT_OFF = 0.1
# One session alone may have met with an accident, in however small a run.
CUT_OFF_SESSIONS = 2


def check_completeness(
    history: History, state: dict[str, StateVariable], seal: Seal | None, problems: Sequence[str]
) -> Check:
    """Judge the record itself. The verdict is `pass` or `unknown`, never `fail`.

    Args:
        history: operations, and what did not fit together.
        state: what the workload declared.
        seal: None if the run was never sealed.
        problems: files that could not be read, or changed after the seal.
    """
    found = [*problems, *history.problems]
    if seal is None:
        found.insert(0, "The run was never sealed: the harness ended in the middle of it.")
    elif seal.ended != "completed":
        found.insert(0, seal.reason or f"The run ended early: {seal.ended}.")
    outcomes = dict.fromkeys(("ok", "fail", "info", "pending"), 0)
    for operation in history.operations:
        outcomes[operation.outcome] += 1
    reading = sum(1 for o in history.operations if o.reads)
    ended_early = bool(found)  # the reason for that is the reason for the rest
    found = [*incomplete_workers(history), *found]
    if not state and not watched(history) and not ended_early:
        found.append("The workload declares no state, so there is nothing to check.")
    elif not ended_early:
        found += _missing_evidence(history, state)
    broken = [o for o in history.operations if o.error is not None and o.error.kind == "workload"]
    if broken:
        first = broken[0].error
        assert first is not None
        # Whatever else is missing may follow from this.
        found.insert(
            0, f"The workload itself raised an error in {len(broken)} operations, first: {first.message}."
        )
    evidence = {
        "operations": len(history.operations),
        **outcomes,
        "operations_that_read": reading,
        "sessions": len(history.by_session()),
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


def watched(history: History) -> bool:
    """Whether a token of one session could have been seen by another: two sent some, and responses were searched."""
    sending = {o.session for o in history.operations if o.marked}
    return len(sending) > 1 and any(o.looked for o in history.operations)


def incomplete_workers(history: History) -> list[str]:
    """What is not known because workers were lost, or their shards are missing: one sentence for all of them."""
    unknown = history.fleet.unknown
    if not unknown:
        return []
    names = {facts.name for facts in unknown}
    recorded = sessions_by_worker(history)
    reasons = " ".join(facts.unknown or "" for facts in unknown)
    theirs = sum(sessions_of(facts, recorded) for facts in unknown)
    others = sum(count for worker, count in recorded.items() if worker not in names)
    of_them = "its" if len(unknown) == 1 else "their"
    return [
        f"{reasons} {of_them.capitalize()} {theirs} session{' is' if theirs == 1 else 's are'} unknown; "
        f"those of the other workers, {others}, are recorded in full."
    ]


def sessions_by_worker(history: History) -> dict[str, int]:
    """Worker → sessions in its shard."""
    found: dict[str, set[str]] = {}
    for operation in history.operations:
        found.setdefault(operation.worker, set()).add(operation.session)
    return {worker: len(sessions) for worker, sessions in found.items()}


def sessions_of(facts: WorkerFacts, recorded: Mapping[str, int]) -> int:
    """How many sessions a worker had: those on record, or by its last report if that is more."""
    return max(recorded.get(facts.name, 0), facts.sessions or 0)


def _missing_evidence(history: History, state: dict[str, StateVariable]) -> list[str]:
    """What was not seen, though a verdict of `pass` would say that it was seen and found good."""
    found = []
    loaded = [o for o in history.operations if o.phase == LOAD_PHASE and o.action not in TAB_ACTIONS]
    if not state:
        if not any(o.looked for o in loaded):
            found.append("No response of the load phase was searched for what other sessions had sent.")
    elif not any(o.reads for o in loaded):
        found.append("No operation of the load phase read any state, so nothing was observed under load.")
    else:
        never = sorted(set(state) - {name for o in history.operations for name in o.reads})
        if never:
            found.append(f"The workload declares {', '.join(never)} and never reads it.")
    failed = sum(1 for o in loaded if o.outcome != "ok")
    if loaded and failed > MOST * len(loaded):
        found.append(
            f"{failed} of {len(loaded)} operations of the load phase failed: what the app does when it works was hardly seen."
        )
    driven = {o.session for o in history.operations if o.phase == LOAD_PHASE}
    cut_off = {
        o.session
        for o in history.operations
        if o.phase == LOAD_PHASE
        and o.outcome == "info"
        and o.error is not None
        and o.error.kind in ("timeout", "connection")
    }
    if len(cut_off) >= CUT_OFF_SESSIONS and len(cut_off) > CUT_OFF * len(driven):
        found.append(
            f"{len(cut_off)} of {len(driven)} sessions of the load phase ended with a time-out or a lost connection: "
            "whether their state was still there was not seen."
        )
    # An app that stops answering half-way fails few operations of the load phase: everybody waits.
    again = [o for o in history.operations if o.phase == DRAIN_PHASE and o.action not in TAB_ACTIONS]
    if not again and any(o.phase == STAIRCASE_PHASE for o in history.operations):
        found.append("No session that was held open was looked at again.")
    gone = sum(1 for o in again if o.outcome != "ok")
    if again and gone > MOST * len(again):
        found.append(
            f"{gone} of {len(again)} sessions that were held open did not answer at the end: whether their state was still there was not seen."
        )
    came_back = [o for o in history.operations if o.phase == RETURN_PHASE]
    after = [o for o in came_back if o.action not in TAB_ACTIONS]
    if came_back and not any(o.reads for o in after):
        found.append("Nobody who came back after the restart of the app read any state.")
    lost = sum(1 for o in after if o.outcome != "ok")
    if after and lost > MOST * len(after):
        found.append(
            f"{lost} of {len(after)} operations after the restart of the app failed: what was still there was hardly seen."
        )
    return found
