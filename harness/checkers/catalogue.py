"""Everything that is said about an anomaly, in one record: what it can happen to, how it is found, and how it is reported.

The checkers are registered here: `harness.checkers` runs those of this list, and the manifest, the report, the guarantees and
docs/methods/isolation.md read it. An anomaly with `detectors` gets its verdict from `harness.checkers.anomaly_check`. One with a
`judge` of its own finds anomalies of several kinds. One with neither is judged from figures, in `harness.analysis.memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from harness.checkers.anomalies import (
    CANARY,
    CLEARED_STATE_RETURNS,
    CROSS_SESSION_READ,
    DUPLICATE_EFFECT,
    GARBAGE_READ,
    LEAK_PER_REQUEST,
    LEAK_PER_SESSION,
    LOST_UPDATE,
    MISDELIVERED_RESPONSE,
    MONOTONIC_READS,
    MONOTONIC_WRITES,
    NON_ATOMIC_CHAIN,
    NON_LINEARIZABLE,
    READ_YOUR_WRITES,
    RESET,
    RESURRECTED_STATE,
    VISIBLE_STATE,
    WRITES_FOLLOW_READS,
)
from harness.checkers.counter_reads import examine_counts
from harness.checkers.evidence import (
    ANSWERS_SHOWN,
    OWN_VALUES_SHOWN,
    PAIRS_OF_READS,
    PAIRS_OF_WRITES_IN_ORDER,
    READ_AFTER_A_FOREIGN_WRITE,
    READS_AFTER_A_CLEAR,
    READS_AFTER_AN_EARLIER_SESSION,
    READS_LEFT_TO_BOUNDS,
    READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE,
    READS_PUT_IN_ORDER,
    RELOADED_SESSIONS,
    SHOWN_WHILE_OTHERS_HAD_ASKED,
    SHOWN_WHILE_OTHERS_HAD_BEGUN,
    STEPS_SHOWN,
    VALUES_READ,
    WRITE_READ_PAIRS,
    WRITES_SHOWN_THAT_FOLLOWED_A_READ,
)
from harness.checkers.findings import Found
from harness.checkers.index import Index
from harness.checkers.linearizability.check import examine_orders
from harness.checkers.own_writes_check import examine_own_writes
from harness.checkers.provenance import examine_values, exposure
from harness.checkers.response_leaks import judge_canaries, judge_visible_state
from harness.checkers.responses import examine_replies
from harness.records import Check, GuaranteeName, Model

Detector = Callable[[Index, Found], None]

# Models of variables that the workload writes and the app keeps; with those that the app assigns; with those whose effects only
# the workload's own model knows.
WRITTEN: tuple[Model, ...] = ("counter", "list", "register", "record", "blob")
HELD: tuple[Model, ...] = (*WRITTEN, "assigned")
OWNED: tuple[Model, ...] = (*HELD, "custom")


class Breaks(msgspec.Struct, frozen=True):
    """A guarantee that an anomaly breaks.

    Attributes:
        guarantee: its name.
        models: of the variables that the guarantee is about; empty for any.
        kind: only anomalies of this kind break it; empty for all. A check with anomalies of several kinds can only break a
            guarantee: that it found none does not say which of them could have been there.
        place: of its sentence among those of the guarantee; the order of the catalogue decides between equals.
    """

    guarantee: GuaranteeName
    models: tuple[Model, ...] = ()
    kind: str = ""
    place: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One check, and what is said about its anomaly.

    Attributes:
        name: its name in `checks.json`, and its heading in docs/methods/isolation.md or docs/methods/memory.md.
        headline: what the anomaly says about the app, as a sentence.
        severity: of several anomalies, the headline of the lowest number is shown.
        guarantees: what it breaks.
        loss: the proof is that a value is not where it had to be.
        crosses: something of one session was there for another, so that the report draws sessions against sessions.
        detectors: functions that look for it; each may find several kinds, and runs once.
        judge: examines a history and returns the check, in place of detectors and sentences.
        measure: counts evidence that only this check has.
        models: those to whose variables it can happen.
        shared: whether it can happen to what everyone shares.
        own: whether it can happen to what is a session's own.
        evidence: what must have been counted, or nothing could be seen: see `harness.checkers.evidence`.
        more: what else is counted for it.
        failed: what happened, after "In 3 of 20 sessions".
        passed: what did not, after "In none of 500".
        unseen: why nothing could be seen, as a sentence.
        must_be_seen: without evidence the verdict is unknown, and not that the check does not apply.
    """

    name: str
    headline: str
    severity: int
    guarantees: tuple[Breaks, ...]
    loss: bool = False
    crosses: bool = False
    detectors: tuple[Detector, ...] = ()
    judge: Callable[[Index], Check] | None = None
    measure: Callable[[Index], dict[str, int]] | None = None
    models: tuple[Model, ...] = ()
    shared: bool = True
    own: bool = True
    evidence: str = ""
    more: tuple[str, ...] = ()
    failed: str = ""
    passed: str = ""
    unseen: str = ""
    must_be_seen: bool = False


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        name=CROSS_SESSION_READ,
        models=(*WRITTEN, "custom", "assigned", "chain"),
        shared=False,
        evidence=READ_AFTER_A_FOREIGN_WRITE,
        failed="something was seen that other sessions wrote",
        passed="values read after a foreign write did one come from another session",
        unseen="Nobody read after another session had written: nothing could have crossed.",
        must_be_seen=True,
        detectors=(examine_values,),
        headline="The app does not keep its sessions apart.",
        severity=0,
        guarantees=(Breaks("session-specific", models=OWNED),),
        crosses=True,
        measure=exposure,
    ),
    Entry(
        name=GARBAGE_READ,
        models=(*WRITTEN, "answer", "chain"),
        evidence=VALUES_READ,
        failed="something was seen that nobody wrote",
        passed="values read was one that is neither a default nor written by a recorded operation",
        unseen="Nothing was read.",
        must_be_seen=True,
        detectors=(examine_values,),
        headline="The app shows values that nobody wrote.",
        severity=9,
        guarantees=(Breaks("session-specific", models=HELD),),
    ),
    Entry(
        name=LOST_UPDATE,
        models=WRITTEN,
        evidence=WRITE_READ_PAIRS,
        failed="an acknowledged write was lost",
        passed="pairs of a write and a later read was the write missing for good",
        unseen="Nobody read what they had written before.",
        must_be_seen=True,
        detectors=(
            examine_own_writes,
            examine_counts,
        ),
        headline="The app does not keep what its sessions write.",
        severity=2,
        guarantees=(Breaks("no-lost-update", models=WRITTEN),),
        loss=True,
    ),
    Entry(
        name=READ_YOUR_WRITES,
        models=WRITTEN,
        evidence=WRITE_READ_PAIRS,
        failed="a read missed a write that had been made before",
        passed="pairs of a write and a later read was the write missing for a while",
        unseen="Nobody read what they had written before.",
        must_be_seen=True,
        detectors=(
            examine_own_writes,
            examine_counts,
        ),
        headline="The app does not keep what its sessions write.",
        severity=2,
        guarantees=(Breaks("read-your-writes"),),
        loss=True,
    ),
    Entry(
        name=MONOTONIC_READS,
        models=(*WRITTEN, "assigned"),
        evidence=PAIRS_OF_READS,
        failed="a read went back behind an earlier one",
        passed="pairs of a read and a later one did the later go back",
        unseen="Nobody read anything twice.",
        detectors=(
            examine_own_writes,
            examine_counts,
            examine_values,
        ),
        headline="The app does not keep what its sessions write.",
        severity=2,
        guarantees=(Breaks("monotonic-reads"),),
        loss=True,
    ),
    Entry(
        name=MONOTONIC_WRITES,
        models=("list",),
        evidence=PAIRS_OF_WRITES_IN_ORDER,
        failed="writes took effect in another order than they were made",
        passed="pairs of writes that were seen together was the order another than that in which they were made",
        unseen="No read showed two writes of its owner.",
        detectors=(examine_own_writes,),
        headline="The app does not keep what its sessions write.",
        severity=2,
        guarantees=(Breaks("monotonic-writes"),),
        loss=True,
    ),
    Entry(
        name=WRITES_FOLLOW_READS,
        models=("list",),
        own=False,
        evidence=WRITES_SHOWN_THAT_FOLLOWED_A_READ,
        failed="a write was seen without what its session had read before it",
        passed="writes seen, of sessions that had read what others wrote, was one there without that, or before it",
        unseen="No read showed a write of a session that had read others' before.",
        detectors=(examine_own_writes,),
        headline="The app does not keep what its sessions write.",
        severity=2,
        guarantees=(Breaks("monotonic-writes"),),
        loss=True,
    ),
    Entry(
        name=DUPLICATE_EFFECT,
        models=("counter", "list"),
        evidence=OWN_VALUES_SHOWN,
        failed="a write took effect more than once",
        passed="own values shown was one there twice",
        unseen="No read showed a write of its owner.",
        detectors=(
            examine_own_writes,
            examine_counts,
        ),
        headline="The app does more than once what it was asked to do once.",
        severity=5,
        guarantees=(Breaks("no-lost-update", models=("counter", "list"), place=2),),
    ),
    Entry(
        name=RESET,
        models=(*WRITTEN, "assigned"),
        evidence=READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE,
        failed="the state went back to where it began",
        passed="reads of what had been seen before was it back at its beginning",
        unseen="Nothing was looked at again after it had been seen to persist.",
        detectors=(
            examine_own_writes,
            examine_counts,
            examine_values,
        ),
        headline="The app lets state fall back to where it began.",
        severity=4,
        guarantees=(Breaks("no-lost-update", models=WRITTEN, place=1),),
        loss=True,
    ),
    Entry(
        name=RESURRECTED_STATE,
        models=(*WRITTEN, "custom", "assigned"),
        shared=False,
        evidence=READS_AFTER_AN_EARLIER_SESSION,
        more=(RELOADED_SESSIONS,),
        failed="the state of an earlier session of the same person came back",
        passed="reads by people who had had a session before was anything of that session there",
        unseen="Nobody who came back in a new session read anything that belongs to a session.",
        detectors=(examine_values,),
        headline="The app brings back the state of an earlier page load.",
        severity=7,
        guarantees=(Breaks("reset-on-reload"),),
        crosses=True,
    ),
    Entry(
        name=MISDELIVERED_RESPONSE,
        models=("answer",),
        evidence=ANSWERS_SHOWN,
        more=(SHOWN_WHILE_OTHERS_HAD_ASKED,),
        failed="something was shown that belongs to another operation",
        passed="answers and parts of answers was one another operation's",
        unseen="No answer was shown.",
        must_be_seen=True,
        detectors=(examine_replies,),
        headline="The app does not keep its sessions apart.",
        severity=0,
        guarantees=(Breaks("session-specific", models=("answer",)),),
        crosses=True,
    ),
    Entry(
        name=NON_ATOMIC_CHAIN,
        models=("chain",),
        evidence=STEPS_SHOWN,
        more=(SHOWN_WHILE_OTHERS_HAD_BEGUN,),
        failed="a step of one chain worked on what another had begun with",
        passed="steps of chains did one work on what another chain had begun with",
        unseen="No step of a chain was shown.",
        must_be_seen=True,
        detectors=(examine_replies,),
        headline="The app mixes up the steps of events that run at the same time.",
        severity=8,
        guarantees=(Breaks("no-lost-update", models=("chain",), place=4),),
        crosses=True,
    ),
    Entry(
        name=CLEARED_STATE_RETURNS,
        models=WRITTEN,
        evidence=READS_AFTER_A_CLEAR,
        failed="what had been cleared came back",
        passed="reads after a clear was anything there that had been cleared",
        unseen="Nothing was read after it had been cleared.",
        detectors=(
            examine_own_writes,
            examine_counts,
        ),
        headline="The app brings back what had been cleared.",
        severity=6,
        guarantees=(Breaks("no-lost-update", models=WRITTEN, place=3),),
    ),
    Entry(
        name=NON_LINEARIZABLE,
        models=(*WRITTEN, "custom"),
        evidence=READS_PUT_IN_ORDER,
        more=(READS_LEFT_TO_BOUNDS,),
        failed="something was seen that no order of the operations explains",
        passed="reads that were put in order with what overlapped them was one that no order explains",
        unseen="Nothing was read that an order could explain.",
        detectors=(examine_orders,),
        headline="The app shows what no order of the operations explains.",
        severity=3,
        guarantees=(Breaks("no-lost-update", kind=NON_LINEARIZABLE, place=5),),
    ),
    Entry(
        name=CANARY,
        headline="The app does not keep its sessions apart.",
        severity=0,
        guarantees=(
            Breaks("session-specific", kind=CROSS_SESSION_READ),
            Breaks("reset-on-reload", kind=RESURRECTED_STATE),
        ),
        crosses=True,
        judge=judge_canaries,
    ),
    Entry(
        name=VISIBLE_STATE,
        headline="State left the server.",
        severity=1,
        guarantees=(Breaks("invisible"),),
        crosses=True,
        judge=judge_visible_state,
    ),
    Entry(
        name=LEAK_PER_REQUEST,
        headline="The app does not give back the memory that it takes.",
        severity=10,
        guarantees=(Breaks("memory-returns"),),
    ),
    Entry(
        name=LEAK_PER_SESSION,
        headline="The app does not give back the memory that it takes.",
        severity=10,
        guarantees=(Breaks("memory-returns"),),
    ),
)

_BY_NAME = {entry.name: entry for entry in CATALOGUE}


def entry_of(name: str) -> Entry | None:
    """The entry of a check or anomaly; None for a check that finds no anomaly, such as completeness."""
    return _BY_NAME.get(name)


def headline(kinds: Iterable[str]) -> str:
    """What anomalies of these kinds say about the app: the sentence of the most serious."""
    found = [entry for kind in kinds if (entry := entry_of(kind)) is not None]
    if not found:
        return "The app breaks a guarantee."
    return min(found, key=lambda entry: entry.severity).headline
