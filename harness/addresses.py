"""Which network addresses may be used without asking: those of this machine alone."""

from __future__ import annotations

import ipaddress
import re
import socket

from harness.errors import UsageError

_LOGIN = r"^([a-zA-Z][a-zA-Z0-9+.\-]*://)?[^/@?#]*@"


def redacted(url: str) -> str:
    """A URL, or what somebody took for one, with `***` for a login before its host and for whatever follows its path."""
    return re.sub(r"[?#].*", "?***", re.sub(_LOGIN, r"\1***@", url))


def holds_login(url: str) -> bool:
    """Whether a user name or a password stands before the host, with or without a scheme before it."""
    return re.match(_LOGIN, url) is not None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and no other: `localhost`, 127.0.0.0/8, ::1, or a name that has only such addresses.

    Args:
        host: a name or an address, without a port.

    Raises:
        OSError: the name has no address.
    """
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return _loopback(name)
    except ValueError:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
        return bool(found) and all(_loopback(address) for address in found)


def require_loopback(host: str, what: str, allow_remote: bool) -> None:
    """Refuse an address that reaches beyond this machine, unless that was allowed.

    Args:
        host: a name or an address, without a port.
        what: what it is, as the beginning of a sentence: `The address of the app`.
        allow_remote: whether the user gave `--allow-remote`; then nothing is looked up.

    Raises:
        UsageError: it is not loopback, or has no address, and nobody allowed it.
    """
    if allow_remote:
        return
    if host in ("0.0.0.0", "::"):
        raise UsageError(
            f"{what}, {host}, stands for all addresses of a machine; it is for listening, not for connecting.",
            "For this machine, write 127.0.0.1.",
        )
    try:
        if is_loopback(host):
            return
    except OSError as error:
        raise UsageError(
            f"{what}, {host}, cannot be looked up: {error.strerror or error}.", "Check its spelling."
        ) from error
    raise UsageError(
        f"{what}, {host}, is not on this machine (loopback): a load test against somebody else's machine looks like an attack, "
        "can cost its owner money, and keeps other visitors out.",
        "Add --allow-remote if that machine is yours, or its owner and the network's agree.",
    )


def _loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return bool((getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback)
