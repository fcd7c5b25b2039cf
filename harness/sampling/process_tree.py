"""psutil samples of a whole process tree, at a fixed interval, from a thread of the harness."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

import psutil

from harness.errors import HarnessError, StorageError
from harness.records import ProcessSample
from harness.run_dir import JsonLinesWriter

# A sample that comes this many intervals late is a gap.
_GAP_INTERVALS = 3.0


class ProcessTree:
    """Processes and their descendants, measured together.

    Args:
        pids: the roots.

    Raises:
        psutil.NoSuchProcess: all have ended.
    """

    def __init__(self, *pids: int) -> None:
        self._roots: list[psutil.Process] = []
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._roots.append(psutil.Process(pid))
        if not self._roots:
            raise psutil.NoSuchProcess(pids[0] if pids else -1)
        self._cpu_by_member: dict[tuple[int, float], float] = {}

    def follow(self, *pids: int) -> None:
        """Replace the roots. The CPU time of the former ones stays counted."""
        self._roots = ProcessTree(*pids)._roots

    def members(self) -> list[tuple[int, float]]:
        """Every process that a sample has seen, as pid and creation time."""
        return list(self._cpu_by_member)

    def sample(self, *, proportional: bool = False) -> ProcessSample | None:
        """Measure now; None if all roots have ended.

        Args:
            proportional: whether to include the proportional set size.
        """
        members: list[psutil.Process] = []
        for root in self._roots:
            try:
                members += [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        wall_ns, now_ns = time.time_ns(), time.monotonic_ns()
        rss = uss = pss = threads = files = count = 0
        uss_known = pss_known = files_known = True
        for member in members:
            try:
                with member.oneshot():
                    memory = member.memory_info()
                    threads += member.num_threads()
                    cpu = member.cpu_times()
                    started = member.create_time()
                try:
                    full = member.memory_full_info()
                    uss += full.uss
                    # On Linux, both come from the same file. Other systems have no PSS.
                    pss_known = pss_known and hasattr(full, "pss")
                    pss += getattr(full, "pss", 0)
                except psutil.AccessDenied:
                    uss_known = pss_known = False
                try:
                    files += member.num_fds()
                except psutil.AccessDenied:
                    files_known = False
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            rss += memory.rss
            count += 1
            self._cpu_by_member[member.pid, started] = cpu.user + cpu.system
        if count == 0:
            return None
        return ProcessSample(
            time_ns=now_ns,
            wall_ns=wall_ns,
            processes=count,
            rss_bytes=rss,
            uss_bytes=uss if uss_known else None,
            cpu_s=sum(self._cpu_by_member.values()),
            threads=threads,
            open_files=files if files_known else None,
            pss_bytes=pss if proportional and pss_known else None,
        )


def measure_tree(*pids: int) -> ProcessSample | None:
    """One sample of process trees, summed, with the proportional set size; None if all have ended."""
    try:
        return ProcessTree(*pids).sample(proportional=True)
    except psutil.NoSuchProcess:
        return None


class Sampler:
    """Samples several process trees until it is stopped.

    Args:
        interval_s: time between two samples, in seconds.
        on_gap: called with the name of a tree and the length of a gap in seconds.
        clock: monotonic seconds; a test may bring its own.
    """

    def __init__(
        self,
        interval_s: float,
        on_gap: Callable[[str, float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s = interval_s
        self._on_gap = on_gap
        self._clock = clock
        self._trees: dict[str, tuple[ProcessTree, JsonLinesWriter]] = {}
        self._last_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.last: dict[str, ProcessSample] = {}
        self.failure: HarnessError | None = None

    def watch(self, name: str, pids: int | Sequence[int], writer: JsonLinesWriter) -> None:
        """Begin to sample a process tree, or several as one."""
        roots = [pids] if isinstance(pids, int) else pids
        with self._lock:
            self._trees[name] = (ProcessTree(*roots), writer)

    def follow(self, name: str, pid: int) -> None:
        """Replace a tree's root, for an app that was restarted. No gap is reported."""
        with self._lock:
            watched = self._trees.get(name)
        if watched is not None:
            self._last_at.pop(name, None)
            watched[0].follow(pid)

    def members(self, name: str) -> list[tuple[int, float]]:
        """Every process ever seen in a tree, as pid and creation time; also those that left its process group."""
        with self._lock:
            watched = self._trees.get(name)
        return list(watched[0].members()) if watched else []

    def start(self) -> None:
        """Begin to sample, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more samples, and close the files."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for _, writer in self._trees.values():
            writer.close()

    def sample_all(self) -> None:
        """Take one sample of every tree, and report gaps."""
        with self._lock:
            trees = list(self._trees.items())
        for name, (tree, writer) in trees:
            now = self._clock()
            sample = tree.sample()
            if sample is None:
                continue
            writer.append(sample)
            self.last[name] = sample
            before = self._last_at.get(name)
            if before is not None and now - before > _GAP_INTERVALS * self._interval_s:
                self._on_gap(name, now - before)
            self._last_at[name] = now

    def _run(self) -> None:
        due = self._clock()
        while not self._stop.is_set():
            try:
                self.sample_all()
            except StorageError as error:
                self.failure = error
                return
            except Exception as error:  # unreported, the run would seem to be sampled to its end
                self.failure = HarnessError(
                    f"The sampler failed: {type(error).__name__}: {error}.", "Please report this."
                )
                return
            due = max(due + self._interval_s, self._clock())
            self._stop.wait(max(0.0, due - self._clock()))
