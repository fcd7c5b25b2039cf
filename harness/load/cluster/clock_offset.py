"""Clocks of different machines: which clock a process reads, and how far it is from another."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/timens_offsets")


def clock_identity(boot_id: Path = _BOOT_ID, namespace: Path = _NAMESPACE) -> str:
    """Name of the monotonic clock that this process reads.

    Processes of one boot of one kernel share it, containers included, unless they stand in a time namespace with
    offsets of its own (Linux, time_namespaces(7)). Where the kernel does not tell, the host name stands for the machine.

    Args:
        boot_id, namespace: where the kernel tells.
    """
    try:
        name = boot_id.read_text().strip()
    except OSError:
        return f"host {platform.node()}"
    try:
        fields = next(
            line.split() for line in namespace.read_text().splitlines() if line.startswith("monotonic")
        )
    except (OSError, StopIteration):
        return name
    return name if all(int(field) == 0 for field in fields[1:3]) else f"{name}+{'.'.join(fields[1:3])}"


class Offset(NamedTuple):
    """How far a worker's clock is ahead of ours, nanoseconds, and how far that may be wrong."""

    offset_ns: int
    uncertainty_ns: int


class Exchange(NamedTuple):
    """One ping: when it was sent and its answer came back on our clock, and what the worker's clock said between."""

    sent_ns: int
    worker_ns: int
    received_ns: int


def estimate_offset(exchanges: Sequence[Exchange]) -> Offset | None:
    """Estimate the offset from the fastest exchange (Cristian 1989: the answer was given within the round trip, so the
    middle of it is wrong by half of it at most); None without any.
    """
    if not exchanges:
        return None
    best = min(exchanges, key=lambda e: e.received_ns - e.sent_ns)
    return Offset(
        offset_ns=best.worker_ns - (best.sent_ns + best.received_ns) // 2,
        uncertainty_ns=(best.received_ns - best.sent_ns + 1) // 2,
    )
