"""Synthetic runs of the memory experiment: the contents of an app at each plateau, as functions of the load so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from harness.history import InMemoryHistory
from harness.profiles import BASES
from harness.recorded_run import FollowUp, RecordedRun
from harness.records import (
    Census,
    Container,
    ExternalApp,
    PlateauPlan,
    ProbeSample,
    RunEvent,
    StateSizes,
    StateVariable,
)
from tests.builders import HistoryBuilder
from tests.unit.analysis.test_figures import SECOND, plateau, process, run_data

LIVE = 130_000_000


class Then(msgspec.Struct, frozen=True, kw_only=True):
    """The load up to a plateau.

    Attributes:
        requests, sessions: begun so far.
        open: open sessions.
        number: number of the plateau, from 0.
    """

    label: str
    requests: int
    sessions: int
    open: int
    number: int


def experiment(
    batches: int = 5, per_batch: int = 20, rounds: int = 3, load_requests: int = 600, load_sessions: int = 70
) -> list[Then]:
    """The plateaus of a quick run: warm-up, five steps of eight sessions, batches, load, all closed, a second round."""
    moments: list[Then] = []

    def add(label: str, requests: int, sessions: int, still_open: int) -> None:
        moments.append(
            Then(label=label, requests=requests, sessions=sessions, open=still_open, number=len(moments))
        )

    for step in range(6):
        add("staircase", 60 + 8 * step, 9 + 8 * step, 8 * step)
    for batch in range(1, batches + 1):
        add("requests", 100 + per_batch * batch, 49, 40)
    requests, sessions = 100 + per_batch * batches + load_requests, 49 + load_sessions
    add("after-close", requests, sessions, 0)
    for number in range(1, rounds + 1):
        add("second-round", requests + 16 * number, sessions + 8 * number, 0)
    return moments


Lengths = Mapping[str, Callable[[Then], int]]


def container(path: str, length: int, **more: object) -> Container:
    owner = "gradio" if path.startswith("gradio.") else "app"
    fields: dict[str, object] = {"kind": "dict", "pinned_bytes": 100 * length, "owner": owner, **more}
    return Container(path=path, length=length, **fields)  # type: ignore[arg-type]


def memory_run(
    lengths: Lengths,
    *,
    moments: Sequence[Then] | None = None,
    facts: Mapping[str, Mapping[str, object]] | None = None,
    live: Callable[[Then], int] = lambda _: LIVE,
    opaque: Callable[[Then], int] = lambda _: 0,
    history: HistoryBuilder | None = None,
    state: dict[str, StateVariable] | None = None,
    plan: PlateauPlan | None = None,
    external: ExternalApp | None = None,
    pid: Callable[[Then], int] = lambda _: 4711,
    rss: Callable[[Then], int] | None = None,
    returned: Callable[[Then], int | None] = lambda _: None,
    states: Callable[[Then], int] = lambda _: 0,
    types: Callable[[Then], dict[str, int]] = lambda _: {},
    state_sizes: Callable[[Then], StateSizes | None] = lambda _: None,
    events: Sequence[RunEvent] = (),
    baseline: RecordedRun | None = None,
) -> RecordedRun:
    """A run with these containers.

    Args:
        lengths: access path → entries at a plateau.
        moments: the plateaus; by default those of a quick run.
        facts: access path → other fields of the container, for example `kind` and `cap`.
        live: live bytes at a plateau.
        opaque: objects that the census could not open.
        history, state, plan, external: of the run; by default none, none, those of a quick run, none.
        pid: process of the app.
        rss: resident bytes at a plateau, by default 0; USS is the same.
        returned: free memory that the allocator had just returned.
        states: number of State values.
        types: type → objects, for types whose number differs from the first census.
        state_sizes: sizes of the State values.
        events: events of the run.
        baseline: the baseline run.
    """
    moments = experiment() if moments is None else moments
    known = facts or {}
    plateaus, censuses = [], []
    for then in moments:
        held = plateau(then.open, live(then), label=then.label)
        plateaus.append(
            msgspec.structs.replace(
                held,
                process=process(then.number, rss=rss(then) if rss else 0, uss=rss(then) if rss else 0),
                probe=ProbeSample(time_ns=0, wall_ns=0, live_bytes=live(then), states=states(then)),
                returned_bytes=returned(then),
                requests=then.requests,
                sessions=then.sessions,
                pid=pid(then),
            )
        )
        containers = [
            container(path, length(then), **known.get(path, {}))
            for path, length in lengths.items()
            if length(then) >= 0
        ]
        censuses.append(
            Census(
                plateau=then.number,
                time_ns=then.number * SECOND,
                containers=containers,
                visited=len(containers),
                known_bytes=sum(c.pinned_bytes for c in containers if "[" not in c.path),
                opaque=opaque(then),
                complete_depth=None,
                pause_ms=1.0,
                types=types(then),
                state=state_sizes(then),
            )
        )
    base = run_data()
    profile = msgspec.structs.replace(
        BASES["quick"], staircase=plan if plan is not None else BASES["quick"].staircase
    )
    manifest = msgspec.structs.replace(base.manifest, profile=profile, state=state or {}, external=external)
    return msgspec.structs.replace(
        base,
        manifest=manifest,
        plateaus=plateaus,
        census=censuses,
        recorded=InMemoryHistory((history or HistoryBuilder()).build()),
        events=list(events),
        baseline=None if baseline is None else follow_up(baseline),
    )


def follow_up(data: RecordedRun, folder: str = "control") -> FollowUp:
    """A synthetic run as a follow-up run of another one."""
    return FollowUp(
        folder=folder,
        manifest=data.manifest,
        seal=data.seal,
        events=data.events,
        plateaus=data.plateaus,
        census=data.census,
    )


def said(**limits: object) -> RunEvent:
    """The event with the app's limits for State."""
    return RunEvent(time_ns=0, wall_ns=0, kind="limits", detail=dict(limits))
