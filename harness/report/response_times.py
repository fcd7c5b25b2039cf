"""The order of actions in tables and plots, and the caution next to every response time. Pure."""

from __future__ import annotations

from harness.analysis import Analysis
from harness.analysis.latency.figures import Latency
from harness.records import TAB_ACTIONS


def ranked(latency_ms: dict[str, Latency]) -> list[tuple[str, Latency]]:
    """Actions of the workload first, then those of the tab; within each, the highest p95 first."""
    return sorted(latency_ms.items(), key=lambda item: (item[0] in TAB_ACTIONS, -item[1].slow, item[0]))


def doubt(analysis: Analysis) -> str:
    """The caution next to every time, if the load generator was or may have been the bottleneck; else empty."""
    if analysis.generator.bottleneck is False:
        return ""
    if analysis.generator.bottleneck is None:
        return " Caution: it is unknown whether the load generator kept up."
    return " Caution: the load generator was the bottleneck; these times are the generator's, not the app's."
