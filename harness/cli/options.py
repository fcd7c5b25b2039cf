"""Options that several verbs share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import UsageError
from harness.profiles import BASES, parse_duration
from harness.records import Driver

ProfileName = Annotated[
    str,
    typer.Option(
        "--profile",
        help="How much load: quick or full; staircase for what becomes of memory, soak for slow leaks.",
        metavar="|".join(BASES),
    ),
]
Users = Annotated[int | None, typer.Option("--users", help="Active users in the timed phase.")]
SpawnRate = Annotated[float | None, typer.Option("--spawn-rate", help="Users started per second.")]
Duration = Annotated[
    str | None, typer.Option("--duration", help="Length of the timed phase: seconds, or 2m, 1m30s.")
]
Think = Annotated[
    str | None,
    typer.Option("--think", help="Mean pause between two actions of a user: seconds, for example 0.5."),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate",
        help="Arrivals per second, whatever the app does (the open model), instead of users who wait and think.",
    ),
]
Arrivals = Annotated[
    str | None,
    typer.Option(
        "--arrivals", help="How people arrive under --rate. Default: poisson.", metavar="poisson|uniform"
    ),
]
MaxInFlight = Annotated[
    int | None,
    typer.Option(
        "--max-in-flight",
        help="Most sessions in use at once under --rate; arrivals beyond are dropped and counted. Default: 200.",
    ),
]
Levels = Annotated[int | None, typer.Option("--levels", help="Steps of the memory staircase (at least 4).")]
SessionsPerLevel = Annotated[
    int | None, typer.Option("--sessions-per-level", help="Sessions opened per step.")
]
WhatIf = Annotated[
    list[str] | None,
    typer.Option(
        "--what-if",
        metavar="SETTING",
        help="Make the run again with one setting changed, and say what it gained. May be repeated. time_to_live=SECONDS, "
        "state_session_capacity=N, delete_cache=FREQUENCY,AGE, jemalloc, MALLOC_ARENA_MAX=2 or any other environment variable, "
        "or a parameter of the scenario, NAME=VALUE.",
        rich_help_panel="Memory",
    ),
]
RealTtl = Annotated[
    bool,
    typer.Option(
        "--real-ttl",
        help="Leave Gradio's time to live of closed sessions' State as it is, also where the profile shortens it to a second.",
        rich_help_panel="Memory",
    ),
]
NoControl = Annotated[
    bool,
    typer.Option(
        "--no-control",
        help="Measure no state-free app beside this one, also where the profile does.",
        rich_help_panel="Memory",
    ),
]
Memray = Annotated[
    bool,
    typer.Option(
        "--memray",
        help="Start the app once more under memray afterwards, for the lines of code that allocated what stays.",
        rich_help_panel="Memory",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Seed of everything random in the load. Default: a new one, recorded."),
]
Python = Annotated[
    str | None, typer.Option("--python", help="Interpreter that runs the app. Default: the current one.")
]
Param = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUE", help="Set one of the scenario's parameters. May be repeated."
    ),
]
ReadyTimeout = Annotated[
    str, typer.Option("--ready-timeout", help="Longest wait for the app's first answer.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Divide the load among N processes of this machine; with --master, how many to expect.",
        rich_help_panel="Many cores, many machines",
    ),
]
Master = Annotated[
    bool,
    typer.Option(
        "--master",
        help="Make no load here: wait for workers from elsewhere.",
        rich_help_panel="Many cores, many machines",
    ),
]
Worker = Annotated[
    bool,
    typer.Option(
        "--worker",
        help="Only make load, for a master elsewhere. Options about the load are the master's business, and ignored.",
        rich_help_panel="Many cores, many machines",
    ),
]
MasterHost = Annotated[
    str | None,
    typer.Option(
        "--master-host",
        help="With --worker: where the master is. Default: 127.0.0.1.",
        rich_help_panel="Many cores, many machines",
    ),
]
MasterPort = Annotated[
    int | None,
    typer.Option(
        "--master-port",
        help="Where workers connect. Default: 5557, or any free one for --workers alone.",
        rich_help_panel="Many cores, many machines",
    ),
]
MasterBindHost = Annotated[
    str | None,
    typer.Option(
        "--master-bind-host",
        help="Address at which the master listens. Default: 127.0.0.1.",
        rich_help_panel="Many cores, many machines",
    ),
]
Shards = Annotated[
    str | None,
    typer.Option(
        "--shards",
        metavar="folder|return",
        help="Whether workers of this machine write into the run folder, or return what they recorded as others do. "
        "Default: folder.",
        rich_help_panel="Many cores, many machines",
    ),
]
SharedDir = Annotated[
    Path | None,
    typer.Option(
        "--shared-dir",
        help="With --worker: folder, shared with the master's machine, that holds its run folder. Default: return the shard.",
        show_default=False,
        rich_help_panel="Many cores, many machines",
    ),
]
JoinTimeout = Annotated[
    str | None,
    typer.Option(
        "--join-timeout",
        help="Longest wait of a master for its workers, and of a worker for its master. Default: 60s.",
        rich_help_panel="Many cores, many machines",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="Drive the app that runs at this address already, instead of starting the scenario's own.",
    ),
]
Pid = Annotated[
    int | None,
    typer.Option("--pid", help="With --url: the app's process, if it is not the one that listens there."),
]
AllowRemote = Annotated[
    bool, typer.Option("--allow-remote", help="Allow an address that is not this machine's own.")
]
Auth = Annotated[
    list[str] | None,
    typer.Option(
        "--auth",
        metavar="USER:PASSWORD|@FILE",
        help="Login for an app that asks for one; @FILE holds one per line. May be repeated: sessions take them in turn. "
        "Default: the environment variable GRADSOAK_AUTH.",
    ),
]
DriverName = Annotated[
    str,
    typer.Option(
        "--driver",
        metavar="page|stock",
        help="What sessions are made of: a browser's page, or gradio_client's own Client, for comparison.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder to make. Default: below ./reports.", show_default=False)
]


def accounts(given: list[str] | None) -> list[tuple[str, str]]:
    """User names and passwords from `--auth`, or from the environment variable GRADSOAK_AUTH (one per line).

    Raises:
        UsageError: one of them is not USER:PASSWORD, or a file cannot be read. The message does not repeat it.
    """
    texts = given if given else os.environ.get("GRADSOAK_AUTH", "").splitlines()
    found = []
    for text in texts:
        lines = _lines(text[1:]) if text.startswith("@") else [text]
        for line in lines:
            if not line.strip():
                continue
            user, colon, password = line.partition(":")
            if not colon or not user.strip():
                raise UsageError(
                    "A login is not USER:PASSWORD.",
                    "For example: --auth alice:secret, or --auth @FILE with one such line for each account.",
                )
            found.append((user.strip(), password))
    if texts and not found and any(text.strip() for text in texts):
        raise UsageError(
            "The file named with --auth holds no login.", "Write one USER:PASSWORD on each line."
        )
    return found


def _lines(name: str) -> list[str]:
    path = Path(name).expanduser()
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(
            f"The file of logins {path} cannot be read: {reason}.",
            "Name a file with one USER:PASSWORD on each line.",
        ) from error


def driver(name: str) -> Driver:
    """The driver of that name.

    Raises:
        UsageError: there is none.
    """
    if name == "page":
        return "page"
    if name == "stock":
        return "stock"
    raise UsageError(f"There is no driver {name!r}.", "Choose one of: page, stock.")


def profile_overrides(
    *,
    users: int | None,
    spawn_rate: float | None,
    duration: str | None,
    think: str | None,
    rate: float | None,
    arrivals: str | None,
    max_in_flight: int | None,
    levels: int | None,
    sessions_per_level: int | None,
    real_ttl: bool = False,
    no_control: bool = False,
) -> dict[str, Any]:
    """The command line's part of a profile, in the profile's own terms.

    Raises:
        UsageError: a duration cannot be read, or there is no such way to arrive.
    """
    if arrivals not in (None, "poisson", "uniform"):
        raise UsageError(
            f"People cannot arrive {arrivals!r}.", "Give --arrivals poisson or --arrivals uniform."
        )
    staircase = {"levels": levels, "sessions_per_level": sessions_per_level}
    return {
        "users": users,
        "spawn_rate": spawn_rate,
        "duration_s": None if duration is None else parse_duration(duration),
        "think_s": None if think is None else parse_duration(think),
        "arrival_rate": rate,
        "arrivals": arrivals,
        "max_in_flight": max_in_flight,
        "compress_ttl": False if real_ttl else None,
        "control": False if no_control else None,
        "staircase": {name: value for name, value in staircase.items() if value is not None} or None,
    }
