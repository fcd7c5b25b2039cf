"""Messages between the harness and its load generator, one JSON object per line over a socket pair."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from harness.load.arrivals import ArrivalCounts
from harness.records import Driver, LoadStatus, Profile, StateVariable


class GeneratorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a load generator process is started with.

    Attributes:
        workload: path of the scenario's `workload.py`.
        history: file of this worker's shard.
        samples: file of this worker's account of itself.
        worker: number of this worker: 0 if it is the only one, otherwise from 1 on.
        auth: user names and passwords that sessions log in with, in turn; empty if the app asks for none.
        driver: `page`, or `stock` for an unmodified gradio_client in its place.
    """

    url: str
    workload: str
    history: str
    samples: str
    run_tag: str
    worker: int
    seed: int
    params: dict[str, str]
    profile: Profile
    auth: list[tuple[str, str]] = []
    driver: Driver = "page"


class MasterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the master of several load generator processes is started with.

    Attributes:
        bind_host, bind_port: where workers connect; port 0 means any free one.
        workers: how many there are to be.
        workload: path of the scenario's `workload.py`.
    """

    bind_host: str
    bind_port: int
    workers: int
    workload: str


class ClusterWorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What one of several load generator processes is started with.

    Attributes:
        workload: path of the scenario's `workload.py` on this machine.
        worker: its number, None if the master gives it one.
        shard: `folder`: its shard is written where the master says. `return`: it is written to `shard_folder` and
            sent to the master at the end. `shared`: it is written into the run folder of that name below `shard_folder`.
        join_timeout_s: longest wait for the master.
    """

    master_host: str
    master_port: int
    workload: str
    worker: int | None
    shard: Literal["folder", "return", "shared"]
    shard_folder: str
    join_timeout_s: float


class Configure(msgspec.Struct, frozen=True, kw_only=True, tag="configure"):
    """The app is there: let the workers load the workload.

    Attributes:
        config: for all of them; the master gives each its own number and shard.
        history_folder: where shards belong.
    """

    config: GeneratorConfig
    run_id: str
    history_folder: str


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag="lost"):
    """A worker's process has ended before its time."""

    worker: int
    reason: str


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag="hold"):
    """Hold this many sessions open, each with its state, in all."""

    sessions: int
    phase: str


class ActBatch(msgspec.Struct, frozen=True, kw_only=True, tag="act"):
    """Let the sessions that are held act so many times in all, in turn; nobody begins after `duration_s`."""

    requests: int
    duration_s: float
    phase: str


class Drive(msgspec.Struct, frozen=True, kw_only=True, tag="drive"):
    """Let this many users visit the app for a time, or, with a rate, people arrive at it.

    Attributes:
        arrival_rate: arrivals per second of all workers together: the open model. Then `users` and `spawn_rate` say nothing.
        place: number of the worker among those that it is divided among, from 0.
        workers: how many these are; each brings its share of the arrivals.
    """

    users: int
    spawn_rate: float
    duration_s: float
    phase: str
    arrival_rate: float | None = None
    place: int = 0
    workers: int = 1


class Release(msgspec.Struct, frozen=True, kw_only=True, tag="release"):
    """Close the sessions that are held, after one more action in each."""

    phase: str


class Return(msgspec.Struct, frozen=True, kw_only=True, tag="return"):
    """Let so many people of the load phase come back with the browsers that they had: the latest, as far as they are remembered.

    Each loads the page again, arrives, acts twice, and leaves.
    """

    people: int
    phase: str


class Quit(msgspec.Struct, frozen=True, kw_only=True, tag="quit"):
    """Finish what is under way, close the history, end."""


Command = Hold | ActBatch | Drive | Release | Return | Quit
MasterCommand = Configure | Lost | Command


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The generator has loaded the workload; this is what the workload declares."""

    state: dict[str, StateVariable]
    actions: list[str]


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The last command is complete.

    Attributes:
        held: sessions held open now.
        failed: sessions that could not be opened or given their state.
        arrivals: what became of the arrivals, for a drive under the open model.
        requests: operations begun so far, in the whole run, those of the tab itself not counted; None if nobody knows.
        sessions: sessions begun so far, likewise.
    """

    held: int = 0
    failed: int = 0
    arrivals: ArrivalCounts | None = None
    requests: int | None = None
    sessions: int | None = None


class Steady(msgspec.Struct, frozen=True, kw_only=True, tag="steady"):
    """All users of a drive have started."""

    users: int


class Status(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """Progress."""

    status: LoadStatus


class Broken(msgspec.Struct, frozen=True, kw_only=True, tag="broken"):
    """The generator cannot go on.

    Attributes:
        cause: `workload` (the scenario's code), `storage` (history not writable), or `internal`.
    """

    cause: str
    message: str
    hint: str = ""


class Bound(msgspec.Struct, frozen=True, kw_only=True, tag="bound"):
    """The master waits for workers at this port."""

    port: int


class EventReport(msgspec.Struct, frozen=True, kw_only=True, tag="happened"):
    """Something for the events of the run; see `harness.records.RunEvent`."""

    kind: str
    detail: dict[str, Any]


class Admitted(msgspec.Struct, frozen=True, kw_only=True, tag="admitted"):
    """A worker tells whoever started it that the master has taken it.

    Attributes:
        shard: its file, empty if the master's machine holds it.
    """

    worker: int
    run_id: str
    shard: str


class Returned(msgspec.Struct, frozen=True, kw_only=True, tag="returned"):
    """A worker's shard is safe with the master."""


Report = Ready | Done | Steady | Status | Broken | Bound | EventReport | Admitted | Returned
