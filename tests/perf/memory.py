"""Memory of the load generator per idle open session: a staircase, each step settled."""

from __future__ import annotations

import psutil

from tests.perf import servers
from tests.perf.figures import Figure, Settings, slope

_STEPS = 4
_KIB = 1024


def measure(settings: Settings) -> list[Figure]:
    """Slope of RSS over open sessions, each with its heartbeat and one call behind it."""
    folder = settings.scratch
    steps = []
    with servers.app(folder) as app, servers.generator(app, folder) as generator:
        process = psutil.Process(generator.pid)
        generator.drive(
            settings.users, 2.0
        )  # what the first sessions import and cache is not a session's cost
        cpu_before = generator.cpu_s()
        for step in range(_STEPS + 1):
            sessions = round(settings.idle_sessions * step / _STEPS)
            if step:
                generator.hold(sessions)
            opened_cpu_s = generator.cpu_s() - cpu_before
            generator.settle()
            memory = process.memory_full_info()
            steps.append(
                {
                    "sessions": sessions,
                    "rss_bytes": memory.rss,
                    "uss_bytes": memory.uss,
                    "open_files": process.num_fds(),
                    "threads": process.num_threads(),
                    "opening_cpu_s": opened_cpu_s,
                }
            )
        generator.operations()  # none of them failed
    x = [step["sessions"] for step in steps]
    rss = slope(x, [step["rss_bytes"] / _KIB for step in steps])
    uss = slope(x, [step["uss_bytes"] / _KIB for step in steps])
    last = steps[-1]
    return [
        Figure(
            name="generator memory (RSS) per idle open session",
            unit="KiB",
            bar=40.0,
            direction="at most",
            spread="95 % interval",
            detail={
                "uss_kib_per_session": uss,
                "open_files_per_session": (last["open_files"] - steps[0]["open_files"]) / last["sessions"],
                "opening_cpu_ms_per_session": 1000 * last["opening_cpu_s"] / last["sessions"],
                "steps": steps,
            },
            **rss,
        )
    ]
