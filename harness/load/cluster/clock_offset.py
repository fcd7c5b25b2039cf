"""Clocks of different machines: which clock a process reads, and its offset from another clock."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/timens_offsets")


def clock_identity(boot_id: Path = _BOOT_ID, namespace: Path = _NAMESPACE) -> str:
    """Name of the monotonic clock that this process reads.

    Processes of one boot of one kernel share it, containers included, unless their time namespace has its own offsets
    (Linux, time_namespaces(7)). On other systems the host name identifies the machine.

    Args:
        boot_id, namespace: the kernel's files with the boot id and the offsets.
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
    """How far a worker's clock is ahead of the master's, and the largest error of that, nanoseconds."""

    offset_ns: int
    uncertainty_ns: int


class Exchange(NamedTuple):
    """One ping: when it was sent and its answer arrived on the master's clock, and the worker's clock in between."""

    sent_ns: int
    worker_ns: int
    received_ns: int


def estimate_offset(exchanges: Sequence[Exchange]) -> Offset | None:
    """Estimate the offset from the fastest exchange.

    The answer was given during the round trip, so the middle of the round trip is wrong by half of it at most (Cristian 1989).

    Returns:
        The estimate, None without exchanges.
    """
    if not exchanges:
        return None
    best = min(exchanges, key=lambda e: e.received_ns - e.sent_ns)
    return Offset(
        offset_ns=best.worker_ns - (best.sent_ns + best.received_ns) // 2,
        uncertainty_ns=(best.received_ns - best.sent_ns + 1) // 2,
    )
