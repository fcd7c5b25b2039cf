"""Plateaus: memory of the app, measured after it has settled."""

from __future__ import annotations

import time

from harness.analysis.memory.type_growth import suspicious
from harness.errors import TargetError
from harness.records import Census, GradioLimits, Plateau, ProbeSample, ProcessSample, Retainer
from harness.run_dir import (
    CENSUS,
    PLATEAUS,
    PROBE_SAMPLES,
    RETAINERS,
    TARGET_LOG,
    JsonLinesWriter,
    RunDir,
)
from harness.runs.active_run import ActiveRun
from harness.sampling import cgroup_of, measure_tree

# Two settled measurements in a row that differ by less than this share, or by less than this many bytes, are one plateau.
_STABLE_SHARE = 0.001
_STABLE_BYTES = 64 * 1024
_SETTLE_POLL_S = 0.25
# Between the batches of one phase only the batch itself changes memory, so a shorter interval is enough.
_BATCH_POLL_S = 0.1
# Maximum wait for Gradio to notice the next closed page. Gradio notices at once unless it is very busy. A page without a heartbeat,
# as in apps without State, is never noticed.
_CLOSE_S = 0.7
# Gradio deletes expired State once a second (`_delete_state` in gradio/route_utils.py, 6.31).
_SWEEP_S = 2.0
# The harness waits until closed sessions' State is deleted if its time to live is at most this.
_SHORT_TTL_S = 10.0
# A closed page's task ends with the page's next heartbeat. The harness waits for it if the interval is at most this.
_SHORT_HEARTBEAT_S = 2.0
_FREED_POLL_S = 0.1


class PlateauRecorder:
    """Measures the plateaus of a run and writes them to its folder.

    Attributes:
        last_census: the census of the last plateau; None if the app has no probe.
    """

    def __init__(self, run: ActiveRun) -> None:
        self._run = run
        self._files = _PlateauFiles(run.run_dir)
        self._idle_tasks: int | None = None
        # The first census and the last, each with the number of requests until then.
        self._first_and_last: list[tuple[Census, int | None]] = []
        self.last_census: Census | None = None

    def measure_idle(self, label: str) -> None:
        """Measure a plateau without sessions, and remember how many tasks the app has then."""
        self._idle_tasks = self.measure(label, 0)

    def measure(self, label: str, sessions: int) -> int | None:
        """Measure and write a plateau and, if the app has a probe, a census.

        Args:
            label: see `harness.records.Plateau`.
            sessions: how many sessions are open.

        Returns:
            The number of the app's asyncio tasks; None if unknown.

        Raises:
            TargetError: the app exited.
        """
        plateau = self._settle(label, sessions)
        if plateau is None:
            return None
        number = self._files.append(plateau)
        census = self._run.target.census(number)
        if census is not None:
            self._files.add(census)
            self._first_and_last = [*self._first_and_last[:1], (census, plateau.requests)]
        self.last_census = census
        return plateau.probe.tasks

    def live_bytes(self) -> int | None:
        """Live heap of the app after its closed sessions were freed; None without a probe."""
        self.wait_until_freed(self._run.target.limits())
        sample = self._run.target.settle()
        return sample.live_bytes if sample is not None else None

    def wait_until_freed(self, limits: GradioLimits | None) -> None:
        """Wait until Gradio has noticed all closed pages and, if their time to live is short, deleted their State.

        The wait ends when neither number has changed for longer than Gradio needs.
        """
        run = self._run
        ttl_s = limits.state_ttl_when_closed_s if limits is not None else None
        # The baseline app has no State to wait for.
        waits_for_state = ttl_s is not None and ttl_s <= _SHORT_TTL_S and run.options.purpose != "control"
        heartbeat_s = limits.heartbeat_interval_s if limits is not None else None
        waits_for_tasks = heartbeat_s is not None and heartbeat_s <= _SHORT_HEARTBEAT_S
        patience_s = _CLOSE_S + ((ttl_s or 0.0) + _SWEEP_S if waits_for_state else 0.0)
        last, since = (-1, -1, -1), time.monotonic()
        while time.monotonic() - since < patience_s:
            sample = run.target.measure()
            if sample is None:
                return
            now = (
                sample.open_sessions or 0,
                (sample.states or 0) if waits_for_state else 0,
                self._tasks_of_pages(sample) if waits_for_tasks else 0,
            )
            if not any(now):
                return
            if now != last:
                last, since = now, time.monotonic()
            run.pause(_FREED_POLL_S)

    def _tasks_of_pages(self, sample: ProbeSample) -> int:
        """Tasks that the app has in addition to those it had without sessions."""
        return 0 if self._idle_tasks is None else max(0, (sample.tasks or 0) - self._idle_tasks)

    def needs_explanation(self) -> bool:
        """Whether the probe must find what retains the objects that grew.

        True for a profile that measures memory, and for any other run in which a container or a type grew unexpectedly.
        False if the profile has neither batches nor rounds, because no growth is judged then.
        """
        plan = self._run.options.profile.staircase
        judged = plan.request_batches or plan.rounds
        if self._run.options.purpose == "control" or not self._first_and_last or not judged:
            return False
        (first, before), (last, after) = self._first_and_last[0], self._first_and_last[-1]
        requests = (after or 0) - (before or 0)
        return self._run.options.profile.warm_until_flat or suspicious(first, last, requests)

    def explain(self) -> None:
        """Ask the probe for retainer paths and write them. This takes the app's time and memory, so nothing is measured after it."""
        for retainer in self._run.target.retainers():
            self._files.explain(retainer)

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _settle(self, label: str, sessions: int) -> Plateau | None:
        """Collect garbage until two measurements agree or the profile's timeout ends; None if the app's process is unknown."""
        run = self._run
        began = time.monotonic()
        deadline = began + run.options.profile.staircase.settle_timeout_s
        before: int | None = None
        returned: int | None = None
        collect = True
        poll_s = _BATCH_POLL_S if label in ("requests", "second-round") else _SETTLE_POLL_S
        while True:
            run.tick()
            pid = run.target.pid
            if pid is None:
                return None
            # Every second measurement does without a collection: it shows whether memory still changes by itself.
            probe = run.target.settle() if collect else run.target.measure()
            collect = not collect
            if probe is not None and probe.returned_bytes is not None:
                returned = (returned or 0) + probe.returned_bytes
            process = self._process_sample(pid)
            if process is None:
                return None
            live = probe.live_bytes if probe is not None else None
            level = live if live is not None else process.rss_bytes
            stable = before is not None and abs(level - before) <= max(_STABLE_BYTES, _STABLE_SHARE * before)
            if stable or time.monotonic() > deadline:
                break
            before = level
            run.pause(poll_s)
        generator = measure_tree(*run.load.pids) if run.load.watched else None
        return Plateau(
            label=label,
            open_sessions=sessions,
            process=process,
            probe=probe or ProbeSample(time_ns=process.time_ns, wall_ns=process.wall_ns),
            loadgen_rss_bytes=generator.rss_bytes if generator else None,
            settle_s=time.monotonic() - began,
            quiet=stable,
            requests=run.done.requests,
            sessions=run.done.sessions,
            pid=pid,
            returned_bytes=returned,
            cgroup=cgroup_of(pid),
        )

    def _process_sample(self, pid: int) -> ProcessSample | None:
        """Memory of the app's process tree; None if an app that gradsoak did not start has exited.

        Raises:
            TargetError: the app exited.
        """
        sample = measure_tree(pid)
        if sample is None:
            target = self._run.target
            target.check_alive("while its memory was measured")
            if target.pid is not None:
                raise TargetError(
                    "The app ended while its memory was measured.",
                    f"Its log: {self._run.run_dir.path / TARGET_LOG}",
                )
        return sample


class _PlateauFiles:
    """Writes plateaus, probe samples, censuses and retainers.

    Each file is created with its first record, because an empty file would look like a loss.
    """

    def __init__(self, run_dir: RunDir) -> None:
        self._dir = run_dir
        self._open: dict[str, JsonLinesWriter] = {}
        self._count = 0

    def append(self, plateau: Plateau) -> int:
        """Write a plateau and return its number."""
        if plateau.probe.live_bytes is not None or plateau.probe.sessions is not None:
            self._writer(PROBE_SAMPLES).append(plateau.probe)
        self._writer(PLATEAUS).append(plateau)
        self._count += 1
        return self._count - 1

    def add(self, census: Census) -> None:
        """Write the census of a plateau."""
        self._writer(CENSUS).append(census)

    def explain(self, retainer: Retainer) -> None:
        """Write what retains an object that grew."""
        self._writer(RETAINERS).append(retainer)

    def close(self) -> None:
        for writer in self._open.values():
            writer.close()

    def _writer(self, name: str) -> JsonLinesWriter:
        if name not in self._open:
            self._open[name] = self._dir.writer(name)
        return self._open[name]
