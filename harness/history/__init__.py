"""History: the operations of a run, from its shards. Pure."""

from __future__ import annotations

from harness.history.pairing import Completion, join, may_have_happened, outcome_of, pairs
from harness.history.phases import PhaseSpan, limits_of, phases, type_counts
from harness.history.recorded_history import History, InMemoryHistory, RecordedHistory, ShardHistory, pair
from harness.history.workers import WorkerFacts, Workers, aligned, workers_of

__all__ = [
    "Completion",
    "History",
    "InMemoryHistory",
    "PhaseSpan",
    "RecordedHistory",
    "ShardHistory",
    "WorkerFacts",
    "Workers",
    "aligned",
    "join",
    "limits_of",
    "may_have_happened",
    "outcome_of",
    "pair",
    "pairs",
    "phases",
    "type_counts",
    "workers_of",
]
