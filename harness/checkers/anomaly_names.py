"""The names of the anomalies, as the literature has them: Terry et al. 1994 (session guarantees), Adya 1999, Elle 2020.

Everything else that is said about an anomaly stands in `harness.checkers.anomaly_catalogue`.
"""

from __future__ import annotations

CROSS_SESSION_READ = "cross-session-read"
GARBAGE_READ = "garbage-read"
LOST_UPDATE = "lost-update"
READ_YOUR_WRITES = "read-your-writes"
MONOTONIC_READS = "monotonic-reads"
MONOTONIC_WRITES = "monotonic-writes"
WRITES_FOLLOW_READS = "writes-follow-reads"
DUPLICATE_EFFECT = "duplicate-effect"
RESET = "reset"
RESURRECTED_STATE = "resurrected-state"
MISDELIVERED_RESPONSE = "misdelivered-response"
NON_ATOMIC_CHAIN = "non-atomic-chain"
CLEARED_STATE_RETURNS = "cleared-state-returns"
NON_LINEARIZABLE = "non-linearizable"

# Found in responses as a whole, whether or not the workload read them.
CANARY = "canary"
VISIBLE_STATE = "visible-state"
# Of memory; judged from the figures of a run, in `harness.analysis.memory`.
LEAK_PER_REQUEST = "leak-per-request"
LEAK_PER_SESSION = "leak-per-session"
