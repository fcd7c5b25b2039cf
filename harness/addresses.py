"""Which addresses are this machine's own. Load goes to no other without a word from the user."""

from __future__ import annotations

import ipaddress
import socket

from harness.errors import UsageError


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone: `localhost`, 127.0.0.0/8, ::1, or a name of which every address is one of these.

    Args:
        host: a name or an address, without a port and without brackets.

    Raises:
        OSError: the name has no address.
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return _loopback(host)
    except ValueError:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
        return bool(found) and all(_loopback(address) for address in found)


def require_loopback(host: str, what: str, allow_remote: bool) -> None:
    """Refuse an address that is not this machine's own, unless the user has said that it may be.

    Args:
        host: a name or an address.
        what: what would happen there, as it stands in the message: `would be load-tested`.
        allow_remote: the user gave `--allow-remote`; then nothing is looked up.

    Raises:
        UsageError: it is not loopback.
        OSError: the name has no address.
    """
    if allow_remote or is_loopback(host):
        return
    if host in ("0.0.0.0", "::"):
        raise UsageError(
            f"{host} means every address of a machine, and is none to connect to.",
            "For this machine, write 127.0.0.1.",
        )
    raise UsageError(
        f"{host} is not this machine (loopback), and {what}. A load test looks like an attack to whoever runs the machine "
        "at the other end, can cost them money, and keeps their visitors out.",
        "If it is yours, or its owner agrees, give --allow-remote.",
    )


def _loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)
