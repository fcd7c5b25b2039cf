"""A run in progress: its app, load generator, sampler and event log, which all steps of the run use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from harness import profiles
from harness.app_under_test import AppUnderTest, ExternalTarget, Target
from harness.errors import StorageError
from harness.load.cluster.client import DistributedGenerator
from harness.load.commands import ActBatch, Command, Done, GeneratorConfig
from harness.load.generator_client import LoadGenerator
from harness.records import LoadStatus, ProcessSample, RunEvent, StateVariable
from harness.run_dir import (
    EVENTS,
    LOADGEN_LOG,
    LOADGEN_SAMPLES,
    MANIFEST,
    PROCESS_SAMPLES,
    TARGET_LOG,
    WORKLOAD,
    RunDir,
)
from harness.runs.live_check import LiveCheck
from harness.runs.manifest_builder import build_manifest
from harness.runs.progress import OperationRate, Progress
from harness.runs.run_options import RunOptions, launch_environment
from harness.sampling import Sampler

# The number of the only worker. Several workers have the numbers from 1 on.
_SINGLE_WORKER = "0"
_PAUSE_STEP_S = 0.1


class ActiveRun:
    """The processes and the event log of a run in progress. Creating one writes the manifest and the workload.

    Args:
        options: what to run.
        run_dir: a new run folder.
        on_progress: called several times a second, in this thread.

    Attributes:
        done: the totals that the load generator reported last.

    Raises:
        StorageError: the manifest or the workload cannot be written.
    """

    def __init__(self, options: RunOptions, run_dir: RunDir, on_progress: Callable[[Progress], None]) -> None:
        self.options = options
        self.run_dir = run_dir
        self.done = Done(requests=0, sessions=0)
        self.sampler = Sampler(
            options.profile.sample_interval_s,
            on_gap=lambda name, gap_s: self.event("sampler_gap", process=name, gap_s=round(gap_s, 3)),
        )
        self._on_progress = on_progress
        self._began_ns = time.monotonic_ns()
        self._phase = "start"
        self._rate = OperationRate()
        self._notices_recorded: set[str] = set()
        self._events = run_dir.writer(EVENTS)
        self._target: AppUnderTest | None = None
        self._load: LoadGenerator | None = None
        self._manifest = build_manifest(options, run_dir.path.name)
        self._live = LiveCheck(run_dir, self._manifest.run_tag)
        run_dir.write_json(MANIFEST, self._manifest)
        run_dir.write_bytes(WORKLOAD, options.scenario.workload.read_bytes())

    @property
    def target(self) -> AppUnderTest:
        """The app under test, once `start` has been called."""
        assert self._target is not None
        return self._target

    @property
    def load(self) -> LoadGenerator:
        """The load generator, once `start` has been called."""
        assert self._load is not None
        return self._load

    def start(self) -> None:
        """Start the app, the load generator and the sampler.

        Raises:
            HarnessError: the app or the load generator does not start.
        """
        options = self.options
        self.enter("start")
        self._target = target = _target(options, self.run_dir)
        # Both processes import for seconds. Nothing is measured yet, so they start at the same time.
        self._load = self._make_generator()
        url = target.wait_ready(options.ready_timeout_s, self.show)
        self.event("target_ready", **target.describe())
        ready = self._load.configure(self._generator_config(url), self.tick)
        # Only the workload declares the state variables, so the manifest gets them now.
        self._declare(ready.state)
        for text in config_warnings(options, asks_login=target.asks_login):
            self.warn(text)
        if target.pid is not None:
            self.sampler.watch("target", target.pid, self.run_dir.writer(PROCESS_SAMPLES))
        if self._load.watched:
            self.sampler.watch("loadgen", self._load.pids, self.run_dir.writer(LOADGEN_SAMPLES))
        self.sampler.start()

    def quit_load(self) -> None:
        """End the load generator and record its last notices."""
        self.load.quit(self.tick)
        self._record_notices()

    def stop(self, ended: str, reason: str) -> None:
        """Stop all processes that were started, and record how the run ended.

        Args:
            ended: see `harness.records.Seal`.
            reason: why it ended early.
        """
        self._phase = "stop"
        if self._load is not None:
            self._load.stop()
        self.sampler.stop()
        if self._target is not None:
            self._target.stop(seen=self.sampler.members("target"))
        if ended == "completed":
            self.event("phase", name="end")
        else:
            self._record_early_end(ended, reason)
        self._events.close()

    # --- steps ---

    def perform(self, command: Command) -> Done:
        """Let the load generator execute a command, and wait for its end."""
        self.done = self.load.perform(
            command, self.tick, on_steady=lambda users: self.event("steady", users=users)
        )
        return self.done

    def perform_actions(self, requests: int, phase: str) -> None:
        """Let the held sessions perform this many actions in total."""
        if requests:
            timeout_s = self.options.profile.staircase.batch_timeout_s
            self.perform(ActBatch(requests=requests, duration_s=timeout_s, phase=phase))

    def pause(self, seconds: float) -> None:
        """Wait, and keep watching the processes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.tick()
            time.sleep(min(left, _PAUSE_STEP_S))

    def tick(self) -> None:
        """Check that the app, the load generator and the sampler work, and show the progress.

        Raises:
            HarnessError: one of them has failed.
        """
        if self._target is not None:
            for text in self._target.news():
                self.warn(text)
            self._target.check_alive(f"during the phase {self._phase!r}")
        if self.sampler.failure is not None:
            raise self.sampler.failure
        if self._load is not None:
            self._load.poll()
            self._record_notices()
        self.show()

    def show(self) -> None:
        """Show the progress."""
        self._on_progress(self._progress())

    # --- events ---

    def enter(self, phase: str, **detail: Any) -> None:
        """Record that a phase begins."""
        self._phase = phase
        self.event("phase", name=phase, **detail)

    def warn(self, text: str) -> None:
        """Record a warning for the report."""
        self.event("warning", text=text)

    def event(self, kind: str, **detail: Any) -> None:
        """Record an event; see docs/file-formats.md for the kinds."""
        event = RunEvent(time_ns=time.monotonic_ns(), wall_ns=time.time_ns(), kind=kind, detail=detail)
        self._events.append(event)
        self._live.on_event(event)

    def _record_early_end(self, ended: str, reason: str) -> None:
        kinds = {"interrupted": "interrupted", "target_failed": "target_exit", "load_failed": "loadgen_exit"}
        try:
            self.event(kinds.get(ended, "error"), reason=reason)
        except StorageError:
            return

    def _record_notices(self) -> None:
        """Record each notice of the load generator once, as a warning."""
        status = self._load.status if self._load is not None else None
        for text in status.notices if status is not None else ():
            if text not in self._notices_recorded:
                self._notices_recorded.add(text)
                self.warn(f"{text[0].upper()}{text[1:]}")

    # --- parts ---

    def _make_generator(self) -> LoadGenerator:
        scenario, log = self.options.scenario, self.run_dir.path / LOADGEN_LOG
        if self.options.cluster is None:
            return LoadGenerator(log=log, cwd=scenario.folder)
        return DistributedGenerator(
            self.options.cluster,
            scenario.workload,
            log=log,
            cwd=scenario.folder,
            on_event=self.event,
        )

    def _generator_config(self, url: str) -> GeneratorConfig:
        options = self.options
        return GeneratorConfig(
            url=url,
            workload=str(options.scenario.workload),
            # Of a single worker. Several workers write shards of their own.
            history=str(self.run_dir.history_path(_SINGLE_WORKER).resolve()),
            samples=str(self.run_dir.generator_samples_path(_SINGLE_WORKER).resolve()),
            run_tag=self._manifest.run_tag,
            worker=int(_SINGLE_WORKER),
            seed=options.seed,
            params=options.params,
            profile=options.profile,
            auth=options.auth if self.target.asks_login else [],
            driver=options.driver,
        )

    def _declare(self, state: dict[str, StateVariable]) -> None:
        self._manifest = msgspec.structs.replace(self._manifest, state=state)
        self.run_dir.write_json(MANIFEST, self._manifest)

    def _progress(self) -> Progress:
        status: LoadStatus | None = self._load.status if self._load else None
        sample: ProcessSample | None = self.sampler.last.get("target")
        operations = status.operations if status else 0
        return Progress(
            phase=self._phase,
            elapsed_s=(time.monotonic_ns() - self._began_ns) / 1e9,
            users=status.users if status else 0,
            open_sessions=status.open_sessions if status else 0,
            operations=operations,
            failures=status.failures if status else 0,
            operations_per_s=self._rate.update(time.monotonic(), operations),
            p95_ms=status.p95_ms if status else None,
            server_rss_bytes=sample.rss_bytes if sample else None,
            anomalies=self._live.anomalies(self._manifest.state),
            anomalies_are_all=self._live.final,
        )


def _target(options: RunOptions, run_dir: RunDir) -> AppUnderTest:
    """The app under test: a process of the harness, or an app that runs already."""
    if options.external is not None:
        return ExternalTarget(options.external.facts, options.external.record.pid)
    assert options.interpreter is not None
    return Target(
        options.scenario.app,
        options.interpreter,
        run_dir.path / TARGET_LOG,
        options.params,
        options.auth,
        environment=launch_environment(options),
    )


def config_warnings(options: RunOptions, *, asks_login: bool) -> list[str]:
    """Warnings about options that have no effect on this app or this machine.

    Args:
        options: the options of the run.
        asks_login: whether the app has a login.
    """
    found = profiles.config_warnings(options.profile)
    if options.auth and not asks_login:
        found.append(
            "A login was given (--auth or GRADSOAK_AUTH), but the app asks for none: no session logged in"
        )
    if options.external is None:
        return found
    if options.scenario.restart:
        found.append(
            "The scenario restarts the app, but gradsoak did not start this app: it was not restarted, and the run does not show "
            "which state survives a restart"
        )
    changed = [
        f"{name}={value}" for name, value in options.params.items() if value != options.scenario.params[name]
    ]
    if changed:
        found.append(
            f"The app runs already, so only the workload received --param {', '.join(changed)}: start the app with the same values"
        )
    return found
