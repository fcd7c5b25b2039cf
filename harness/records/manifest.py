"""The manifest: all settings and facts that are fixed before a run begins."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

SCHEMA_VERSION = 1

# What a run is for: `run` stands for itself; the others are follow-up runs, stored inside the folder of the run they explain.
Purpose = Literal["run", "control", "attribution", "what-if"]
# What a session is driven by: `page` is GradioPage; `stock` is an unmodified gradio_client, for comparison.
Driver = Literal["page", "stock"]


# What a setting is about, besides the load; it decides the panel of `--help` in which its option stands.
_MEMORY = {"about": "memory"}
_DAY_S = 24 * 3600.0


class PlateauPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The memory experiment: steps of new sessions, batches of requests in the held sessions, rounds of sessions that come and go.

    The limits hold for every run. `asked` has those of a run that a user asks for: a follow-up run may be smaller, since its
    figures are read together with those of the run it explains.
    """

    levels: Annotated[
        int, Meta(ge=1, description="Steps of the memory staircase.", extra={"asked": Meta(ge=4)})
    ]
    sessions_per_level: Annotated[
        int,
        Meta(ge=1, description="Sessions opened at each step of the memory staircase, and in each round."),
    ]
    settle_timeout_s: Annotated[
        float, Meta(gt=0, description="Longest wait for memory to settle at one plateau, seconds.")
    ]
    request_batches: Annotated[
        int,
        Meta(
            ge=0,
            description="Batches of requests in the held sessions after the last step, each followed by a plateau; 0 for none.",
            extra={"asked": Meta(ge=5), "or": 0},
        ),
    ] = 0
    requests_per_batch: Annotated[
        int, Meta(ge=0, description="Actions of the held sessions in each batch.")
    ] = 0
    batch_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            description="Time for starting the actions of a batch, seconds; actions left over are not made.",
        ),
    ] = 2.0
    rounds: Annotated[
        int,
        Meta(
            ge=0,
            description="Rounds in which new sessions open and close after all others, each followed by a plateau; 0 for none.",
            extra={"asked": Meta(ge=3), "or": 0},
        ),
    ] = 0
    requests_per_level: Annotated[
        int, Meta(ge=0, description="Actions of the held sessions at each step, before its plateau.")
    ] = 0
    idle_s: Annotated[
        float,
        Meta(
            ge=0,
            le=_DAY_S,
            description="Time without actions in the held sessions after the last batch, before one more plateau, seconds; 0 for none.",
        ),
    ] = 0.0


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How much load, for how long. Each field is an option of `gradsoak run` and `bench`, but for its name and its unit.

    `asked` has limits of a run that a user asks for; see `PlateauPlan`.
    """

    name: Annotated[str, Meta(description="Name of the profile.")]
    users: Annotated[int, Meta(ge=1, le=5000, description="Active users in the timed phase (closed model).")]
    spawn_rate: Annotated[float, Meta(gt=0, description="Users started per second (closed model).")]
    duration_s: Annotated[
        float,
        Meta(
            ge=0,
            le=_DAY_S,
            description="Length of the timed phase, ramp included, seconds.",
            extra={"asked": Meta(gt=0)},
        ),
    ]
    think_s: Annotated[
        float,
        Meta(
            ge=0,
            le=_DAY_S,
            description="Mean pause between two actions of a user, seconds (closed model); each is 0.5 to 1.5 times as long.",
        ),
    ]
    actions_per_session: Annotated[
        float, Meta(ge=1, description="Mean number of actions before a user closes or reloads the page.")
    ]
    reload_share: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of session ends at which the same user reloads the page."),
    ]
    warmup_s: Annotated[float, Meta(ge=0, le=_DAY_S, description="Length of the warm-up phase, seconds.")]
    operation_timeout_s: Annotated[
        float, Meta(gt=0, description="Time after which the outcome of an operation is unknown, seconds.")
    ]
    sample_interval_s: Annotated[
        float, Meta(ge=0.05, description="Time between two samples of the process trees, seconds.")
    ]
    staircase: Annotated[PlateauPlan, Meta(description="The memory experiment.", extra=_MEMORY)]
    arrival_rate: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=10_000,
                description="Arrivals per second, however fast the app answers (open model); without it, users wait and think.",
            ),
        ]
        | None
    ) = None
    arrivals: Annotated[
        Literal["poisson", "uniform"],
        Meta(
            description="Distances between arrivals (open model): poisson (random, as strangers arrive) or uniform (equal)."
        ),
    ] = "poisson"
    max_in_flight: Annotated[
        int,
        Meta(
            ge=1,
            le=5000,
            description="Most sessions in use at once (open model); an arrival beyond is dropped, and counted.",
        ),
    ] = 200
    warm_until_flat: Annotated[
        bool,
        Meta(description="Repeat the warm-up, a few times at most, until memory has settled.", extra=_MEMORY),
    ] = False
    compress_ttl: Annotated[
        bool,
        Meta(
            description="Let Gradio free the State of closed sessions within seconds, instead of its hour.",
            extra=_MEMORY,
        ),
    ] = False
    control: Annotated[
        bool,
        Meta(
            description="Measure a stateless app in a baseline run, for what Gradio itself costs.",
            extra=_MEMORY,
        ),
    ] = False

    @property
    def model(self) -> Literal["open", "closed"]:
        """The model of load in the timed phase: `open` if arrivals have a rate, else `closed`."""
        return "closed" if self.arrival_rate is None else "open"


# Models of state variables; `harness.checkers` holds what must be true of each.
Model = Literal["counter", "list", "register", "record", "blob", "assigned", "answer", "chain", "custom"]
# Who owns a state variable: each page load, one person over all page loads, or the whole app.
Scope = Literal["session", "user", "everyone"]
# What the app guarantees for updates of one owner that overlap in time.
ConcurrentUpdates = Literal["atomic", "last-wins"]


class StateVariable(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One piece of state that a workload writes and reads, and the model that it must follow.

    Attributes:
        model: `counter` (starts at `initial`, grows by its increments), `list` (append-only, unique elements), `register` (holds
            the last value written), `record` (a dict; each key is a register), `blob` (the last content stored, compared by its
            digest), `assigned` (a unique value that the app gives each owner and never changes), `answer` (no state: an operation
            must show what it asked), `chain` (no state: every step of an operation must show what the operation began with), or
            `custom` (the workload's own model says what each effect does).
        initial: value that a new owner starts from.
        scope: who owns it: `session` (each page load), `user` (one person, over reloads and restarts of the app), or `everyone`
            (shared on purpose).
        concurrent_updates: guarantee for updates of one owner that overlap in time: `atomic` (none is lost), or `last-wins` (each
            may overwrite the updates that it overlaps; updates one after another are never lost).
        within_s: a write must be visible to reads that begin this many seconds after its completion; 0 means at once.
        above: for a list: an element is accepted only if the number offered with it is greater; null accepts all.
    """

    model: Model
    initial: Any = None
    scope: Scope = "session"
    concurrent_updates: ConcurrentUpdates = "atomic"
    within_s: float = 0.0
    above: float | None = None


class ClockAnchor(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's two clocks, read together.

    Attributes:
        monotonic_ns: monotonic clock, nanoseconds.
        wall_ns: time of day, nanoseconds since 1970.
    """

    monotonic_ns: int
    wall_ns: int


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that ran the app and the load generator.

    Attributes:
        system: operating system, for example `Linux`.
        release: release of the operating system.
        architecture: processor architecture, for example `x86_64`.
        cpu_count: number of CPU cores.
        memory_bytes: physical memory, bytes.
    """

    system: str
    release: str
    architecture: str
    cpu_count: int
    memory_bytes: int


class GradioLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the running app that decide how long state lives and what a session costs; null where they could not be read.

    Attributes:
        state_session_capacity: number of sessions whose State Gradio keeps at most.
        state_ttl_when_closed_s: time for which Gradio keeps the State of a closed session, seconds.
        heartbeat_interval_s: time between two heartbeats of a page, seconds.
        components: number of components of the app's page; Gradio copies its records of them for each session.
        functions: number of event functions of the app's page; Gradio copies its records of them for each session.
        component_types: class of Gradio's own components → number of components of it, for example `{"Textbox": 2}`.
    """

    state_session_capacity: int | None = None
    state_ttl_when_closed_s: float | None = None
    heartbeat_interval_s: float | None = None
    components: int | None = None
    functions: int | None = None
    component_types: dict[str, int] | None = None


class ExternalApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app that was already running and that gradsoak did not start.

    Attributes:
        url: its root URL, without credentials and query.
        protocol: how it sends results to a page, for example `sse_v3`.
        pid: process id of the root of the process tree that was sampled from outside; null if none was.
        process: name of that process; null if none was sampled.
        not_sampled: why no process was sampled, as the end of a sentence; empty if one was.
    """

    url: str
    protocol: str
    pid: int | None
    process: str | None
    not_sampled: str


class RunManifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`, written first.

    Attributes:
        schema_version: version of this format; a reader refuses other versions.
        gradsoak_version: version of gradsoak that made the run.
        run_id: name of the run; it sorts by time.
        run_tag: the part of every token that names this run.
        scenario: name of the scenario.
        scenario_path: absolute path of the scenario folder.
        title: title of the scenario.
        argv: the command line; passwords, and what a URL carries besides its path, are replaced by `***`.
        seed: seed of everything random in the load.
        profile: how much load, for how long.
        params: the scenario's parameters, as the app gets them in its environment.
        driver: what drives the sessions: `page`, or `stock` for an unmodified gradio_client.
        expect: outcome that the scenario declares: `verdict`, and `kind` of anomaly if it names one; null if it declares none.
        guarantees: (`promises` in the file) guarantee → why it does not apply to this app, as the scenario declares.
        state: state variables that the workload reads and writes, with their models.
        checks: names of the checks.
        git_sha: commit of the scenario's checkout, with `+` if it had changes; null outside a checkout.
        target_python: path of the Python that ran the app; null for an app that gradsoak did not start.
        target_python_version: its version; null for an app that gradsoak did not start.
        target_packages: package → version in the app's environment; empty for an app that gradsoak did not start.
        harness_packages: package → version in gradsoak's environment.
        gradio_version: version of Gradio in the app.
        machine: the machine that ran the app and the load generator.
        clock: the machine's two clocks at the start of the run.
        external: facts about an app that was already running; null if gradsoak started the app.
        environment: variables set in the app's environment besides `params`, for example `{"GRADIO_IS_E2E_TEST": "1"}`.
        purpose: `run`; or the kind of follow-up run: `control` (baseline app), `attribution` (memray), or `what-if`.
        what_if: the setting that a what-if changed, for example `time_to_live=60`; null otherwise.
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
