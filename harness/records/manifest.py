"""The manifest: everything that was decided before the run began."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA_VERSION = 1

# Why a run was made: for its own sake, or to explain another, inside whose folder it then stands.
Purpose = Literal["run", "control", "attribution", "what-if"]
# What sessions are made of: GradioPage, or an unmodified gradio_client for comparison.
Driver = Literal["page", "stock"]


class PlateauPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The memory experiment: `levels` steps of `sessions_per_level` sessions each, after plateau 0, then requests, then a second round.

    Attributes:
        settle_timeout_s: longest wait for memory to come to rest at one plateau, seconds.
        request_batches: batches of requests in the sessions that are held after the last step, with a plateau after each.
        requests_per_batch: times that one of these sessions acts, in each batch.
        batch_timeout_s: after this nobody begins to act in a batch, which then has fewer requests, seconds.
        requests_per_level: times that one of the sessions that are held acts at each step, before its plateau.
        idle_s: how long the sessions that are held are left alone after the last batch, before one more plateau, seconds; 0 for none.
        rounds: times that `sessions_per_level` new sessions come and go when all others have closed, with a plateau after each.
    """

    levels: int
    sessions_per_level: int
    settle_timeout_s: float
    request_batches: int = 0
    requests_per_batch: int = 0
    batch_timeout_s: float = 2.0
    rounds: int = 0
    requests_per_level: int = 0
    idle_s: float = 0.0


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How much load, for how long.

    Attributes:
        users: active users during the timed phase, under the closed model.
        spawn_rate: users started per second.
        duration_s: length of the timed phase, ramp included, seconds.
        think_s: mean pause between two actions of a user, seconds (drawn from 0.5 to 1.5 times this).
        actions_per_session: mean number of actions before a user closes or reloads the page.
        reload_share: share of session ends that are a reload of the page by the same user, 0 to 1.
        warmup_s: length of the warm-up phase, seconds.
        operation_timeout_s: after this an operation counts as `info`, seconds.
        sample_interval_s: distance between two samples of the process trees, seconds.
        arrival_rate: arrivals per second in the timed phase, whatever the server does: the open model. None is the closed
            model: users who wait for the answer, think, and act again.
        arrivals: `poisson` (independent of each other, as strangers are) or `uniform` (equal distances).
        max_in_flight: most sessions that arrivals may have in use at once; an arrival beyond is dropped, and counted.
        warm_until_flat: whether the warm-up is repeated until memory has come to rest, some times at most.
        compress_ttl: whether Gradio is told to let go of the State of closed sessions within seconds, instead of its hour.
        control: whether a state-free app is measured as well, for the framework's own cost of a session.
    """

    name: str
    users: int
    spawn_rate: float
    duration_s: float
    think_s: float
    actions_per_session: float
    reload_share: float
    warmup_s: float
    operation_timeout_s: float
    sample_interval_s: float
    staircase: PlateauPlan
    arrival_rate: float | None = None
    arrivals: Literal["poisson", "uniform"] = "poisson"
    max_in_flight: int = 200
    warm_until_flat: bool = False
    compress_ttl: bool = False
    control: bool = False

    @property
    def model(self) -> Literal["open", "closed"]:
        """Which of the two models of load the timed phase follows."""
        return "closed" if self.arrival_rate is None else "open"


# What one state variable may do, and what must then be true of it: `harness.checkers`.
Model = Literal["counter", "list", "register", "record", "blob", "assigned", "answer", "chain", "custom"]
# Whose state it is: each page load's own, one person's over all page loads, or the whole app's.
Scope = Literal["session", "user", "everyone"]
# What becomes of updates of one owner that overlap in time.
ConcurrentUpdates = Literal["atomic", "last-wins"]


class StateVariable(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One piece of state that a workload writes and reads, and the model that it must follow.

    Attributes:
        model: `counter` (starts at `initial`, grows by its increments), `list` (append-only, unique elements),
            `register` (holds the last value written), `record` (a dict; each key is a register), `assigned` (a value that
            the app itself gives each owner: unique, and never changed), `answer` (no state: what an operation shows must
            be what that same operation asked), or `chain` (no state: every step of an operation must show what that same
            operation began with), or `custom` (the workload has a model of its own, which says what each effect does).
        initial: value that a new owner starts from.
        scope: who owns it. `session`: every page load has its own. `user`: one person's, over reloads and restarts of the
            app. `everyone`: shared by all, on purpose.
        concurrent_updates: what the app guarantees for updates of one owner that overlap in time: `atomic` (none is lost), or
            `last-wins` (each may overwrite those that it overlaps; updates one after another are never lost).
        within_s: a write must be visible to reads that begin so many seconds after its completion; 0 is at once.
        above: of a list: an element is only accepted if the number offered with it is greater; None accepts all.
    """

    model: Model
    initial: Any = None
    scope: Scope = "session"
    concurrent_updates: ConcurrentUpdates = "atomic"
    within_s: float = 0.0
    above: float | None = None


class ClockAnchor(msgspec.Struct, frozen=True, kw_only=True):
    """The two clocks, read together."""

    monotonic_ns: int
    wall_ns: int


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that ran target and load generator."""

    system: str
    release: str
    architecture: str
    cpu_count: int
    memory_bytes: int


class GradioLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the running app that decide how long state lives, and what a session costs; None where they could not be read.

    Attributes:
        components, functions: of its page: Gradio copies its account of them for each session.
        component_types: class of Gradio's own → how many components of it there are, for example `{"Textbox": 2}`.
    """

    state_session_capacity: int | None = None
    state_ttl_when_closed_s: float | None = None
    heartbeat_interval_s: float | None = None
    components: int | None = None
    functions: int | None = None
    component_types: dict[str, int] | None = None


class ExternalApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app that ran already, and that gradsoak did not start.

    Attributes:
        url: its root, without credentials and query.
        protocol: how it brings results to a page, for example `sse_v3`.
        pid: root of the process tree whose memory and CPU were sampled from outside, None if there is none.
        process: name of that process.
        not_sampled: why there is none, as the end of a sentence; empty if there is one.
    """

    url: str
    protocol: str
    pid: int | None
    process: str | None
    not_sampled: str


class RunManifest(msgspec.Struct, frozen=True, kw_only=True):
    """Written first, atomically.

    Attributes:
        run_tag: the part of every token that names this run.
        params: the app's adjustable values, passed as environment variables.
        driver: `page`, or `stock` for an unmodified gradio_client.
        expect: what the scenario declares, None or `{"verdict": …, "kind": …}`.
        guarantees: (`promises` in the file) guarantee → why it does not apply, as the scenario says.
        state: the variables that the workload reads and writes, with their models.
        packages: distribution → version, for the target's interpreter and for the harness.
        target_python, target_python_version: None for an app that gradsoak did not start.
        external: the app, if it ran already; None if gradsoak started it.
        environment: what the app's environment was given besides the parameters, for example `{"GRADIO_IS_E2E_TEST": "1"}`.
        purpose: `run`, or what it was made for beside another run: `control`, `attribution` (memray), `what-if`.
        what_if: the setting that was tried, for example `time_to_live=60`.
    """

    schema_version: int
    gradsoak_version: str
    run_id: str
    run_tag: str
    scenario: str
    scenario_path: str
    title: str
    argv: list[str]
    seed: int
    profile: Profile
    params: dict[str, str]
    driver: Driver = "page"
    expect: dict[str, str] | None
    guarantees: dict[str, str] = msgspec.field(name="promises", default_factory=dict)
    state: dict[str, StateVariable]
    checks: list[str]
    git_sha: str | None
    target_python: str | None
    target_python_version: str | None
    target_packages: dict[str, str]
    harness_packages: dict[str, str]
    gradio_version: str
    machine: Machine
    clock: ClockAnchor
    external: ExternalApp | None = None
    environment: dict[str, str] = {}
    purpose: Purpose = "run"
    what_if: str | None = None
