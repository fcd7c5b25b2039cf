"""Rules that judge memory: each decides on evidence made for it; on evidence that differs in one point, another rule decides."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import msgspec
import pytest

from harness.analysis.memory.breakdown import BreakdownEntry
from harness.analysis.memory.gradio_containers import SESSION_DATA
from harness.analysis.memory.growth_evidence import (
    GrowthEvidence,
    Holding,
    RequestGrowth,
    SessionGrowth,
    statement,
)
from harness.analysis.memory.growth_records import LIVE_HEAP, TYPE, Growth, GrowthBasis
from harness.analysis.memory.rules import GROWTH_RULES, VERDICT_RULES, judge_growth, judge_memory
from harness.analysis.memory.session_cost import MemoryFigures, PerSession
from harness.analysis.memory.verdict_evidence import VerdictEvidence
from harness.analysis.theil_sen import Slope
from harness.records import GradioLimits, Plateau, ProbeSample
from tests.unit.analysis.test_figures import plateau, process

# --- one thing that grew ---


def requests(rate: float | Fraction = 1, **more: object) -> RequestGrowth:
    """A leak with requests, unless something else is said."""
    fields: dict[str, object] = {
        "action": None,
        "exact": True,
        "steady": True,
        "kept": True,
        "gone_after_close": 0,
        "gone_later": 0,
        "occasional": False,
        "declared": None,
    }
    return RequestGrowth(rate=Fraction(rate), **{**fields, **more})  # type: ignore[arg-type]


def sessions(rate: float | Fraction = 1, **more: object) -> SessionGrowth:
    """A leak with sessions, unless something else is said."""
    fields: dict[str, object] = {"exact": True, "steady": True, "kept": True, "declared": None}
    return SessionGrowth(rate=Fraction(rate), **{**fields, **more})  # type: ignore[arg-type]


def evidence(path: str = "app.X", kind: str = "dict", **more: object) -> GrowthEvidence:
    """Something that never held more than 70 entries, and still holds 60 after all sessions have closed."""
    fields: dict[str, object] = {
        "owner": "gradio" if path.startswith("gradio.") else "app",
        "grows_with": None,
        "start": 3,
        "longest": 70,
        "after_close": 60,
    }
    return GrowthEvidence(path=path, kind=kind, **{**fields, **more})  # type: ignore[arg-type]


def by_request(path: str = "app.X", kind: str = "dict", **more: object) -> GrowthEvidence:
    fields: dict[str, object] = {"grows_with": "request", "statement": "It grew", "requests": requests()}
    return evidence(path, kind, **{**fields, **more})


def by_session(path: str = "app.X", kind: str = "dict", **more: object) -> GrowthEvidence:
    fields: dict[str, object] = {"grows_with": "session", "statement": "It grew", "sessions": sessions()}
    return evidence(path, kind, **{**fields, **more})


def container(path: str, verdict: str) -> Growth:
    return Growth(
        path=path,
        kind="dict",
        owner="app",
        verdict=verdict,  # type: ignore[arg-type]
        per_request=1.0,
        per_session=None,
        exact=True,
        length=100,
        cap=None,
        pinned_bytes=0,
        reason="",
    )


ASKED = Holding(recorded=True)
LEAK, BOUNDED = container("app.LOG", "leak-per-request"), container("app.RECENT", "bounded")


class GrowthCase(NamedTuple):
    """What a rule decides on, what it says, and evidence that differs in one point, on which another rule decides."""

    decides: GrowthEvidence
    verdict: str
    words: str
    other: GrowthEvidence
    then: str


GROWTH: dict[str, GrowthCase] = {
    "known_gradio_container": GrowthCase(
        by_session(f"{SESSION_DATA}[*].state_data[*]"),
        "retained-until-ttl",
        "Gradio keeps the State",
        by_session("gradio.StateHolders"),
        "framework_keeps",
    ),
    "known_capacity": GrowthCase(
        by_request(cap=5000),
        "bounded",
        "at most 5,000 entries",
        by_request(cap=None),
        "kept_for_each_request",
    ),
    "lost_from_sight": GrowthCase(
        by_request(lost_among=150_000),
        "inconclusive",
        "after 150,000 objects",
        by_request(lost_among=None),
        "kept_for_each_request",
    ),
    "framework_keeps": GrowthCase(
        by_session("gradio.Blocks.new"),
        "framework-floor",
        "Gradio's own",
        by_session("app.NEW"),
        "kept_for_each_session",
    ),
    "framework_may_keep": GrowthCase(
        by_session("lib.Task", TYPE, holding=Holding(recorded=True, temporary=True)),
        "framework-floor",
        "there was no baseline run",
        by_session("lib.Task", TYPE, holding=ASKED),
        "held_outside_containers",
    ),
    "declared_to_stay": GrowthCase(
        by_request(requests=requests(declared="guests")),
        "declared",
        "adds to guests",
        by_request(requests=requests(declared=None)),
        "kept_for_each_request",
    ),
    "not_counted_after_close": GrowthCase(
        by_request(requests=requests(kept=None)),
        "inconclusive",
        "not counted after all sessions had closed",
        by_request(requests=requests(kept=True)),
        "kept_for_each_request",
    ),
    "gone_after_close": GrowthCase(
        by_request(requests=requests(kept=False, gone_after_close=1200)),
        "transient",
        "1,200 were gone after all sessions had closed",
        by_request(requests=requests(kept=False, gone_after_close=0)),
        "stopped_under_load",
    ),
    "gone_later": GrowthCase(
        by_request(requests=requests(kept=False, gone_later=120)),
        "inconclusive",
        "120 were gone some time after",
        by_request(requests=requests(kept=True, gone_later=0)),
        "kept_for_each_request",
    ),
    "stopped_under_load": GrowthCase(
        by_request(requests=requests(kept=False)),
        "bounded",
        "never held more than 70",
        by_request(requests=requests(kept=True)),
        "kept_for_each_request",
    ),
    "repeated_keys": GrowthCase(
        by_session(sessions=sessions(Fraction(1, 3), exact=False)),
        "inconclusive",
        "a cache with repeating keys",
        by_session(kind="list", sessions=sessions(Fraction(1, 3), exact=False)),
        "kept_for_each_session",
    ),
    "entries_of_a_container": GrowthCase(
        by_request("app.Row", TYPE, holding=Holding(recorded=False, same_rate=BOUNDED)),
        "bounded",
        "app.RECENT gained as many entries",
        by_request("app.Row", TYPE, holding=Holding(recorded=False, same_rate=None)),
        "holder_not_recorded",
    ),
    "held_by_a_container": GrowthCase(
        by_request("app.Row", TYPE, holding=Holding(recorded=True, container=LEAK)),
        "leak-per-request",
        "These objects are inside app.LOG",
        by_request("app.Row", TYPE, holding=Holding(recorded=True, container=None)),
        "held_outside_containers",
    ),
    "holder_not_recorded": GrowthCase(
        by_request("app.Row", TYPE, holding=Holding(recorded=False)),
        "inconclusive",
        "What refers to them was not recorded",
        by_request("app.Row", TYPE, holding=ASKED),
        "held_outside_containers",
    ),
    "held_outside_containers": GrowthCase(
        by_session("lib.Entry", TYPE, holding=ASKED, baseline_rate=Fraction(0)),
        "leak-per-session",
        "holds them",
        by_session("lib.Entry", TYPE, holding=ASKED, baseline_rate=Fraction(1)),
        "framework_keeps",
    ),
    "opaque_objects": GrowthCase(
        by_request(LIVE_HEAP, "bytes", requests=None, opaque=True),
        "inconclusive",
        "Objects of extension modules",
        by_request(LIVE_HEAP, "bytes", requests=None, opaque=False),
        "held_outside_python",
    ),
    "held_outside_python": GrowthCase(
        by_request(LIVE_HEAP, "bytes", requests=None),
        "leak-per-request",
        "outside Python",
        by_request("app.BUFFER", "bytearray"),
        "kept_for_each_request",
    ),
    "kept_for_each_request": GrowthCase(
        by_request(requests=requests(Fraction(5, 2), exact=False)),
        "leak-per-request",
        "kept growing under load",
        by_request(requests=requests(Fraction(1, 2), exact=False)),
        "repeated_keys",
    ),
    "kept_for_each_session": GrowthCase(
        by_session(),
        "leak-per-session",
        "entries of earlier sessions were still there",
        by_session(sessions=sessions(declared="guests")),
        "declared_to_stay",
    ),
    "grew_occasionally": GrowthCase(
        evidence(kind="list", requests=requests(steady=False, occasional=True)),
        "inconclusive",
        "did not grow in every batch",
        evidence(kind="dict", requests=requests(steady=False, occasional=True)),
        "stopped_growing",
    ),
    "back_after_close": GrowthCase(
        evidence(after_close=3),
        "transient",
        "initial length",
        evidence(after_close=4),
        "stopped_growing",
    ),
    "stopped_growing": GrowthCase(
        evidence(after_close=None),
        "bounded",
        "never held more than 70",
        evidence(after_close=0),
        "back_after_close",
    ),
}


def deciding_growth_rule(of: GrowthEvidence) -> str:
    return next(rule.__name__ for rule in GROWTH_RULES if rule(of) is not None)


def test_every_growth_rule_has_a_case() -> None:
    assert list(GROWTH) == [rule.__name__ for rule in GROWTH_RULES]


@pytest.mark.parametrize("name", GROWTH)
def test_a_growth_rule_decides_on_its_evidence_and_another_rule_on_slightly_different_evidence(
    name: str,
) -> None:
    case = GROWTH[name]
    assert deciding_growth_rule(case.decides) == name
    judgement = judge_growth(case.decides)
    assert judgement.verdict == case.verdict
    assert case.words in judgement.reason
    assert judgement.reason.endswith(".")
    assert case.then != name
    assert deciding_growth_rule(case.other) == case.then


@pytest.mark.parametrize(
    "holding", [Holding(recorded=True, container=LEAK), Holding(recorded=False, leaking=LEAK)]
)
def test_objects_in_a_container_share_its_verdict_and_name_it(holding: Holding) -> None:
    assert judge_growth(by_request("app.Row", TYPE, holding=holding)).within == "app.LOG"


def test_a_statement_says_whether_the_number_is_exact_and_what_is_counted() -> None:
    assert (
        statement("list", Fraction(3), "`save`", exact=True) == "It grew by exactly 3.00 entries per `save`"
    )
    assert (
        statement("bytearray", Fraction(1, 2), "request", exact=False)
        == "It grew by about 0.50 bytes per request"
    )


# --- the memory of the run ---


def slope(estimate: float, spread: float = 1.0) -> Slope:
    return Slope(estimate=estimate, low=estimate - spread, high=estimate + spread, intercept=0.0, points=6)


def run(
    *grown: Growth,
    closed: float | None = 1000.0,
    floor: float | None = 1000.0,
    states: int = 0,
    ttl_s: float | None = None,
    capacity: int | None = None,
    **more: object,
) -> VerdictEvidence:
    """A run in which nothing of this is wrong: closed sessions leave 1,000 bytes, as those of the baseline app do."""
    figures: dict[str, object] = {
        "bytes_per_open_session": PerSession(live=None, uss=None),
        "bytes_per_closed_session": PerSession(live=slope(closed) if closed is not None else None, uss=None),
        "floor_per_closed_session": PerSession(live=slope(floor) if floor is not None else None, uss=None),
        "after_close_live_bytes": None,
        "after_close_uss_bytes": None,
    }
    known = {name: more.pop(name) for name in list(more) if name in MemoryFigures.__struct_fields__}
    last = msgspec.structs.replace(
        plateau(0, 0, label="second-round"), probe=ProbeSample(time_ns=0, wall_ns=0, states=states)
    )
    fields: dict[str, object] = {"basis": GrowthBasis(requests=100, sessions=32), "plateaus": [last], **more}
    return VerdictEvidence(
        memory=MemoryFigures(**{**figures, **known}),  # type: ignore[arg-type]
        growth=list(grown),
        limits=GradioLimits(state_ttl_when_closed_s=ttl_s, state_session_capacity=capacity),
        scenario="s",
        **fields,  # type: ignore[arg-type]
    )


def grown(path: str, verdict: str, **more: object) -> Growth:
    return msgspec.structs.replace(container(path, verdict), **more)


def account(bytes_each: float) -> Growth:
    return grown(SESSION_DATA, "framework-floor", owner="gradio", bytes_per_session=bytes_each)


def plateaus(uss_per_request: int) -> list[Plateau]:
    """A staircase step, five batches of 20 requests, and 600 requests later all sessions closed."""
    steps = [("staircase", 100), *(("requests", 100 + 20 * n) for n in range(1, 6)), ("after-close", 800)]
    return [
        msgspec.structs.replace(
            plateau(0, 10**8, label=label),
            requests=asked,
            process=process(number, rss=0, uss=2 * 10**8 + uss_per_request * min(asked, 10**6)),
        )
        for number, (label, asked) in enumerate(steps)
    ]


def entries(kept: int) -> list[BreakdownEntry]:
    return [
        BreakdownEntry(moment="held", item="state", bytes=30_000_000, basis=""),
        BreakdownEntry(moment="closed", item="fragmentation", bytes=kept, basis=""),
    ]


def per_request(uss: float) -> PerSession:
    return PerSession(live=slope(0.0), uss=slope(uss))


SESSION_MISSING = GrowthBasis(not_judged={"leak-per-session": "It takes 3 rounds."})
BOTH_MISSING = GrowthBasis(not_judged={"leak-per-request": "Too few.", "leak-per-session": "Too few."})
HOUR = {"states": 40, "ttl_s": 3600.0}


class VerdictCase(NamedTuple):
    """What a rule decides on, what it says, the next command, and evidence that differs, on which another rule decides."""

    decides: VerdictEvidence
    verdict: str
    words: str
    next_step: str | None
    other: VerdictEvidence
    then: str


VERDICTS: dict[str, VerdictCase] = {
    "proven_leak": VerdictCase(
        run(grown("app.SEEN", "leak-per-session"), grown("app.LOG", "leak-per-request")),
        "leak-per-request",
        "app.LOG grows by 1.00 entries per request",
        None,
        run(grown("app.LOG", "transient")),
        "nothing_grew",
    ),
    "nothing_judged": VerdictCase(
        run(basis=BOTH_MISSING),
        "inconclusive",
        "Too few.",
        "gradsoak run s --profile staircase",
        run(basis=SESSION_MISSING),
        "half_judged",
    ),
    "doubtful_growth": VerdictCase(
        run(grown("app.CACHE", "inconclusive", reason="It may be a cache.")),
        "inconclusive",
        "app.CACHE may be a leak. It may be a cache.",
        "gradsoak run s --profile soak",
        run(grown("app.CACHE", "bounded")),
        "app_stopped_growing",
    ),
    "state_until_ttl": VerdictCase(
        run(closed=101_000.0, **HOUR),  # type: ignore[arg-type]
        "retained-until-ttl",
        "3,600 s",
        None,
        run(closed=101_000.0, states=40, ttl_s=1.0),
        "unexplained_after_close",
    ),
    "in_gradio_accounts": VerdictCase(
        run(account(100_000.0), closed=101_000.0, capacity=10_000),
        "bounded",
        "at most 10,000 sessions",
        None,
        run(account(50_000.0), closed=101_000.0, capacity=10_000),
        "unexplained_after_close",
    ),
    "unexplained_after_close": VerdictCase(
        run(closed=101_000.0),
        "inconclusive",
        "100 KB beyond",
        "gradsoak run s --profile soak --memray",
        run(closed=5000.0),
        "nothing_grew",
    ),
    "counted_state_until_ttl": VerdictCase(
        run(floor=None, state_bytes_per_session=100_000.0, **HOUR),  # type: ignore[arg-type]
        "retained-until-ttl",
        "100 KB",
        None,
        run(floor=None, state_bytes_per_session=28.0, **HOUR),  # type: ignore[arg-type]
        "nothing_grew",
    ),
    "more_than_any_framework": VerdictCase(
        run(closed=2e6, floor=None),
        "inconclusive",
        "leaves 2.00 MB",
        "gradsoak run s --profile staircase",
        run(closed=9e5, floor=None),
        "nothing_grew",
    ),
    "growth_beyond_the_heap": VerdictCase(
        run(plateaus=plateaus(10**6), bytes_per_request=per_request(1e6)),
        "inconclusive",
        "grew by 1.00 MB per request",
        "gradsoak run s --profile soak",
        run(plateaus=plateaus(0), bytes_per_request=per_request(1e6)),
        "nothing_grew",
    ),
    "kept_by_allocators": VerdictCase(
        run(ledger=entries(20_000_000)),
        "allocator-retention",
        "20.0 MB of free memory stayed resident",
        None,
        run(ledger=entries(14_000_000)),
        "nothing_grew",
    ),
    "bounded_by_capacity": VerdictCase(
        run(grown("app.cached", "bounded", cap=128)),
        "bounded",
        "app.cached (at most 128)",
        None,
        run(grown("app.cached", "bounded", cap=None)),
        "app_stopped_growing",
    ),
    "half_judged": VerdictCase(
        run(basis=SESSION_MISSING),
        "inconclusive",
        "leak per session is unknown. It takes 3 rounds.",
        "gradsoak run s --profile staircase",
        run(),
        "nothing_grew",
    ),
    "app_stopped_growing": VerdictCase(
        run(grown("app.CACHE", "bounded")),
        "bounded",
        "app.CACHE",
        None,
        run(grown("gradio.Queue.x", "bounded", owner="gradio")),
        "nothing_grew",
    ),
    "nothing_grew": VerdictCase(
        run(),
        "flat",
        "100 requests and 32 sessions",
        None,
        run(grown("app.LOG", "leak-per-request")),
        "proven_leak",
    ),
}


def deciding_verdict_rule(of: VerdictEvidence) -> str:
    return next(rule.__name__ for rule in VERDICT_RULES if rule(of) is not None)


def test_every_verdict_rule_has_a_case() -> None:
    assert list(VERDICTS) == [rule.__name__ for rule in VERDICT_RULES]


@pytest.mark.parametrize("name", VERDICTS)
def test_a_verdict_rule_decides_on_its_evidence_and_another_rule_on_slightly_different_evidence(
    name: str,
) -> None:
    case = VERDICTS[name]
    assert deciding_verdict_rule(case.decides) == name
    judgement = judge_memory(case.decides)
    assert (judgement.verdict, judgement.next_step) == (case.verdict, case.next_step)
    assert case.words in judgement.reason
    assert case.then != name
    assert deciding_verdict_rule(case.other) == case.then


def test_an_app_that_cannot_be_judged_gets_no_next_step() -> None:
    basis = msgspec.structs.replace(BOTH_MISSING, not_applicable=["leak-per-request"])
    assert judge_memory(run(basis=basis)).next_step is None


@pytest.mark.parametrize("evidence_of", [lambda: run(closed=101_000.0, floor=None), lambda: run(closed=None)])
def test_without_a_baseline_run_or_rounds_little_is_not_called_unexplained(
    evidence_of: Callable[[], VerdictEvidence],
) -> None:
    assert judge_memory(evidence_of()).verdict == "flat"
