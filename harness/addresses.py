"""Network addresses: only those of this machine may be used unless the user allows others. And URLs without secrets."""

from __future__ import annotations

import ipaddress
import re
import socket

from harness.errors import UsageError

_LOGIN = r"^([a-zA-Z][a-zA-Z0-9+.\-]*://)?[^/@?#]*@"


def redacted(url: str) -> str:
    """A URL with `***` in place of a login before its host, and of everything after its path. The text need not be a valid URL."""
    return re.sub(r"[?#].*", "?***", re.sub(_LOGIN, r"\1***@", url))


def holds_login(url: str) -> bool:
    """Whether a URL has a user name or a password before its host; the URL may lack a scheme."""
    return re.match(_LOGIN, url) is not None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost`, 127.0.0.0/8, ::1, or a name whose addresses are all of this kind.

    Args:
        host: a name or an address, without a port.

    Raises:
        OSError: the name cannot be resolved.
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
    """Refuse an address of another machine, unless the user allowed it.

    Args:
        host: a name or an address, without a port.
        what: what the address is for, as the beginning of a sentence: `The address of the app`.
        allow_remote: whether the user gave `--allow-remote`; the host is then not resolved.

    Raises:
        UsageError: the user did not allow it, and the host is another machine or cannot be resolved.
    """
    if allow_remote:
        return
    if host in ("0.0.0.0", "::"):
        raise UsageError(
            f"{what}, {host}, means all addresses of a machine; it is for listening, not for connecting.",
            "For this machine, write 127.0.0.1.",
        )
    try:
        if is_loopback(host):
            return
    except OSError as error:
        raise UsageError(
            f"{what}, {host}, cannot be resolved: {error.strerror or error}.", "Check its spelling."
        ) from error
    raise UsageError(
        f"{what}, {host}, is not on this machine (loopback). A load test of another owner's machine looks like an attack, can cost "
        "the owner money, and keeps other visitors out.",
        "Add --allow-remote if the machine is yours, or if its owner and the network's owner agree.",
    )


def _loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return bool((getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback)
