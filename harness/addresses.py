"""Which network addresses may be used without asking: those of this machine alone."""

from __future__ import annotations

import ipaddress

from harness.errors import UsageError


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only ever mean this machine. Names other than `localhost` cannot."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def require_loopback(host: str, what: str, allow_remote: bool) -> None:
    """Refuse an address that reaches beyond this machine, unless that was allowed.

    Args:
        host: name or address.
        what: what it is for, as the beginning of a sentence: `The address of the master`.
        allow_remote: whether the user gave `--allow-remote`.

    Raises:
        UsageError: it is not loopback, and nobody allowed that.
    """
    if not allow_remote and not is_loopback(host):
        raise UsageError(
            f"{what}, {host}, is not on this machine: load would go over a network that others use, "
            "and whoever reaches that address could take part.",
            "Add --allow-remote if the network and what stands behind the address are yours to load.",
        )
