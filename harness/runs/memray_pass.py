"""The memray pass: sessions come, act and go while memray and tracemalloc trace the app. It names the allocation sites of what remains."""

from __future__ import annotations

import sys
import sysconfig
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.analysis.memory.allocation_sites import MAX_FRAMES
from harness.app_under_test import Target
from harness.load.commands import Hold, Release
from harness.records import NOT_TRACED, REQUESTS_PHASE, TRACED, Census
from harness.run_dir import MEMRAY_FILE
from harness.runs import memray_results
from harness.runs.active_run import ActiveRun
from harness.runs.plateaus import PlateauRecorder


def trace(run: ActiveRun, plateaus: PlateauRecorder) -> None:
    """Trace the app instead of the experiment, and record the allocation sites.

    Args:
        run: a run that has been started and warmed up.
        plateaus: measures the app before and after the trace.
    """
    target = run.target
    assert isinstance(target, Target)
    file = (run.run_dir.path / MEMRAY_FILE).resolve()
    run.enter("staircase")
    plateaus.measure_idle("staircase")
    before = plateaus.last_census
    began, requests, sessions = time.monotonic(), run.done.requests or 0, run.done.sessions or 0
    started = target.start_trace(file, MAX_FRAMES, lent_memray())
    if "error" in started:
        run.event(NOT_TRACED, reason=_why_not_started(run, started))
        return
    _sessions_come_and_go(run, plateaus)
    # Twice, because objects that the first collection frees may free more.
    target.settle()
    target.settle()
    stopped = target.stop_trace()
    if "error" in stopped:
        run.event(NOT_TRACED, reason=f"memray could not write its capture file: {stopped['error']}.")
        return
    traced_s = time.monotonic() - began
    plateaus.measure("after-close", 0)
    answer = target.traced_entries(grown_paths(before, plateaus.last_census))
    target.end_trace()
    window = {
        "memray": started["memray"],
        "sessions": (run.done.sessions or 0) - sessions,
        "requests": (run.done.requests or 0) - requests,
        "traced_s": round(traced_s, 3),
    }
    app_folder = run.options.scenario.app.parent
    for event in memray_results.record(run.run_dir, app_folder, answer.get("entries", [])):
        run.event(event.kind, **event.detail, **(window if event.kind == TRACED else {}))


def _sessions_come_and_go(run: ActiveRun, plateaus: PlateauRecorder) -> None:
    plan, limits = run.options.profile.staircase, run.target.limits()
    held = run.perform(Hold(sessions=plan.sessions_per_level, phase="staircase")).held
    run.enter(REQUESTS_PHASE)
    for _ in range(plan.request_batches if held else 0):
        run.perform_actions(plan.requests_per_batch, REQUESTS_PHASE)
    run.enter("drain")
    run.perform(Release(phase="drain"))
    run.enter("after-close")
    plateaus.wait_until_freed(limits)


def _why_not_started(run: ActiveRun, answer: dict[str, Any]) -> str:
    if not answer.get("missing"):
        return f"memray could not be started: {answer['error']}."
    assert run.options.interpreter is not None
    return why_missing(run.options.interpreter.path, answer["error"])


def lent_memray() -> dict[str, Any]:
    """The folder of our memray and the interpreter that it was built for; empty without memray. See `harness/probe/allocation_tracing.py`."""
    found = find_spec("memray")
    if found is None or found.origin is None:
        return {}
    return {
        "folder": str(Path(found.origin).parent.parent),
        "abi": f"{sys.implementation.cache_tag} {sysconfig.get_config_var('SOABI')}",
        "package": "memray",
        # The packages that memray imports; see tests/unit/probe/test_allocation_tracing.py.
        "needs": ["rich"],
    }


def why_missing(python: str, error: str) -> str:
    """Why the app's interpreter cannot use memray, with the command that installs it."""
    from importlib.metadata import version

    return (
        f"The app's interpreter has no memray that can be used ({error}): install the one that gradsoak has, with "
        f"`{python} -m pip install memray=={version('memray')}`."
    )


def grown_paths(before: Census | None, after: Census | None) -> list[str]:
    """Access paths of the containers that were longer at the later census."""
    if before is None or after is None:
        return []
    lengths = {container.path: container.length for container in before.containers}
    return [c.path for c in after.containers if c.length > lengths.get(c.path, 0)]
