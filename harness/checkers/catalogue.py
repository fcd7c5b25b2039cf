"""The kinds of anomaly: what each can happen to, what counts as evidence that it did not, and how the verdict reads."""

from __future__ import annotations

import msgspec

from harness.checkers.anomalies import NON_LINEARIZABLE
from harness.checkers.completeness import watched
from harness.checkers.counter_reads import examine_counts
from harness.checkers.findings import Found
from harness.checkers.index import Index
from harness.checkers.linearizability.check import examine_orders
from harness.checkers.list_reads import examine_own_writes
from harness.checkers.provenance import examine_values, exposed
from harness.checkers.responses import examine_replies
from harness.records import Check, Model, Verdict

# Each looks at the whole history for anomalies of several kinds; none is looked for twice.
FAMILIES = (examine_values, examine_own_writes, examine_counts, examine_replies, examine_orders)


def examine(index: Index) -> Found:
    """Look for anomalies of all kinds, once for all checkers."""

    def look() -> Found:
        found = Found(index.history)
        index.scan.count(found)
        for family in FAMILIES:
            family(index, found)
        return found

    return index.once("found", look)


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A checker for one kind of anomaly.

    Attributes:
        name: its standard name.
        models: those to whose variables it can happen.
        shared: whether it can happen to what everyone shares.
        own: whether it can happen to what is a session's own.
        evidence: what must have been counted, or nothing could be seen.
        failed: what happened, after "In 3 of 20 sessions".
        passed: what did not, after "In none of 500 …".
        unseen: why nothing could be seen, as a sentence.
        must_be_seen: without evidence the verdict is unknown, and not that the check does not apply.
    """

    name: str
    models: tuple[Model, ...]
    shared: bool = True
    own: bool = True
    evidence: str
    failed: str
    passed: str
    unseen: str
    must_be_seen: bool = False

    def check(self, index: Index) -> Check:
        """Examine a history."""
        concerned = [
            variable
            for variable, model in index.state.items()
            if model.model in self.models
            and (self.shared or model.scope != "everyone")
            and (self.own or model.scope != "session")
        ]
        found = examine(index)
        findings = found.of(self.name)
        evidence = {self.evidence: 0, **found.evidence.get(self.name, {}), **self._more(index)}
        number = evidence[self.evidence]
        verdict: Verdict = "pass"
        applies = True
        if findings.total:
            verdict = "fail"
            reason = f"In {findings.sufferers} of {len(index.scan.sessions)} sessions {self.failed}."
        elif unexplained := found.unexplained.get(self.name, 0):
            verdict = "unknown"
            reason = f"{unexplained} times it looked as if {self.failed}; operations of which there is no record may have caused that."
        elif doubts := found.undecided.get(self.name):
            verdict = "unknown"
            reason = " ".join(doubts)
        elif not concerned and (index.state or watched(index.scan)):
            applies = False
            reason = "Does not apply: no declared variable is one to which this could happen."
        elif not number:
            applies = self.must_be_seen or not index.state
            verdict = "pass" if not applies else "unknown"
            reason = self.unseen if applies else f"Does not apply: {self.unseen[0].lower()}{self.unseen[1:]}"
        else:
            reason = f"In none of {number:,} {self.passed}."
        return Check(
            name=self.name,
            verdict=verdict,
            reason=reason,
            evidence=evidence,
            anomalies=findings.anomalies(),
            anomalies_total=findings.total,
            suffered=findings.suffered(),
            applies=applies,
            crossings=findings.crossings(),
        )

    def _more(self, index: Index) -> dict[str, int]:
        if self.name != "cross-session-read":
            return {}
        variables, sessions = index.scan.variables, index.scan.sessions.values()
        return {
            "values_read": sum(facts.reads for facts in variables.values()),
            "read_after_a_foreign_write": sum(
                exposed(index, variable) if index.clocks.several else facts.exposed
                for variable, facts in variables.items()
            ),
            "sessions_reading": sum(session.read for session in sessions),
            "sessions_writing": sum(session.wrote for session in sessions),
        }


_STATE: tuple[Model, ...] = ("counter", "list", "register", "record", "blob")

KINDS = (
    Kind(
        name="cross-session-read",
        models=(*_STATE, "custom", "assigned", "chain"),
        shared=False,
        evidence="read_after_a_foreign_write",
        failed="something was seen that other sessions wrote",
        passed="values read after a foreign write did one come from another session",
        unseen="Nobody read after another session had written: nothing could have crossed.",
        must_be_seen=True,
    ),
    Kind(
        name="garbage-read",
        models=(*_STATE, "answer", "chain"),
        evidence="values_read",
        failed="something was seen that nobody wrote",
        passed="values read was one that is neither a default nor written by a recorded operation",
        unseen="Nothing was read.",
        must_be_seen=True,
    ),
    Kind(
        name="lost-update",
        models=_STATE,
        evidence="write_read_pairs",
        failed="an acknowledged write was lost",
        passed="pairs of a write and a later read was the write missing for good",
        unseen="Nobody read what they had written before.",
        must_be_seen=True,
    ),
    Kind(
        name="read-your-writes",
        models=_STATE,
        evidence="write_read_pairs",
        failed="a read missed a write that had been made before",
        passed="pairs of a write and a later read was the write missing for a while",
        unseen="Nobody read what they had written before.",
        must_be_seen=True,
    ),
    Kind(
        name="monotonic-reads",
        models=(*_STATE, "assigned"),
        evidence="pairs_of_reads",
        failed="a read went back behind an earlier one",
        passed="pairs of a read and a later one did the later go back",
        unseen="Nobody read anything twice.",
    ),
    Kind(
        name="monotonic-writes",
        models=("list",),
        evidence="pairs_of_writes_in_order",
        failed="writes took effect in another order than they were made",
        passed="pairs of writes that were seen together was the order another than that in which they were made",
        unseen="No read showed two writes of its owner.",
    ),
    Kind(
        name="writes-follow-reads",
        models=("list",),
        own=False,
        evidence="writes_shown_that_followed_a_read",
        failed="a write was seen without what its session had read before it",
        passed="writes seen, of sessions that had read what others wrote, was one there without that, or before it",
        unseen="No read showed a write of a session that had read others' before.",
    ),
    Kind(
        name="duplicate-effect",
        models=("counter", "list"),
        evidence="own_values_shown",
        failed="a write took effect more than once",
        passed="own values shown was one there twice",
        unseen="No read showed a write of its owner.",
    ),
    Kind(
        name="reset",
        models=(*_STATE, "assigned"),
        evidence="reads_of_what_had_been_seen_before",
        failed="the state went back to where it began",
        passed="reads of what had been seen before was it back at its beginning",
        unseen="Nothing was looked at again after it had been seen to persist.",
    ),
    Kind(
        name="resurrected-state",
        models=(*_STATE, "custom", "assigned"),
        shared=False,
        evidence="reads_after_an_earlier_session",
        failed="the state of an earlier session of the same person came back",
        passed="reads by people who had had a session before was anything of that session there",
        unseen="Nobody who came back in a new session read anything that belongs to a session.",
    ),
    Kind(
        name="misdelivered-response",
        models=("answer",),
        evidence="answers_shown",
        failed="something was shown that belongs to another operation",
        passed="answers and parts of answers was one another operation's",
        unseen="No answer was shown.",
        must_be_seen=True,
    ),
    Kind(
        name="non-atomic-chain",
        models=("chain",),
        evidence="steps_shown",
        failed="a step of one chain worked on what another had begun with",
        passed="steps of chains did one work on what another chain had begun with",
        unseen="No step of a chain was shown.",
        must_be_seen=True,
    ),
    Kind(
        name="cleared-state-returns",
        models=_STATE,
        evidence="reads_after_a_clear",
        failed="what had been cleared came back",
        passed="reads after a clear was anything there that had been cleared",
        unseen="Nothing was read after it had been cleared.",
    ),
    Kind(
        name=NON_LINEARIZABLE,
        models=(*_STATE, "custom"),
        evidence="reads_put_in_order",
        failed="something was seen that no order of the operations explains",
        passed="reads that were put in order with what overlapped them was one that no order explains",
        unseen="Nothing was read that an order could explain.",
    ),
)
