"""CPU per prediction: gradsoak's generator, a bare loop, stock gradio_client, by turns against one server."""

from __future__ import annotations

import statistics

from tests.perf import servers
from tests.perf.figures import Figure, NotMeasured, Settings, middle


def measure(settings: Settings) -> list[Figure]:
    """Two ratios from the same rounds.

    Each round: the generator calls for a while; then the others make the same number of calls with as many users.
    """
    folder, users = settings.scratch, settings.users
    rounds: list[dict[str, servers.Round]] = []
    with (
        servers.app(folder) as app,
        servers.contender("bare", app, users) as bare,
        servers.contender("stock", app, users) as stock,
        servers.generator(app, folder) as generator,
    ):
        generator.drive_unwatched(users, 2.0)  # the first calls of all processes import and cache a lot
        bare.run(20 * users)
        stock.run(users)
        for _ in range(settings.rounds):
            ours = generator.drive(users, settings.seconds)
            if ours.calls < 10 * users:
                raise NotMeasured(f"only {ours.calls} calls in a turn of {settings.seconds:g} s")
            rounds.append({"gradsoak": ours, "bare": bare.run(ours.calls), "stock": stock.run(ours.calls)})
    detail = {
        "users": users,
        "cpu_ms_per_prediction": {
            name: middle([turn[name].cpu_ms for turn in rounds]) for name in ("gradsoak", "bare", "stock")
        },
        "predictions_per_s": {
            name: statistics.median([turn[name].calls / turn[name].wall_s for turn in rounds])
            for name in ("gradsoak", "bare", "stock")
        },
        "opening_cpu_ms_per_client_stock": 1000 * stock.opening_cpu_s / users,
        "rounds": rounds,
    }
    return [
        Figure(
            name="client CPU per prediction, of stock gradio_client's",
            unit="×",
            bar=1 / 40,
            direction="at most",
            spread="range of rounds",
            detail=detail,
            **middle([turn["gradsoak"].cpu_ms / turn["stock"].cpu_ms for turn in rounds]),
        ),
        Figure(
            name="client CPU per prediction, of a bare geventhttpclient loop's",
            unit="×",
            bar=1.6,
            direction="at most",
            spread="range of rounds",
            detail=detail,
            **middle([turn["gradsoak"].cpu_ms / turn["bare"].cpu_ms for turn in rounds]),
        ),
    ]
