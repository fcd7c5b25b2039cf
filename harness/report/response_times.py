"""The order of actions in tables and plots, and the caution next to every response time. Pure."""

from __future__ import annotations

from harness.analysis import Analysis
from harness.analysis.latency.figures import Latency
from harness.records import PAGE_ACTIONS


def ranked(latency_ms: dict[str, Latency]) -> list[tuple[str, Latency]]:
    """Actions of the workload first, then operations on the page, such as `open`. The highest p95 comes first in each group."""
    return sorted(latency_ms.items(), key=lambda item: (item[0] in PAGE_ACTIONS, -item[1].slow, item[0]))


def doubt(analysis: Analysis) -> str:
    """The caution next to every time, if the load generator was or may have been the bottleneck; else empty."""
    if analysis.generator.bottleneck is False:
        return ""
    if analysis.generator.bottleneck is None:
        return " Caution: it is unknown whether the load generator kept up."
    return " Caution: the load generator was the bottleneck, so these times may be its own and not those of the app."
