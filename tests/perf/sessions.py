"""Thousands of sessions open at once, each with its own state: an ordinary `gradsoak run`, and a second look at its history."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import NamedTuple

from harness import tokens
from harness.history import History
from harness.records import Operation, Plateau
from harness.run_dir import RunDir
from harness.run_reader import open_run
from tests.perf import servers
from tests.perf.figures import Figure, NotMeasured, Settings, slope
from tests.stored import whole_history

_LEVELS = 5
_SCENARIO = "counters"
_TIMEOUT_S = 1800.0


def measure(settings: Settings) -> list[Figure]:
    """Sessions that were open together, and whose state was their own to the end."""
    wanted = settings.sessions
    if wanted < _LEVELS or wanted % _LEVELS:
        raise NotMeasured(f"--sessions must be a multiple of {_LEVELS}: one part for each step")
    path = settings.scratch / "run"
    command = [sys.executable, "-m", "harness", "run", _SCENARIO, "--levels", str(_LEVELS), "--sessions-per-level",
               str(wanted // _LEVELS), "--users", "4", "--duration", "5s", "--seed", "1", "--out", str(path), "--json"]  # fmt: skip
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=servers.REPO, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"the run was not over after {_TIMEOUT_S:g} s") from None
    took_s = time.monotonic() - began
    run_dir = RunDir(path)
    if run_dir.sealed() is None:
        raise NotMeasured(f"the run ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    data = open_run(run_dir)
    checks = run_dir.checks()
    top = max(data.plateaus, key=lambda plateau: plateau.open_sessions, default=None)
    if top is None or top.open_sessions == 0:
        raise NotMeasured(f"no session was open: {checks.reason}")
    seen = look(whole_history(data), top.process.time_ns)
    together, sound, mixed = len(seen.together), len(seen.sound), len(seen.mixed)
    stairs = [plateau for plateau in data.plateaus if plateau.label == "staircase"]
    return [
        Figure(
            name="sessions open at once, each with its own state verified",
            unit="",
            bar=float(wanted),
            direction="at least",
            # One session that shows what another wrote spoils the figure, not only itself.
            value=0.0 if mixed or checks.verdict == "fail" else float(sound),
            reason=_reason(len(seen.held), sound, mixed, checks.verdict, checks.reason),
            detail={
                "exit_status": done.returncode,
                "verdict": checks.verdict,
                "verdict_reason": checks.reason,
                "sessions_opened": len(seen.held),
                "sessions_open_together": together,
                "sessions_lost": len(seen.held) - sound,
                "sessions_mixed_up": mixed,
                "took_s": took_s,
                "phases_s": {span.name: (span.end_ns - span.begin_ns) / 1e9 for span in data.phases},
                "server_rss_kib_per_session": _slope(stairs, [p.process.rss_bytes / 1024 for p in stairs]),
                "generator_rss_kib_per_session": _slope(
                    stairs, [(p.loadgen_rss_bytes or 0) / 1024 for p in stairs]
                ),
                "server_open_files_at_the_top": top.process.open_files,
                "generator_open_files_at_the_top": max(
                    (sample.open_files or 0 for sample in data.loadgen), default=None
                ),
            },
        )
    ]


class Seen(NamedTuple):
    """Names of sessions.

    Attributes:
        held: opened on the staircase.
        together: those of them that were open at the top.
        sound: those of these whose state was their own to the end.
        mixed: held sessions that saw what another one wrote.
    """

    held: list[str]
    together: list[str]
    sound: list[str]
    mixed: list[str]


def look(history: History, top_ns: int) -> Seen:
    """Sort the held sessions of a run.

    Args:
        history: all operations.
        top_ns: a moment at the top of the staircase, monotonic nanoseconds.
    """
    held = {
        session: operations
        for session, operations in history.by_session().items()
        if operations[0].phase == "staircase"
    }
    together = [session for session, operations in held.items() if _open_at(operations, top_ns)]
    return Seen(
        held=list(held),
        together=together,
        sound=[session for session in together if _own_state(held[session])],
        mixed=[session for session, operations in held.items() if _foreign(session, operations)],
    )


def _open_at(operations: list[Operation], time_ns: int) -> bool:
    """Whether the session was open at a moment: opened and used before it, used again and closed after it."""
    names = [operation.action for operation in operations]
    return (
        len(operations) >= 4
        and names[0] == "open"
        and names[-1] == "close"
        and (operations[1].complete_ns or time_ns) < time_ns < operations[-2].invoke_ns
    )


def _own_state(operations: list[Operation]) -> bool:
    """Whether every operation was answered, and the last one shows all that this session wrote, and nothing else."""
    if any(operation.outcome != "ok" for operation in operations):
        return False
    clicks = [operation for operation in operations if operation.action == "click"]
    written = [click.effects["clicks"].value for click in clicks]
    return clicks[-1].reads == {"count": len(clicks), "clicks": written} and len(clicks) >= 2


def _foreign(session: str, operations: list[Operation]) -> bool:
    """Whether the session ever saw a token of another one."""
    return any(
        (token := tokens.parse(str(value))) is None or token.session_id != session
        for operation in operations
        for value in operation.reads.get("clicks", [])
    )


def _slope(stairs: list[Plateau], y: list[float]) -> dict[str, float]:
    return slope([float(plateau.open_sessions) for plateau in stairs], y)


def _reason(held: int, sound: int, mixed: int, verdict: str, why: str) -> str:
    lost = held - sound
    return f"{lost} lost, {mixed} mixed up; verdict of the run: {verdict}" + (
        f" ({why})" if verdict != "pass" else ""
    )
