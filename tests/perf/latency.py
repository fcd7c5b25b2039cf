"""What the page adds to the time that a bare socket sees: single calls by turns, one user."""

from __future__ import annotations

from tests.perf import servers
from tests.perf.figures import Figure, NotMeasured, Settings, percentile

# About what one pair of calls takes, pauses included; only to know how long to let the user call.
_PAIR_S = 0.04


def measure(settings: Settings) -> list[Figure]:
    """Difference of the two medians."""
    folder = settings.scratch
    log = folder / "socket-ns"
    with servers.app(folder) as app:
        log.touch()
        environment = {
            "GRADSOAK_PERF_URL": app.url,
            "GRADSOAK_PERF_FN": str(app.fn_index),
            "GRADSOAK_PERF_SOCKET_LOG": str(log),
        }
        page_ms: list[float] = []
        with servers.generator(app, folder, servers.SCENARIO / "latency.py", **environment) as generator:
            generator.drive_unwatched(1, 2.0)  # first calls
            generator.operations()
            log.write_text("")
            turns = 0
            while len(page_ms) < settings.calls and turns < 20:
                generator.drive_unwatched(1, max(2.0, (settings.calls - len(page_ms)) * _PAIR_S))
                turns += 1
                calls = [pair for pair in generator.operations() if pair[0].action == servers.ACTION]
                # The first call of a visit makes the connection.
                page_ms += [(ok.time_ns - invoke.time_ns) / 1e6 for invoke, ok in calls[1:]]
        socket_ms = [int(line) / 1e6 for line in log.read_text().split()]
    if min(len(page_ms), len(socket_ms)) < min(50, settings.calls):
        raise NotMeasured(f"only {len(page_ms)} calls by page and {len(socket_ms)} by socket")
    page_p50, socket_p50 = percentile(page_ms, 0.5), percentile(socket_ms, 0.5)
    parts = 5
    differences = [
        percentile(page_ms[part::parts], 0.5) - percentile(socket_ms[part::parts], 0.5)
        for part in range(parts)
    ]
    return [
        Figure(
            name="client p50 over a bare socket's, one user",
            unit="ms",
            bar=1.0,
            direction="at most",
            value=page_p50 - socket_p50,
            low=min(differences),
            high=max(differences),
            spread="range of fifths of the calls",
            detail={
                "calls_by_page": len(page_ms),
                "calls_by_socket": len(socket_ms),
                "page_ms": {f"p{share}": percentile(page_ms, share / 100) for share in (5, 50, 95)},
                "socket_ms": {f"p{share}": percentile(socket_ms, share / 100) for share in (5, 50, 95)},
            },
        )
    ]
