"""Child processes that cannot outlive the harness, however it ends; and blocks that no signal interrupts."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

# Reads from a pipe of the harness. The line `done` means that the harness has cleaned up itself. End of file without it means
# that the harness has ended, for any reason. The guard then kills the child's process group.
_GUARD = 'read -r group || exit 0; read -r word; [ "$word" = done ] || kill -s KILL -- "-$group"'


def raise_file_limit() -> int:
    """Raise the limit on open files to the system's maximum, for this process and those it starts from now on.

    Each open page is a connection, and so one open file at each end. An ordinary shell's limit of 1,024 is too low for thousands
    of pages.

    Returns:
        The limit now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS names a hard limit that it does not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Child:
    """A process in its own session and process group, with its output in a file and the highest limit on open files.

    Args:
        argv: program and arguments.
        cwd: working folder.
        env: the whole environment.
        log: file that takes standard output and standard error.
        pass_fds: file descriptors that the child inherits.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        pass_fds: Sequence[int] = (),
    ) -> None:
        raise_file_limit()
        self._stopped = False
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    list(argv),
                    cwd=cwd,
                    env=dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=tuple(pass_fds),
                )
        except BaseException:
            self._release_guard()
            raise
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{self._process.pid}\n".encode())
        self._guard.stdin.flush()

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs; otherwise its exit status, or the negative number of the signal that ended it."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end, and return the exit status; None if it still runs after the timeout."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_s: float = 5.0, seen: Iterable[tuple[int, float]] = ()) -> None:
        """End the process and everything that it started: SIGTERM, then SIGKILL after a grace period.

        Args:
            grace_s: seconds between the two.
            seen: descendants seen earlier, as pid and creation time. The children of a dead process can no longer be listed, and
                children in a session of their own are not in its group.
        """
        family = [*([] if self._stopped else self._descendants()), *_still_there(seen)]
        if self.exit_status() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            self.wait(grace_s)
        if not self._stopped:  # afterwards another process may have its number
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for process in family:  # also those that moved to a process group of their own
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._stopped = True
        self._release_guard()

    def _descendants(self) -> list[psutil.Process]:
        try:
            return list(psutil.Process(self.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def _release_guard(self) -> None:
        assert self._guard.stdin is not None
        if self._guard.stdin.closed:
            return
        with contextlib.suppress(OSError):
            self._guard.stdin.write(b"done\n" if hasattr(self, "_process") else b"")
            self._guard.stdin.close()
        self._guard.wait()


def describe_exit(status: int) -> str:
    """Say in words how a process ended."""
    if status < 0:
        try:
            return f"was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"was killed by signal {-status}"
    return f"ended by itself with exit status {status}"


def _still_there(seen: Iterable[tuple[int, float]]) -> list[psutil.Process]:
    alive = []
    for pid, created in seen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.create_time() == created:  # not another process that got the same number
                alive.append(process)
    return alive


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay SIGINT and SIGTERM until the block is done. For short blocks, in the main thread.

    Raises:
        KeyboardInterrupt: a signal arrived during the block.
    """
    arrived: list[int] = []
    before = {
        s: signal.signal(s, lambda number, _: arrived.append(number)) for s in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt
