"""Does an owner read its own writes: all of them, once, in order, and nothing that it cleared?

A read must show the owner's writes that were acknowledged before it began, and its own effect. What a missing write is called
is decided in `harness.checkers.missing_writes`.
"""

from __future__ import annotations

from harness.checkers.findings import Found
from harness.checkers.history_index import Index
from harness.checkers.list_reads import ListReads
from harness.checkers.missing_writes import report_all
from harness.checkers.models import NAMED_VALUES
from harness.checkers.owner_log import Status
from harness.checkers.register_reads import RegisterReads, registers_of


def examine_own_writes(index: Index, found: Found) -> None:
    """Check every read of a list, register or record against what its owner had written before."""
    for variable, model in index.state.items():
        if model.model not in NAMED_VALUES:
            continue
        for log in index.logs[variable].values():
            if log.sequential:
                continue
            if model.model == "list":
                reads = ListReads(index, variable, log, found)
                if log.status is Status.APPEND_ONLY:
                    reads.count()
                else:
                    reads.examine()
                continue
            gaps = [
                gap
                for register in registers_of(log)
                for gap in RegisterReads(index, variable, log, register, found).examine()
            ]
            report_all(variable, gaps, found, doubtful=log.doubtful)
