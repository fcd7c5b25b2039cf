"""Messages between the harness and its load generator, one JSON object per line over a socket pair."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from harness.load.arrival_schedule import ArrivalCounts
from harness.records import Driver, LoadStatus, Profile, StateVariable


class GeneratorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of a load generator process.

    Attributes:
        workload: path of the scenario's `workload.py`.
        history: file of this worker's shard.
        samples: file for this worker's measurements of itself.
        worker: number of this worker: 0 if it is the only one, otherwise from 1 on.
        auth: user names and passwords, which users take in turn; empty if the app has no login.
        driver: `page`, or `stock` for an unmodified gradio_client instead of a page.
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
    """The configuration of the master of several load generator processes.

    Attributes:
        bind_host, bind_port: where workers connect; port 0 means any free port.
        workers: number of workers to wait for.
        workload: path of the scenario's `workload.py`.
    """

    bind_host: str
    bind_port: int
    workers: int
    workload: str


class ClusterWorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of one of several load generator processes.

    Attributes:
        workload: path of the scenario's `workload.py` on this machine.
        worker: its number, None if the master assigns one.
        shard: `folder`: the shard is written to the path that the master sends. `return`: it is written to `shard_folder`
            and sent to the master at the end. `shared`: it is written into the run folder below `shard_folder`.
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
    """The app is running: the workers load the workload.

    Attributes:
        config: for all workers; the master adds the number and the shard of each.
        history_folder: the folder for the shards.
    """

    config: GeneratorConfig
    run_id: str
    history_folder: str


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag="lost"):
    """A worker's process has ended during the run."""

    worker: int
    reason: str


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag="hold"):
    """Hold this many sessions open in all, each with its state."""

    sessions: int
    phase: str


class ActBatch(msgspec.Struct, frozen=True, kw_only=True, tag="act"):
    """Let the held sessions act this many times in all, in turn; no action begins after `duration_s`."""

    requests: int
    duration_s: float
    phase: str


class Drive(msgspec.Struct, frozen=True, kw_only=True, tag="drive"):
    """Let this many users visit the app for a time (closed model), or let users arrive at a rate (open model).

    Attributes:
        arrival_rate: arrivals per second of all workers together; None for the closed model. With a rate, `users` and
            `spawn_rate` are ignored.
        place: number of this worker among those that share the command, from 0.
        workers: how many share it; each makes its part of the arrivals.
    """

    users: int
    spawn_rate: float
    duration_s: float
    phase: str
    arrival_rate: float | None = None
    place: int = 0
    workers: int = 1


class Release(msgspec.Struct, frozen=True, kw_only=True, tag="release"):
    """Close the held sessions, after one more action in each."""

    phase: str


class Return(msgspec.Struct, frozen=True, kw_only=True, tag="return"):
    """Let users of the load phase return with their browsers: the most recent ones, as many as are remembered.

    Each loads the page again, arrives, acts twice, and leaves.
    """

    users: int
    phase: str


class Quit(msgspec.Struct, frozen=True, kw_only=True, tag="quit"):
    """Finish operations in progress, close the history, end."""


Command = Hold | ActBatch | Drive | Release | Return | Quit
MasterCommand = Configure | Lost | Command


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The generator has loaded the workload, which declares this."""

    state: dict[str, StateVariable]
    actions: list[str]


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The last command is complete.

    Attributes:
        held: sessions held open now.
        failed: sessions that could not be opened or given their state.
        arrivals: what became of the arrivals, for a drive under the open model.
        requests: operations begun in the whole run so far, without those of the page itself; None if unknown.
        sessions: sessions begun in the whole run so far; None if unknown.
    """

    held: int = 0
    failed: int = 0
    arrivals: ArrivalCounts | None = None
    requests: int | None = None
    sessions: int | None = None


class Steady(msgspec.Struct, frozen=True, kw_only=True, tag="steady"):
    """All users of a drive have started."""

    users: int


class StatusReport(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """The generator's progress."""

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
    """The master accepts workers at this port."""

    port: int


class EventReport(msgspec.Struct, frozen=True, kw_only=True, tag="happened"):
    """An event for the run's log; see `harness.records.RunEvent`."""

    kind: str
    detail: dict[str, Any]


class Admitted(msgspec.Struct, frozen=True, kw_only=True, tag="admitted"):
    """A worker reports to its parent process that the master has accepted it.

    Attributes:
        shard: its file, empty if that is on the master's machine.
    """

    worker: int
    run_id: str
    shard: str


class Returned(msgspec.Struct, frozen=True, kw_only=True, tag="returned"):
    """The master has confirmed a worker's whole shard."""


Report = Ready | Done | Steady | StatusReport | Broken | Bound | EventReport | Admitted | Returned
