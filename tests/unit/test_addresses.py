from __future__ import annotations

import socket
from typing import Any

import pytest

from harness.addresses import is_loopback, require_loopback
from harness.errors import UsageError


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Name → addresses, instead of a name server."""
    table: dict[str, list[str]] = {}

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in table[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return table


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("0.0.0.0", False),
        ("192.0.2.1", False),
        ("10.0.0.1", False),
        ("2001:db8::1", False),
    ],
)
def test_what_is_this_machine_alone(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_of_a_name_with_several_addresses_all_must_be_loopback(names: dict[str, list[str]]) -> None:
    names["here"] = ["127.0.0.1", "::1"]
    names["half"] = ["127.0.0.1", "192.0.2.1"]
    names["localhost.example"] = ["192.0.2.1"]
    assert is_loopback("here")
    assert not is_loopback("half")
    assert not is_loopback("localhost.example")
    with pytest.raises(OSError, match="not known"):
        is_loopback("nowhere")


@pytest.mark.parametrize("host", ["192.0.2.1", "half", "2001:db8::1"])
def test_another_machine_is_refused_with_the_reason_and_the_option(
    host: str, names: dict[str, list[str]]
) -> None:
    names["half"] = ["127.0.0.1", "192.0.2.1"]
    with pytest.raises(UsageError) as refused:
        require_loopback(host, "The address of the app", allow_remote=False)
    assert f"The address of the app, {host}, is not on this machine" in refused.value.message
    assert "another owner's machine" in refused.value.message
    assert "--allow-remote" in refused.value.hint


def test_with_the_option_the_host_is_not_resolved(names: dict[str, list[str]]) -> None:
    require_loopback("192.0.2.1", "The address of the app", allow_remote=True)
    require_loopback("a name that is not resolved", "The address of the app", allow_remote=True)


def test_an_address_for_listening_is_refused_with_the_reason(names: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError, match="for listening") as refused:
        require_loopback("0.0.0.0", "The address of the app", allow_remote=False)
    assert "127.0.0.1" in refused.value.hint
    with pytest.raises(UsageError, match="cannot be resolved"):
        require_loopback("nowhere", "The address of the app", allow_remote=False)
