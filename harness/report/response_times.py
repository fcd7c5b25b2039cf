"""What the page and the plots both say of response times: the order of actions, and the caution beside every figure. Pure."""

from __future__ import annotations

from harness.analysis import Analysis
from harness.analysis.latency.figures import Latency
from harness.records import TAB_ACTIONS


def ranked(latency_ms: dict[str, Latency]) -> list[tuple[str, Latency]]:
    """Actions of the workload before those of the tab, and the slowest p95 first."""
    return sorted(latency_ms.items(), key=lambda item: (item[0] in TAB_ACTIONS, -item[1].slow, item[0]))


def doubt(analysis: Analysis) -> str:
    """What must stand beside every figure of time when the load generator was, or may have been, the bottleneck."""
    if analysis.generator.bottleneck is False:
        return ""
    if analysis.generator.bottleneck is None:
        return " Caution: nobody knows whether the load generator kept up."
    return " Caution: the load generator was the bottleneck; these times are its own rather than the app's."
