"""How many predictions a second one generator process can drive: against a stub, so that the server is no limit."""

from __future__ import annotations

import statistics

from tests.perf import servers
from tests.perf.figures import Figure, Settings, middle

_USERS = 32


def measure(settings: Settings) -> list[Figure]:
    """Predictions per second, by turns with the bare loop, which shows what the stub can take."""
    folder = settings.scratch
    with servers.app(folder) as real:
        recording = servers.record(real)
        fn_index = real.fn_index
    turns = []
    with (
        servers.stub(folder, recording, fn_index) as stub,
        servers.contender("bare", stub, _USERS) as bare,
        servers.generator(stub, folder) as generator,
    ):
        clock = servers.Cpu(stub.pid)
        generator.drive_unwatched(_USERS, 2.0)
        bare.run(10 * _USERS)
        for _ in range(settings.rounds):
            ours = generator.drive(_USERS, settings.seconds)
            before = clock.seconds()
            floor = bare.run(ours.calls)
            stub_s = (clock.seconds() - before) / floor.calls
            turns.append((ours, floor, stub_s))
    rates = [ours.calls / ours.wall_s for ours, _, _ in turns]
    return [
        Figure(
            name="predictions/s of one generator process against a stub",
            unit="/s",
            bar=800.0,
            direction="at least",
            spread="range of rounds",
            detail={
                "users": _USERS,
                "bare_loop_per_s": statistics.median([floor.calls / floor.wall_s for _, floor, _ in turns]),
                # The bare loop keeps its own core busy, too; what the stub alone could answer follows from its CPU time.
                "stub_ceiling_per_s": 1 / statistics.median([stub_s for _, _, stub_s in turns]),
                "generator_cpu_share": statistics.median([ours.cpu_s / ours.wall_s for ours, _, _ in turns]),
                "generator_cpu_ms_per_prediction": statistics.median([ours.cpu_ms for ours, _, _ in turns]),
                "bare_cpu_ms_per_prediction": statistics.median([floor.cpu_ms for _, floor, _ in turns]),
            },
            **middle(rates),
        )
    ]
