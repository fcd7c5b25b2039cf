"""Everything that is said about an anomaly, in one record: what it can happen to, how it is found, and how it is reported.

The checkers are registered here: `harness.checkers` runs those of this list, and the manifest, the report, the guarantees and
docs/methods/anomalies.md read it. An anomaly with `detectors` gets its verdict from `harness.checkers.anomaly_check`. One with a
`judge` of its own finds anomalies of several kinds. One with neither is judged from figures, in `harness.analysis.memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from harness.checkers.anomaly_names import (
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
from harness.checkers.history_index import Index
from harness.checkers.linearizability.check import examine_orders
from harness.checkers.own_writes_check import examine_own_writes
from harness.checkers.provenance import examine_values, exposure
from harness.checkers.response_leaks import judge_canaries, judge_visible_state
from harness.checkers.responses import examine_replies
from harness.records import Check, GuaranteeName, Model

Detector = Callable[[Index, Found], None]

# WRITTEN: models of variables that the workload writes. HELD: also of those that the app assigns. OWNED: also of those for which the
# workload defines a model.
WRITTEN: tuple[Model, ...] = ("counter", "list", "register", "record", "blob")
HELD: tuple[Model, ...] = (*WRITTEN, "assigned")
OWNED: tuple[Model, ...] = (*HELD, "custom")


class Breaks(msgspec.Struct, frozen=True):
    """A guarantee that an anomaly breaks.

    Attributes:
        guarantee: the name of the guarantee.
        models: the models of the variables that the guarantee concerns; empty for all.
        kind: the kind of anomaly that breaks it, for a check that finds several kinds; empty for all kinds. Such a check never
            shows that the guarantee is kept, because a pass does not say which kinds could have been seen.
        place: position of its sentence in the reason of the guarantee; the order of the catalogue decides between equals.
    """

    guarantee: GuaranteeName
    models: tuple[Model, ...] = ()
    kind: str = ""
    place: int = 0


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One check and all texts about its anomaly.

    Attributes:
        name: the name in `checks.json` and the heading in docs/methods/anomalies.md.
        definition: the definition of the anomaly, for docs/methods/anomalies.md.
        headline: what the anomaly means for the app, as a sentence.
        severity: rank of the headline. If a run has several anomalies, the report shows the headline with the lowest rank.
        guarantees: the guarantees that the anomaly breaks.
        loss: whether the proof is a missing value. The report then marks where the value is missing.
        crosses: whether the anomaly involves two sessions. The report then draws the session matrix.
        detectors: functions that find the anomaly. One detector may find several kinds; it runs once.
        judge: examines a history and returns the check. It replaces detectors and the sentences below.
        measure: counts evidence that only this check uses.
        models: the models whose variables can show the anomaly.
        shared: whether a variable of scope `everyone` can show it.
        own: whether a variable of scope `session` can show it.
        evidence: the count without which the anomaly could not have been seen; see `harness.checkers.evidence`.
        more: further counts to report.
        failed: the text of a fail, after "3 of 20 sessions:".
        checked: what `evidence` counts, after "Checked 500".
        clean: the text of a pass, after a semicolon.
        unseen: the reason why the anomaly could not have been seen, as a sentence.
        must_be_seen: whether the verdict without evidence is `unknown`. Otherwise the check does not apply.
    """

    name: str
    definition: str
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
    checked: str = ""
    clean: str = ""
    unseen: str = ""
    must_be_seen: bool = False


CATALOGUE: tuple[CatalogueEntry, ...] = (
    CatalogueEntry(
        name=CROSS_SESSION_READ,
        definition="A read shows a value that only other owners wrote or were given. Or a counter is higher than its owner's increments explain, and the increments of other owners explain the difference. Or a step of a chain used the input of another session.",
        models=(*WRITTEN, "custom", "assigned", "chain"),
        shared=False,
        evidence=READ_AFTER_A_FOREIGN_WRITE,
        failed="a read showed a value that another session wrote",
        checked="values read after another session's write",
        clean="none came from another session",
        unseen="No session read after another session had written, so no value could have crossed.",
        must_be_seen=True,
        detectors=(examine_values,),
        headline="The app does not keep its sessions apart.",
        severity=0,
        guarantees=(Breaks("session-specific", models=OWNED),),
        crosses=True,
        measure=exposure,
    ),
    CatalogueEntry(
        name=GARBAGE_READ,
        definition="A read shows a value that no recorded operation can have written, a value that the server refused, or a count that no recorded operations explain.",
        models=(*WRITTEN, "answer", "chain"),
        evidence=VALUES_READ,
        failed="a read showed a value that no recorded operation wrote",
        checked="values read",
        clean="each was the initial value or was written by a recorded operation",
        unseen="No value was read.",
        must_be_seen=True,
        detectors=(examine_values,),
        headline="The app shows values that no operation wrote.",
        severity=9,
        guarantees=(Breaks("session-specific", models=HELD),),
    ),
    CatalogueEntry(
        name=LOST_UPDATE,
        definition="An acknowledged write is missing from a read, and no later read shows it.",
        models=WRITTEN,
        evidence=WRITE_READ_PAIRS,
        failed="an acknowledged write was lost",
        checked="pairs of a write and a later read",
        clean="no write was lost",
        unseen="No session read what it had written before.",
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
    CatalogueEntry(
        name=READ_YOUR_WRITES,
        definition="An acknowledged write is missing from a read, but a later read shows it: the read was stale.",
        models=WRITTEN,
        evidence=WRITE_READ_PAIRS,
        failed="a read missed an earlier acknowledged write",
        checked="pairs of a write and a later read",
        clean="no read missed a write that a later read showed",
        unseen="No session read what it had written before.",
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
    CatalogueEntry(
        name=MONOTONIC_READS,
        definition="A value that an earlier read showed is missing from a later read. It does not matter whether its write was acknowledged.",
        models=(*WRITTEN, "assigned"),
        evidence=PAIRS_OF_READS,
        failed="a read showed an older state than an earlier read",
        checked="pairs of successive reads",
        clean="no read showed an older state than an earlier read",
        unseen="No state was read twice.",
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
    CatalogueEntry(
        name=MONOTONIC_WRITES,
        definition="A read shows two writes of a session in another order than the session made them. Or a read shows a later write without an earlier one, which appears in a later read.",
        models=("list",),
        evidence=PAIRS_OF_WRITES_IN_ORDER,
        failed="writes took effect in another order than the session made them",
        checked="pairs of writes that one read showed",
        clean="all in order",
        unseen="No read showed two writes of its owner.",
        detectors=(examine_own_writes,),
        headline="The app does not keep what its sessions write.",
        severity=2,
        guarantees=(Breaks("monotonic-writes"),),
        loss=True,
    ),
    CatalogueEntry(
        name=WRITES_FOLLOW_READS,
        definition="In a list that several sessions share, a session read one element and then appended another. A read shows the second element without the first, or before it. No clear explains this, and the time allowed for a write to become visible had passed.",
        models=("list",),
        own=False,
        evidence=WRITES_SHOWN_THAT_FOLLOWED_A_READ,
        failed="a write was visible without the values that its session had read before",
        checked="writes of sessions that had read other sessions' values",
        clean="each was visible only together with these values",
        unseen="No read showed a write of a session that had read other sessions' values.",
        detectors=(examine_own_writes,),
        headline="The app does not keep what its sessions write.",
        severity=2,
        guarantees=(Breaks("monotonic-writes"),),
        loss=True,
    ),
    CatalogueEntry(
        name=DUPLICATE_EFFECT,
        definition="A list contains an element more often than it was appended. Or a counter rose by more than all increments explain, and increments that took effect twice explain the rest.",
        models=("counter", "list"),
        evidence=OWN_VALUES_SHOWN,
        failed="a write took effect more than once",
        checked="values that a session wrote and later read",
        clean="none appeared twice",
        unseen="No read showed a write of its owner.",
        detectors=(
            examine_own_writes,
            examine_counts,
        ),
        headline="A single request takes effect more than once.",
        severity=5,
        guarantees=(Breaks("no-lost-update", models=("counter", "list"), place=2),),
    ),
    CatalogueEntry(
        name=RESET,
        definition="An earlier read had shown a write. Later reads show the initial value again, with only the writes that came afterwards. Or the app assigned a new value to an owner that had one.",
        models=(*WRITTEN, "assigned"),
        evidence=READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE,
        failed="the state returned to its initial value",
        checked="reads of state that an earlier read had shown",
        clean="none showed the initial value again",
        unseen="No state was read again after a read had shown it.",
        detectors=(
            examine_own_writes,
            examine_counts,
            examine_values,
        ),
        headline="The app loses state: it returns to the initial value.",
        severity=4,
        guarantees=(Breaks("no-lost-update", models=WRITTEN, place=1),),
        loss=True,
    ),
    CatalogueEntry(
        name=RESURRECTED_STATE,
        definition="A read shows the value of an earlier session of the same user, and nothing of other users.",
        models=(*WRITTEN, "custom", "assigned"),
        shared=False,
        evidence=READS_AFTER_AN_EARLIER_SESSION,
        more=(RELOADED_SESSIONS,),
        failed="the state of the user's earlier session came back",
        checked="reads after a reload or return",
        clean="none showed state of an earlier session",
        unseen="No session after a reload or return read state of its own.",
        detectors=(examine_values,),
        headline="The app shows the state of an earlier session of the user.",
        severity=7,
        guarantees=(Breaks("reset-on-reload"),),
        crosses=True,
    ),
    CatalogueEntry(
        name=MISDELIVERED_RESPONSE,
        definition="An answer, or a partial answer, shows the value that another operation asked for. The other operation may be of the same session.",
        models=("answer",),
        evidence=ANSWERS_SHOWN,
        more=(SHOWN_WHILE_OTHERS_HAD_ASKED,),
        failed="an answer belonged to another operation",
        checked="answers and partial answers",
        clean="each belonged to its own operation",
        unseen="No answer was shown.",
        must_be_seen=True,
        detectors=(examine_replies,),
        headline="The app does not keep its sessions apart.",
        severity=0,
        guarantees=(Breaks("session-specific", models=("answer",)),),
        crosses=True,
    ),
    CatalogueEntry(
        name=NON_ATOMIC_CHAIN,
        definition="A step of a chain shows the input of another chain.",
        models=("chain",),
        evidence=STEPS_SHOWN,
        more=(SHOWN_WHILE_OTHERS_HAD_BEGUN,),
        failed="a step of one chain used the input of another",
        checked="steps of chains",
        clean="each used the input of its own chain",
        unseen="No step of a chain was shown.",
        must_be_seen=True,
        detectors=(examine_replies,),
        headline="The app mixes up the steps of events that run at the same time.",
        severity=8,
        guarantees=(Breaks("no-lost-update", models=("chain",), place=4),),
        crosses=True,
    ),
    CatalogueEntry(
        name=CLEARED_STATE_RETURNS,
        definition="A read shows a value that was written before a clear, although the clear was acknowledged before the read began.",
        models=WRITTEN,
        evidence=READS_AFTER_A_CLEAR,
        failed="cleared state came back",
        checked="reads after a clear",
        clean="none showed a cleared value",
        unseen="No state was read after a clear.",
        detectors=(
            examine_own_writes,
            examine_counts,
        ),
        headline="The app shows state again that was cleared.",
        severity=6,
        guarantees=(Breaks("no-lost-update", models=WRITTEN, place=3),),
    ),
    CatalogueEntry(
        name=NON_LINEARIZABLE,
        definition="No order of an owner's operations explains all reads, and no other check explains why. The witness is the first read that no order explains, with the operations that it contradicts.",
        models=(*WRITTEN, "custom"),
        evidence=READS_PUT_IN_ORDER,
        more=(READS_LEFT_TO_BOUNDS,),
        failed="no order of the operations explains what was read",
        checked="reads of sessions with overlapping operations",
        clean="an order of the operations explains each of them",
        unseen="There was no read that could be checked against orders of the operations.",
        detectors=(examine_orders,),
        headline="The app shows values that no order of the operations explains.",
        severity=3,
        guarantees=(Breaks("no-lost-update", kind=NON_LINEARIZABLE, place=5),),
    ),
    CatalogueEntry(
        name=CANARY,
        definition="A response contains a token of another session: a cross-session read, or resurrected state if the other session was an earlier one of the same user. Exempt are values of variables of scope `everyone`, of scope `user` for the same user, and components that the workload calls `shared`.",
        headline="The app does not keep its sessions apart.",
        severity=0,
        guarantees=(
            Breaks("session-specific", kind=CROSS_SESSION_READ),
            Breaks("reset-on-reload", kind=RESURRECTED_STATE),
        ),
        crosses=True,
        judge=judge_canaries,
    ),
    CatalogueEntry(
        name=VISIBLE_STATE,
        definition="A response contains a value in place of State, for which Gradio sends null: at its output, in `/config`, in `/info`, or in what `gr.render` made. Or a response contains a text that the workload declared with `secret`.",
        headline="State left the server.",
        severity=1,
        guarantees=(Breaks("invisible"),),
        crosses=True,
        judge=judge_visible_state,
    ),
    CatalogueEntry(
        name=LEAK_PER_REQUEST,
        definition="Memory grows with every request and is not freed: see [memory](memory.md).",
        headline="The app does not free the memory that it uses.",
        severity=10,
        guarantees=(Breaks("memory-returns"),),
    ),
    CatalogueEntry(
        name=LEAK_PER_SESSION,
        definition="Memory grows with every session and is not freed after the session has closed: see [memory](memory.md).",
        headline="The app does not free the memory that it uses.",
        severity=10,
        guarantees=(Breaks("memory-returns"),),
    ),
)

_BY_NAME = {entry.name: entry for entry in CATALOGUE}


def entry_of(name: str) -> CatalogueEntry | None:
    """Return the entry of a check or anomaly; None for a check that finds no anomaly, such as completeness."""
    return _BY_NAME.get(name)


def headline(kinds: Iterable[str]) -> str:
    """Return the headline of the most serious of these kinds of anomaly."""
    found = [entry for kind in kinds if (entry := entry_of(kind)) is not None]
    if not found:
        return "The app breaks a guarantee."
    return min(found, key=lambda entry: entry.severity).headline
