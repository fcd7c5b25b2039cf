"""The generator's end of the socket between the harness and a process that makes load."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import gevent.lock
import msgspec

from harness.errors import HarnessError, UsageError
from harness.load.commands import Broken, Command, Quit, Report


class Channel(Protocol):
    """Where a generator process gets its commands, and sends its reports."""

    def commands(self) -> Iterator[Command]:
        """The commands, until `quit` or until their sender has ended."""

    def send(self, report: Report) -> None:
        """Send a report."""


class SocketChannel:
    """The harness itself, at the other end of a socket pair.

    Args:
        control: this process's end.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._sending = gevent.lock.RLock()  # two greenlets send, and their lines must not be mixed
        self._encoder = msgspec.json.Encoder()

    def commands(self) -> Iterator[Command]:
        """One command per line, until `quit` or the end of the connection."""
        decoder = msgspec.json.Decoder(Command)
        with self._control.makefile("rb") as lines:
            for line in lines:
                command = decoder.decode(line)
                if isinstance(command, Quit):
                    return
                yield command

    def send(self, report: Report) -> None:
        """Send a report. If the harness has ended, this process ends too."""
        try:
            with self._sending:
                self._control.sendall(self._encoder.encode(report) + b"\n")
        except OSError:
            os._exit(0)


def first_line(control: socket.socket) -> bytes:
    """The line with the configuration. Ends the process if its parent has ended."""
    line = b""
    while not line.endswith(b"\n"):
        byte = control.recv(1)
        if not byte:
            raise SystemExit(0)
        line += byte
    return line


@contextmanager
def failures_reported(control: socket.socket) -> Iterator[None]:
    """Report an exception that ends the process, and end it with exit code 1."""

    def broken(cause: str, message: str, hint: str = "") -> None:
        control.sendall(msgspec.json.encode(Broken(cause=cause, message=message, hint=hint)) + b"\n")

    try:
        yield
    except UsageError as error:
        broken("workload", error.message, error.hint)
        raise SystemExit(1) from error
    except HarnessError as error:
        broken("storage", error.message, error.hint)
        raise SystemExit(1) from error
    except Exception as error:
        traceback.print_exc()
        broken("internal", f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error
