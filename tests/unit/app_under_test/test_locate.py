"""Which process is behind an address: sockets and processes are the test's own."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace
from typing import Any

import msgspec
import psutil
import pytest

from harness.app_under_test import locate
from harness.errors import UsageError
from tests.unit.app_under_test.test_external_app import FACTS


class FakeProcess:
    def __init__(self, pid: int, name: str, *ports: int, ip: str = "127.0.0.1", parent: Any = None) -> None:
        self.pid = pid
        self._name = name
        self._parent = parent
        self.sockets = [
            SimpleNamespace(status=psutil.CONN_LISTEN, laddr=SimpleNamespace(ip=ip, port=port))
            for port in ports
        ]

    def name(self) -> str:
        return self._name

    def exe(self) -> str:
        return f"/usr/bin/{self._name}"

    def net_connections(self, kind: str) -> list[Any]:
        if self._name == "other-user":
            raise psutil.AccessDenied(self.pid)
        return self.sockets

    def parents(self) -> list[FakeProcess]:
        return [] if self._parent is None else [self._parent, *self._parent.parents()]

    def children(self, recursive: bool) -> list[FakeProcess]:
        return []


def found(monkeypatch: pytest.MonkeyPatch, *processes: FakeProcess, url: str = FACTS.url) -> Any:
    by_pid = {process.pid: process for process in processes}
    monkeypatch.setattr(psutil, "process_iter", lambda: iter(processes))
    monkeypatch.setattr(psutil, "Process", by_pid.__getitem__)
    return locate(msgspec.structs.replace(FACTS, url=url), None).record


def test_the_python_that_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    record = found(
        monkeypatch,
        FakeProcess(1, "other-user", 7860),
        FakeProcess(2, "python3", 7861),
        FakeProcess(3, "python3", 7860, ip="192.0.2.1"),
        FakeProcess(4, "python3.11", 7860, ip="0.0.0.0"),
    )
    assert (record.pid, record.process, record.not_sampled) == (4, "python3.11", "")


def test_of_workers_that_share_a_socket_the_one_that_opened_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = FakeProcess(10, "python3", 7860)
    shell = FakeProcess(11, "sh", parent=first)
    record = found(monkeypatch, FakeProcess(12, "python3", 7860, parent=shell), first, shell)
    assert record.pid == 10


def test_a_proxy_is_not_taken_for_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    record = found(monkeypatch, FakeProcess(5, "docker-proxy", 7860))
    assert record.pid is None
    assert record.process is None
    assert record.not_sampled == (
        "what listens on port 7860 is docker-proxy, not Python (name the app's process with --pid)"
    )


def test_a_process_that_may_not_be_inspected(monkeypatch: pytest.MonkeyPatch) -> None:
    record = found(monkeypatch, FakeProcess(1, "other-user", 7860))
    assert record.pid is None
    assert "could not be found" in record.not_sampled


def test_another_machine_has_no_process_here(monkeypatch: pytest.MonkeyPatch) -> None:
    record = found(monkeypatch, FakeProcess(4, "python3", 7860), url="http://192.0.2.1:7860/")
    assert (record.pid, record.not_sampled) == (None, "it runs on another machine")


def test_the_process_that_the_user_names() -> None:
    assert locate(FACTS, os.getpid()).record.pid == os.getpid()
    with pytest.raises(UsageError, match="no process"):
        locate(FACTS, 2**22 + 1)


def test_a_real_listener_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert locate(msgspec.structs.replace(FACTS, url=url), None).record.pid == os.getpid()
