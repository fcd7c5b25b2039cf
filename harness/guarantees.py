"""Judge each guarantee from the checks of a run: kept, broken, unknown, or does not apply. Pure.

Without evidence, a guarantee is unknown and not kept. A scenario may declare that a guarantee does not apply. If a check shows that the
guarantee is broken, it is reported as broken all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from harness.checkers.anomaly_catalogue import CATALOGUE, HELD, OWNED, WRITTEN, Breaks
from harness.checkers.anomaly_names import CANARY, CROSS_SESSION_READ, GARBAGE_READ, LOST_UPDATE, RESET
from harness.records import (
    GUARANTEES,
    Check,
    Guarantee,
    GuaranteeName,
    Plateau,
    RunEvent,
    RunManifest,
    StateVariable,
)

# Models of variables that show the order in which writes took effect.
_ORDERED = ("list",)
# Prefix of the reason of a check without evidence; for a guarantee that means unknown.
_NOT_APPLYING = "Does not apply: "
# Python types that JSON has as well; a State that holds nothing else says nothing about any other object.
_JSON_TYPES = ("int", "float", "str", "bool", "NoneType", "list", "dict")
# Anomalies that would show if the guarantee about any Python object did not hold.
_CONTRADICTIONS = (CROSS_SESSION_READ, GARBAGE_READ, LOST_UPDATE, RESET)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The facts from which guarantees are judged.

    Attributes:
        state: the workload's variables, with their models.
        declared: guarantee → why it does not apply, as the scenario says.
        checks: by name.
        states: how many gr.State the app's page has, None if it is unknown.
        state_types: type of the values that State held → the most of them seen at one plateau; None without a probe.
        reloaded: sessions that began with a reload of the page and then read state that is a session's own.
    """

    state: dict[str, StateVariable]
    declared: dict[str, str]
    checks: dict[str, Check]
    states: int | None
    state_types: dict[str, int] | None
    reloaded: int


def facts(
    manifest: RunManifest,
    checks: Sequence[Check],
    events: Sequence[RunEvent],
    plateaus: Sequence[Plateau],
) -> Facts:
    """Collect what the guarantees of a run are judged by."""
    ready: dict[str, Any] = next((event.detail for event in events if event.kind == "target_ready"), {})
    return Facts(
        state=manifest.state,
        declared=manifest.guarantees,
        checks={check.name: check for check in checks},
        states=ready.get("states"),
        state_types=_most(plateaus),
        reloaded=sum(check.evidence.get("reloaded_sessions", 0) for check in checks),
    )


def _most(plateaus: Sequence[Plateau]) -> dict[str, int] | None:
    seen = [p.probe.state_types for p in plateaus if p.probe.state_types is not None]
    most: dict[str, int] = {}
    for types in seen:
        for name, count in types.items():
            most[name] = max(count, most.get(name, 0))
    return most if seen else None


def judge(found: Facts) -> list[Guarantee]:
    """Return the status of each guarantee, in the order of `harness.records.GUARANTEES`."""
    return [_judge(name, found) for name in GUARANTEES]


def _judge(name: GuaranteeName, found: Facts) -> Guarantee:
    judged = _JUDGES[name](found)
    declared = found.declared.get(name)
    if declared is None:
        return judged
    if judged.status == "broken":
        reason = f"{judged.reason} The scenario says that this does not apply: {_sentence(declared)}"
        return msgspec.structs.replace(judged, reason=reason)
    return Guarantee(name=name, status="does-not-apply", reason=_sentence(declared))


# --- what the checks say ---


class _Decider(msgspec.Struct, frozen=True, kw_only=True):
    """A check that decides a guarantee.

    Attributes:
        check: its name.
        breaks: what its catalogue entry says about the guarantee.
    """

    check: str
    breaks: Breaks

    def broken_by(self, check: Check) -> bool:
        """Whether the check found what breaks the guarantee."""
        if not self.breaks.kind:
            return check.anomalies_total > 0
        return any(anomaly.kind == self.breaks.kind for anomaly in check.anomalies)


def _deciders(name: GuaranteeName) -> list[_Decider]:
    """The checks that the catalogue names for a guarantee, in the order of their sentences."""
    found = [
        _Decider(check=entry.name, breaks=breaks)
        for entry in CATALOGUE
        for breaks in entry.guarantees
        if breaks.guarantee == name
    ]
    return sorted(found, key=lambda decider: decider.breaks.place)


def _decide(name: GuaranteeName, found: Facts, *, all_needed: bool = False) -> Guarantee:
    """Return the status that the checks give a guarantee: broken if one found an anomaly, unknown if one is unknown, else kept.

    Args:
        name: the guarantee.
        found: the facts of the run.
        all_needed: if true, all checks must have evidence before the guarantee is kept. Otherwise one is enough.
    """
    deciders = _deciders(name)
    broken = [c for d in deciders if (c := found.checks.get(d.check)) is not None and d.broken_by(c)]
    if broken:
        return Guarantee(
            name=name,
            status="broken",
            reason=" ".join(_first(check.reason) for check in broken),
            broken_by=[check.name for check in broken],
            evidence=_evidence(broken),
        )
    models = {variable.model for variable in found.state.values()}
    doubts = []
    passed: list[Check] = []
    idle: list[Check] = []
    for decider in deciders:
        if decider.breaks.models and not models & set(decider.breaks.models):
            continue  # no variable that it could be about
        check = found.checks.get(decider.check)
        if decider.breaks.kind:
            continue
        if check is None:
            doubts.append(f"The check {decider.check} was not made.")
        elif check.verdict != "pass":
            doubts.append(_first(check.reason))
        elif check.applies and (not check.evidence or any(check.evidence.values())):
            passed.append(check)
        else:
            idle.append(check)
    if all_needed or not passed:
        doubts += [_capital(_first(check.reason).removeprefix(_NOT_APPLYING)) for check in idle]
    if doubts:
        return Guarantee(name=name, status="unknown", reason=" ".join(dict.fromkeys(doubts)))
    if not passed:
        return Guarantee(name=name, status="unknown", reason="There was no evidence.")
    return Guarantee(
        name=name,
        status="kept",
        reason=" ".join(_first(check.reason) for check in passed),
        evidence=_evidence(passed),
    )


def _evidence(checks: Sequence[Check]) -> dict[str, int]:
    """Counts by name; where several checks count the same thing, what the one that saw most of it says."""
    counts: dict[str, int] = {}
    for check in checks:
        for name, count in check.evidence.items():
            counts[name] = max(count, counts.get(name, 0))
    return counts


def _first(reason: str) -> str:
    """Without the traceback of a checker that failed."""
    return reason.partition("\n")[0]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    stripped = text.strip()
    return stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."


def _not_applicable(name: GuaranteeName, reason: str) -> Guarantee:
    return Guarantee(name=name, status="does-not-apply", reason=reason)


def _of_a_session(found: Facts, models: Sequence[str]) -> list[str]:
    return [n for n, v in found.state.items() if v.scope == "session" and v.model in models]


# --- the guarantees ---


def _session_specific(found: Facts) -> Guarantee:
    name: GuaranteeName = "session-specific"
    decided = _decide(name, found)
    canary = found.checks.get(CANARY)
    if not found.state and decided.status == "unknown" and canary is not None:
        # Without a model, tokens sent by the pages are the only evidence.
        if canary.verdict == "pass" and canary.applies:
            return Guarantee(
                name=name, status="kept", reason=_first(canary.reason), evidence=_evidence([canary])
            )
        return msgspec.structs.replace(
            decided, reason=_capital(_first(canary.reason).removeprefix(_NOT_APPLYING))
        )
    if found.state and all(v.scope == "everyone" for v in found.state.values()):
        return _unless_broken(
            decided, "The workload reads only variables of scope `everyone`, which all sessions share."
        )
    return decided


def _reset_on_reload(found: Facts) -> Guarantee:
    name: GuaranteeName = "reset-on-reload"
    decided = _decide(name, found)
    if not _of_a_session(found, OWNED):
        return _unless_broken(decided, "The workload reads no variable of scope `session`.")
    if decided.status == "kept" and not found.reloaded:
        return Guarantee(
            name=name,
            status="unknown",
            reason="No session that began with a reload of the page read any state.",
        )
    if decided.status == "kept":
        reason = f"{decided.reason} Sessions that began with a reload of the page and read state: {found.reloaded:,}."
        return msgspec.structs.replace(decided, reason=reason)
    return decided


def _invisible(found: Facts) -> Guarantee:
    name: GuaranteeName = "invisible"
    decided = _decide(name, found)
    if found.states == 0 and not found.state_types:
        return _unless_broken(decided, "The app has no gr.State.")
    return decided


def _any_python_object(found: Facts) -> Guarantee:
    name: GuaranteeName = "any-python-object"
    if found.states == 0 and not found.state_types:
        return _not_applicable(name, "The app has no gr.State.")
    if found.state_types is None:
        return Guarantee(
            name=name,
            status="unknown",
            reason="The values of gr.State were not examined, because the app has no probe.",
        )
    if not found.state_types:
        return Guarantee(name=name, status="unknown", reason="gr.State held no value at any plateau.")
    others = [kind for kind in found.state_types if kind not in _JSON_TYPES]
    if not others:
        return _not_applicable(
            name,
            f"gr.State held only values of the types {_and(sorted(found.state_types))}, which JSON also has.",
        )
    held = f"gr.State held values of the types {_and(sorted(others))}"
    against = [n for n in _CONTRADICTIONS if n in found.checks and found.checks[n].anomalies_total]
    if against:
        return Guarantee(
            name=name,
            status="unknown",
            reason=f"{held}, but there were anomalies with an unknown cause: {', '.join(against)}.",
        )
    return Guarantee(
        name=name,
        status="kept",
        reason=f"{held}. None was lost, and none crossed between sessions.",
        evidence={kind: found.state_types[kind] for kind in others},
    )


def _guarantee(name: GuaranteeName, models: Sequence[str]) -> Callable[[Facts], Guarantee]:
    """A session guarantee for variables of these models."""

    def judged(found: Facts) -> Guarantee:
        decided = _decide(name, found)
        if found.state and not any(v.model in models for v in found.state.values()):
            return _unless_broken(decided, "The workload reads no variable that this guarantee concerns.")
        return decided

    return judged


def _no_lost_update(found: Facts) -> Guarantee:
    name: GuaranteeName = "no-lost-update"
    decided = _decide(name, found)
    models = {variable.model for variable in found.state.values()}
    if "custom" in models and not models & {*WRITTEN, "chain"}:
        return _unless_broken(decided, "The workload's own model decides what becomes of each write.")
    if found.state and not models & {*WRITTEN, "chain"}:
        return _unless_broken(decided, "The workload writes no variable that the app keeps.")
    return decided


def _memory_returns(found: Facts) -> Guarantee:
    return _decide("memory-returns", found, all_needed=True)


def _unless_broken(decided: Guarantee, reason: str) -> Guarantee:
    return decided if decided.status == "broken" else _not_applicable(decided.name, reason)


def _and(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


_JUDGES: dict[GuaranteeName, Callable[[Facts], Guarantee]] = {
    "session-specific": _session_specific,
    "reset-on-reload": _reset_on_reload,
    "invisible": _invisible,
    "any-python-object": _any_python_object,
    "read-your-writes": _guarantee("read-your-writes", WRITTEN),
    "monotonic-reads": _guarantee("monotonic-reads", HELD),
    "monotonic-writes": _guarantee("monotonic-writes", _ORDERED),
    "no-lost-update": _no_lost_update,
    "memory-returns": _memory_returns,
}
