"""The verdict on one anomaly: from what all detectors found and counted, and the catalogue's sentences."""

from __future__ import annotations

from harness.checkers.anomaly_catalogue import CATALOGUE, CatalogueEntry
from harness.checkers.completeness import watched
from harness.checkers.findings import Found
from harness.checkers.history_index import Index
from harness.records import Check, Verdict


class Checker:
    """Examines a history for one anomaly.

    Args:
        entry: of the catalogue, with detectors or a judge of its own.
    """

    def __init__(self, entry: CatalogueEntry) -> None:
        self._entry = entry

    @property
    def name(self) -> str:
        """Name of the check."""
        return self._entry.name

    def check(self, index: Index) -> Check:
        """Examine a history."""
        if self._entry.judge is not None:
            return self._entry.judge(index)
        return _judge(self._entry, index)


def examine(index: Index) -> Found:
    """Run every detector once, for all checkers together."""

    def look() -> Found:
        found = Found(index.history)
        index.scan.count(found)
        index.count(found)
        for detector in dict.fromkeys(d for entry in CATALOGUE for d in entry.detectors):
            detector(index, found)
        return found

    return index.once("found", look)


def _judge(entry: CatalogueEntry, index: Index) -> Check:
    concerned = [
        variable
        for variable, model in index.state.items()
        if model.model in entry.models
        and (entry.shared or model.scope != "everyone")
        and (entry.own or model.scope != "session")
    ]
    found = examine(index)
    findings = found.of(entry.name)
    counted = {name: found.evidence[name] for name in (entry.evidence, *entry.more) if name in found.evidence}
    evidence = {entry.evidence: 0, **counted, **(entry.measure(index) if entry.measure is not None else {})}
    number = evidence[entry.evidence]
    verdict: Verdict = "pass"
    applies = True
    if findings.total:
        verdict = "fail"
        reason = f"{findings.sufferers} of {len(index.scan.sessions)} sessions: {entry.failed}."
    elif unexplained := found.unexplained.get(entry.name, 0):
        verdict = "unknown"
        reason = f"{unexplained} suspected cases may be explained by unrecorded operations ({entry.failed})."
    elif doubts := found.undecided.get(entry.name):
        verdict = "unknown"
        reason = " ".join(doubts)
    elif not concerned and (index.state or watched(index.scan)):
        applies = False
        reason = "Does not apply: no declared variable can show this anomaly."
    elif not number:
        applies = entry.must_be_seen or not index.state
        verdict = "pass" if not applies else "unknown"
        reason = entry.unseen if applies else f"Does not apply: {entry.unseen[0].lower()}{entry.unseen[1:]}"
    else:
        reason = f"Checked {number:,} {entry.checked}; {entry.clean}."
    return Check(
        name=entry.name,
        verdict=verdict,
        reason=reason,
        evidence=evidence,
        anomalies=findings.anomalies(),
        anomalies_total=findings.total,
        suffered=findings.suffered(),
        applies=applies,
        crossings=findings.crossings(),
    )
