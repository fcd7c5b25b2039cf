"""Run folders as a run leaves them, from made-up histories."""

from __future__ import annotations

from pathlib import Path

from harness.history import History, Workers
from harness.recorded_run import RecordedRun
from harness.records import RunEvent, StateVariable
from harness.report.raw_records import records_of
from harness.run_dir import EVENTS, MANIFEST, RunDir
from tests.builders import HistoryBuilder
from tests.unit.report.builders import BEGAN, S, generator_samples, manifest

MS = 10**6
FROM = BEGAN + 5 * S


def store(path: Path, builder: HistoryBuilder, *, sealed: bool = True, **state: StateVariable) -> RunDir:
    """Write a history down, with a manifest, the phase that it is of, and a seal."""
    run = RunDir.create(path)
    operations = builder.build().operations
    run.write_json(MANIFEST, manifest(state=state, expect=None))
    events = run.writer(EVENTS)
    begin, end = operations[0].invoke_ns, max(o.complete_ns or o.invoke_ns for o in operations)
    for time_ns, kind, detail in (
        (begin, "phase", {"name": "load"}),
        (begin, "steady", {}),
        (end, "phase", {"name": "drain"}),
    ):
        events.append(RunEvent(time_ns=time_ns, wall_ns=0, kind=kind, detail=detail))
    events.close()
    account = run.writer("samples/generator-0.jsonl")
    for sample in generator_samples(4, 12):
        account.append(sample)
    account.close()
    for worker in {operation.worker for operation in operations}:
        shard = run.writer(f"history/{worker}.jsonl")
        for record in sorted(
            (r for o in operations if o.worker == worker for r in records_of(o, Workers())),
            key=lambda record: record.time_ns,
        ):
            shard.append(record)
        shard.close()
    if sealed:
        run.seal("completed", "")
    return run


def whole_history(run: RecordedRun) -> History:
    """All operations of a run with all that they read, in memory. Every record must fit."""
    problems: list[str] = []
    for _, pairs in run.recorded.pairs(problems):
        for _ in pairs:
            pass
    history = run.recorded.history(None, began_ns=0, damaged=frozenset(), problems=problems)
    assert problems == []
    return history


def clean() -> HistoryBuilder:
    """Sessions that keep to themselves."""
    builder = HistoryBuilder()
    for number in range(6):
        for session in ("s0-1", "s0-2", "s0-3"):
            begin = FROM + (3 * number + int(session[-1])) * 20 * MS
            seen = [f"{session}-value-{i}" for i in range(number + 1)]
            builder.append(session, seen[-1], seen, begin=begin, end=begin + 10 * MS)
    return builder


def leaking() -> HistoryBuilder:
    """Everybody sees what everybody appended."""
    builder, log = HistoryBuilder(), []
    for number in range(18):
        session = f"s0-{number % 6 + 1}"
        log.append(f"{session}-value-{number}")
        begin = FROM + number * 20 * MS
        builder.append(session, log[-1], list(log), begin=begin, end=begin + 10 * MS)
    return builder
