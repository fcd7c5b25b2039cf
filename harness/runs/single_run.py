"""One run: start the app, warm it up, climb the staircase, drive it, drain it, seal what was seen.

Everything that is observed is on disk before anything is concluded from it; `harness.evaluate` does that part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from harness import profiles
from harness.analysis.memory.allocation_sites import MAX_FRAMES
from harness.analysis.memory.type_growth import suspicious
from harness.app_under_test import AppUnderTest, ExternalTarget, Target
from harness.child_process import uninterrupted
from harness.errors import HarnessError, StorageError, TargetError, UsageError
from harness.load.cluster.client import DistributedGenerator
from harness.load.commands import ActBatch, Command, Done, Drive, GeneratorConfig, Hold, Release, Return
from harness.load.generator_client import LoadGenerator
from harness.records import (
    EXPLAIN_PHASE,
    IDLE_PHASE,
    NOT_TRACED,
    REQUESTS_PHASE,
    RESTART_PHASE,
    RETURN_PHASE,
    SECOND_ROUND_PHASE,
    TRACED,
    Census,
    GradioLimits,
    LoadStatus,
    Plateau,
    ProbeSample,
    ProcessSample,
    Retainer,
    RunEvent,
    StateVariable,
)
from harness.run_dir import (
    CENSUS,
    EVENTS,
    LOADGEN_LOG,
    LOADGEN_SAMPLES,
    MANIFEST,
    MEMRAY_FILE,
    PLATEAUS,
    PROBE_SAMPLES,
    PROCESS_SAMPLES,
    RETAINERS,
    TARGET_LOG,
    WORKLOAD,
    JsonLinesWriter,
    RunDir,
)
from harness.runs import memray_pass
from harness.runs.live_check import LiveCheck
from harness.runs.plan import RunOptions, build_manifest, launch_environment
from harness.sampling import Sampler, cgroup_of, measure_tree

WORKER = "0"
_WARMUP_USERS = 4
# As many as will ever be at work at once on the staircase (`HOLDERS_AT_WORK` in harness/load/users/holder.py), and not more: anyio keeps
# a thread for each, and ends those that it has not needed for ten seconds, 16 KB of live heap each, in the middle of the steps.
_WARMUP_USERS_FLAT = 8
# Warm-ups in a row, and how near to each other two of them must leave the live heap.
_WARMUP_TURNS = 6
_FLAT_SHARE = 0.002
_FLAT_BYTES = 256 * 1024
_STEADY_SHARE = 0.6
_SETTLE_POLL_S = 0.25
# Between the batches of one phase nothing is expected to go on by itself, so a shorter look will do.
_BATCH_POLL_S = 0.1
# Longest wait for the next page of which Gradio notices that it has closed; it does so at once unless it is very busy. It
# never does of one that had no heartbeat, as in apps without State.
_CLOSE_S = 0.7
# Gradio looks once a second for State that has outlived its time (`_delete_state` in gradio/route_utils.py, 6.31).
_SWEEP_S = 2.0
# State that lives no longer than this after its session has closed is waited for.
_SHORT_TTL_S = 10.0
# The tasks of closed pages end with their next heartbeat; one that comes as soon as this is waited for.
_SHORT_HEARTBEAT_S = 2.0
_FREED_POLL_S = 0.1
# Two settled measurements in a row that differ by less than this share, or this much, are one plateau.
_QUIET_SHARE = 0.001
_QUIET_BYTES = 64 * 1024


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What is known while a run is under way, for display.

    Attributes:
        elapsed_s: since the start of the run.
        users: active users and holders.
        operations_per_s: over the last few seconds.
        anomalies: found so far, None before the first look.
        anomalies_are_all: False if nobody has looked for a while, since that had become too costly.
        server_rss_bytes: of the target's process tree.
    """

    phase: str
    elapsed_s: float
    users: int
    open_sessions: int
    operations: int
    failures: int
    operations_per_s: float | None
    p95_ms: float | None
    server_rss_bytes: int | None
    anomalies: int | None
    anomalies_are_all: bool


def execute(
    options: RunOptions, run_dir: RunDir, on_progress: Callable[[Progress], None]
) -> HarnessError | None:
    """Do the run and seal it.

    Args:
        options: what to run.
        run_dir: a new run folder.
        on_progress: called several times a second, in this thread.

    Returns:
        What ended the run early, None if it was completed. What was observed until then is on disk.

    Raises:
        HarnessError: the run never began, because its manifest could not be written, or it could not be sealed.
        KeyboardInterrupt: the user ended it; it is sealed as interrupted.
    """
    with uninterrupted():
        run = _Run(options, run_dir, on_progress)
    ended, reason = "completed", ""
    early: HarnessError | None = None
    try:
        run.observe()
    except KeyboardInterrupt:
        ended, reason = "interrupted", "The run was interrupted."
        raise
    except HarnessError as error:
        kinds = {TargetError: "target_failed", StorageError: "storage_failed", UsageError: "misused"}
        ended, reason, early = kinds.get(type(error), "load_failed"), error.message, error
    except BaseException as error:
        ended, reason = "internal_error", f"{type(error).__name__}: {error}"
        raise
    finally:
        # A second Ctrl-C must not leave processes behind, or a run without its seal.
        with uninterrupted():
            run.finish(ended, reason)
    return early


class _Run:
    def __init__(self, options: RunOptions, run_dir: RunDir, on_progress: Callable[[Progress], None]) -> None:
        self._options = options
        self._dir = run_dir
        self._on_progress = on_progress
        self._began_ns = time.monotonic_ns()
        self._phase = "start"
        self._rate = _Rate()
        self._noticed: set[str] = set()
        self._events = run_dir.writer(EVENTS)
        self._plateaus = _PlateauFiles(run_dir)
        self._target: AppUnderTest | None = None
        self._done = Done(requests=0, sessions=0)
        self._idle_tasks: int | None = None
        # The first census and the last, with the requests until then.
        self._counted: list[tuple[Census, int | None]] = []
        self._last_census: Census | None = None
        self._load: LoadGenerator | None = None
        self._sampler = Sampler(
            options.profile.sample_interval_s,
            on_gap=lambda name, gap_s: self._event("sampler_gap", process=name, gap_s=round(gap_s, 3)),
        )
        self._manifest = build_manifest(options, run_dir.path.name)
        self._live = LiveCheck(run_dir, self._manifest.run_tag)
        run_dir.write_json(MANIFEST, self._manifest)
        run_dir.write_bytes(WORKLOAD, options.scenario.workload.read_bytes())

    # --- the path ---

    def observe(self) -> None:
        """From the start of the app to the last measurement."""
        options, profile = self._options, self._options.profile
        self._enter("start")
        self._target = target = _target(options, self._dir)
        # Both take seconds to import their libraries; the app is not measured yet, so they may do it together.
        self._load = self._make_generator()
        url = target.wait_ready(options.ready_timeout_s, self._show)
        self._event("target_ready", **target.describe())
        ready = self._load.configure(
            GeneratorConfig(
                url=url,
                workload=str(options.scenario.workload),
                # Of a single worker. Several have numbers of their own from 1 on, and shards beside this one.
                history=str(self._dir.history_path(WORKER).resolve()),
                samples=str(self._dir.generator_samples_path(WORKER).resolve()),
                run_tag=self._manifest.run_tag,
                worker=int(WORKER),
                seed=options.seed,
                params=options.params,
                profile=profile,
                auth=options.auth if target.asks_login else [],
                driver=options.driver,
            ),
            self._tick,
        )
        self._declare(ready.state)
        for text in self._doubts(target):
            self._event("warning", text=text)
        if target.pid is not None:
            self._sampler.watch("target", target.pid, self._dir.writer(PROCESS_SAMPLES))
        if self._load.watched:
            self._sampler.watch("loadgen", self._load.pids, self._dir.writer(LOADGEN_SAMPLES))
        self._sampler.start()
        if profile.warmup_s > 0:
            self._warm_up()
        if options.purpose == "attribution":
            self._attribute()
            self._load.quit(self._tick)
            self._pass_on_notices()
            return
        self._enter("staircase")
        self._idle_tasks = self._measure("staircase", 0)
        held = 0
        for level in range(1, profile.staircase.levels + 1):
            wanted = level * profile.staircase.sessions_per_level
            done = self._perform(Hold(sessions=wanted, phase="staircase"))
            if done.held < wanted:
                self._event(
                    "warning",
                    text=f"{wanted - done.held} of {wanted} sessions of the staircase could not be opened or given their state",
                )
            held = done.held
            self._let_act(profile.staircase.requests_per_level, "staircase")
            self._measure("staircase", held)
        limits = target.limits()
        if limits is not None:
            self._event("limits", **msgspec.to_builtins(limits))
        self._request_batches(held)
        self._leave_alone(held)
        if profile.duration_s > 0:
            self._timed()
        self._enter("drain")
        self._perform(Release(phase="drain"))
        self._enter("after-close")
        self._wait_until_freed(limits)
        self._measure("after-close", 0)
        self._second_round(limits)
        if self._is_worth_asking():
            self._ask_why(target)
        if options.scenario.restart and options.external is None:
            # Last, when nothing is open any more and memory has been measured: neither could be compared with what was before.
            self._restart(target)
        self._load.quit(self._tick)
        self._pass_on_notices()

    def finish(self, ended: str, reason: str) -> None:
        """Stop everything that was started, and seal the folder."""
        self._phase = "stop"
        if self._load is not None:
            self._load.stop()
        self._sampler.stop()
        if self._target is not None:
            self._target.stop(seen=self._sampler.members("target"))
        if ended == "completed":
            self._event("phase", name="end")
        else:
            self._last_words(ended, reason)
        self._events.close()
        self._plateaus.close()
        try:
            self._dir.seal(ended, reason)
        except StorageError:
            # Without the seal the run counts as incomplete, which is what it is.
            if ended == "completed":
                raise

    def _last_words(self, ended: str, reason: str) -> None:
        kinds = {"interrupted": "interrupted", "target_failed": "target_exit", "load_failed": "loadgen_exit"}
        try:
            self._event(kinds.get(ended, "error"), reason=reason)
        except StorageError:
            return

    def _doubts(self, target: AppUnderTest) -> list[str]:
        """What was asked for, and is not or may not be what happens."""
        options = self._options
        found = profiles.config_warnings(options.profile)
        if options.auth and not target.asks_login:
            found.append(
                "A login was given (--auth or GRADSOAK_AUTH), but the app asks for none: no session logged in"
            )
        if options.external is not None and options.scenario.restart:
            found.append(
                "The scenario asks for a restart of the app in the middle of the run, but gradsoak did not start this app: it is "
                "not restarted, and what survives that was not seen"
            )
        told = [
            f"{name}={value}"
            for name, value in options.params.items()
            if value != options.scenario.params[name]
        ]
        if options.external is not None and told:
            found.append(
                f"The app runs already, so that --param {', '.join(told)} was told to the workload only: start the app with the same"
            )
        return found

    # --- steps ---

    def _timed(self) -> None:
        """The timed phase: the one that figures of time come from."""
        profile = self._options.profile
        self._enter("load", users=profile.users if profile.model == "closed" else 0)
        driven = self._perform(
            Drive(
                users=profile.users,
                spawn_rate=profile.spawn_rate,
                duration_s=profile.duration_s,
                phase="load",
                arrival_rate=profile.arrival_rate,
            )
        )
        if driven.arrivals is not None:
            self._event("arrivals", **msgspec.to_builtins(driven.arrivals))

    def _restart(self, target: AppUnderTest) -> None:
        """Stop the app, start it again, and let people of the load phase come back: is what it had acknowledged still there?"""
        profile = self._options.profile
        self._enter(RESTART_PHASE)
        began, old_pid = time.monotonic(), target.pid
        stopped = target.restart(
            self._options.ready_timeout_s, self._show, seen=self._sampler.members("target")
        )
        self._event(
            "target_restart",
            old_pid=old_pid,
            new_pid=target.pid,
            stopped=stopped,
            duration_s=round(time.monotonic() - began, 3),
        )
        if stopped.endswith("SIGKILL"):
            self._event(
                "warning",
                text="The app did not end within 10 s of SIGTERM and was killed: what it wanted to write at its end is lost",
            )
        if target.pid is not None:
            self._sampler.follow("target", target.pid)
        self._enter(RETURN_PHASE)
        people = profile.users if profile.model == "closed" else profile.max_in_flight
        self._perform(Return(users=people, phase=RETURN_PHASE))

    def _warm_up(self) -> None:
        """A few users, since the first requests of a process import and cache much; with a profile that asks for it, again and again
        until memory has come to rest."""
        profile = self._options.profile
        users = min(_WARMUP_USERS, profile.users)
        if profile.warm_until_flat:
            # As many at once as each step will bring, since threads and connections are kept for as many as there ever were, for a while.
            users = max(users, min(_WARMUP_USERS_FLAT, profile.staircase.sessions_per_level))
        self._enter("warm-up", users=users)
        levels: list[int] = []
        for turn in range(_WARMUP_TURNS if profile.warm_until_flat else 1):
            self._perform(Drive(users=users, spawn_rate=users, duration_s=profile.warmup_s, phase="warm-up"))
            if not profile.warm_until_flat:
                return
            seen = self._settled()
            if seen is None:
                return
            levels.append(seen)
            if _is_warm(levels):
                self._event("warm", turns=turn + 1, live_bytes=seen)
                return
        self._event(
            "warning",
            text=f"Memory had not come to rest after {_WARMUP_TURNS} warm-ups of {profile.warmup_s:g} s: what is still being imported "
            "or cached then is told as the cost of the first sessions. Give the profile a longer warmup_s",
        )

    def _settled(self) -> int | None:
        """Live bytes once those who warmed the app up have gone and their State with them; None without a probe."""
        assert self._target is not None
        self._wait_until_freed(self._target.limits())
        seen = self._target.settle()
        return seen.live_bytes if seen is not None else None

    def _make_generator(self) -> LoadGenerator:
        scenario, log = self._options.scenario, self._dir.path / LOADGEN_LOG
        if self._options.cluster is None:
            return LoadGenerator(log=log, cwd=scenario.folder)
        return DistributedGenerator(
            self._options.cluster,
            scenario.workload,
            log=log,
            cwd=scenario.folder,
            on_event=self._event,
        )

    def _request_batches(self, held: int) -> None:
        """Let the sessions that are held act, with a plateau after each batch: what grows with requests alone?"""
        plan = self._options.profile.staircase
        if not plan.request_batches or not held:
            return
        self._enter(REQUESTS_PHASE)
        for _ in range(plan.request_batches):
            self._let_act(plan.requests_per_batch, REQUESTS_PHASE)
            self._measure("requests", held)

    def _leave_alone(self, held: int) -> None:
        """Let the sessions that are held do nothing for a while: what does Gradio let go of by itself?"""
        idle_s = self._options.profile.staircase.idle_s
        if idle_s > 0 and held:
            self._enter(IDLE_PHASE)
            self._pause(idle_s)
            self._measure("idle", held)

    def _let_act(self, requests: int, phase: str) -> None:
        """Let the sessions that are held act, so many times in all."""
        if requests:
            timeout_s = self._options.profile.staircase.batch_timeout_s
            self._perform(ActBatch(requests=requests, duration_s=timeout_s, phase=phase))

    def _second_round(self, limits: GradioLimits | None) -> None:
        """Let new sessions come and go, with a plateau after each batch: what does each of them leave behind?"""
        plan = self._options.profile.staircase
        if not plan.rounds:
            return
        self._enter(SECOND_ROUND_PHASE)
        for _ in range(plan.rounds):
            opened = self._perform(Hold(sessions=plan.sessions_per_level, phase=SECOND_ROUND_PHASE))
            if not opened.held:
                self._event(
                    "warning", text="No session of the second round could be opened and given its state"
                )
                return
            self._perform(Release(phase=SECOND_ROUND_PHASE))
            self._wait_until_freed(limits)
            self._measure("second-round", 0)

    def _attribute(self) -> None:
        """In place of the experiment: sessions come, act and go while everything that the app allocates is traced. Which lines of code
        allocated what is still there then?"""
        target, plan = self._target, self._options.profile.staircase
        assert isinstance(target, Target)
        assert self._options.interpreter is not None
        file = (self._dir.path / MEMRAY_FILE).resolve()
        self._enter("staircase")
        self._idle_tasks = self._measure("staircase", 0)
        before = self._last_census
        began, asked, came = time.monotonic(), self._done.requests or 0, self._done.sessions or 0
        started = target.start_trace(file, MAX_FRAMES, memray_pass.lent_memray())
        if "error" in started:
            why = (
                memray_pass.why_missing(self._options.interpreter.path, started["error"])
                if started.get("missing")
                else f"memray could not be started: {started['error']}."
            )
            self._event(NOT_TRACED, reason=why)
            return
        limits = target.limits()
        held = self._perform(Hold(sessions=plan.sessions_per_level, phase="staircase")).held
        self._enter(REQUESTS_PHASE)
        for _ in range(plan.request_batches if held else 0):
            self._let_act(plan.requests_per_batch, REQUESTS_PHASE)
        self._enter("drain")
        self._perform(Release(phase="drain"))
        self._enter("after-close")
        self._wait_until_freed(limits)
        # Twice: what the first collection lets go of may let go of more.
        target.settle()
        target.settle()
        stopped = target.stop_trace()
        if "error" in stopped:
            self._event(
                NOT_TRACED,
                reason=f"memray could not write down what it had seen: {stopped['error']}.",
            )
            return
        traced_s = time.monotonic() - began
        self._measure("after-close", 0)
        grown = memray_pass.grown_paths(before, self._last_census)
        told = target.traced_entries(grown)
        target.end_trace()
        for event in memray_pass.record(
            self._dir, self._options.scenario.app.parent, told.get("entries", [])
        ):
            window = {
                "memray": started["memray"],
                "sessions": (self._done.sessions or 0) - came,
                "requests": (self._done.requests or 0) - asked,
                "traced_s": round(traced_s, 3),
            }
            self._event(event.kind, **event.detail, **(window if event.kind == TRACED else {}))

    def _is_worth_asking(self) -> bool:
        """Always where memory is what the run is for; otherwise if something grew that need not have."""
        if self._options.purpose == "control" or not self._counted:
            return False
        (first, before), (last, after) = self._counted[0], self._counted[-1]
        return self._options.profile.warm_until_flat or suspicious(first, last, (after or 0) - (before or 0))

    def _ask_why(self, target: AppUnderTest) -> None:
        """Why is what grew still there? Asked when nothing is measured any more, since looking for it takes the app's time and memory."""
        self._enter(EXPLAIN_PHASE)
        for retainer in target.retainers():
            self._plateaus.explain(retainer)

    def _wait_until_freed(self, limits: GradioLimits | None) -> None:
        """Wait until Gradio has seen all pages close, and until it has let go of their State, if it does so within seconds."""
        assert self._target is not None
        ttl_s = limits.state_ttl_when_closed_s if limits is not None else None
        # Nobody need wait for the State of a control: there is nothing in it.
        short = ttl_s is not None and ttl_s <= _SHORT_TTL_S and self._options.purpose != "control"
        beat_s = limits.heartbeat_interval_s if limits is not None else None
        soon = beat_s is not None and beat_s <= _SHORT_HEARTBEAT_S
        patience_s = _CLOSE_S + ((ttl_s or 0.0) + _SWEEP_S if short else 0.0)
        left, since = (-1, -1, -1), time.monotonic()
        while time.monotonic() - since < patience_s:
            seen = self._target.measure()
            if seen is None:
                return
            # What served a page ends a little after Gradio has seen the page close, if its heartbeat is quick.
            tasks = (
                max(0, (seen.tasks or 0) - self._idle_tasks) if soon and self._idle_tasks is not None else 0
            )
            now = (seen.open_sessions or 0, (seen.states or 0) if short else 0, tasks)
            if not any(now):
                return
            if now != left:
                left, since = now, time.monotonic()
            self._pause(_FREED_POLL_S)

    def _measure(self, label: str, sessions: int) -> int | None:
        """Put down a plateau, if the app's memory can be seen at all, and count what the app holds; its tasks, if anybody knows."""
        assert self._target is not None
        plateau = self._settle(label, sessions)
        if plateau is None:
            return None
        number = self._plateaus.append(plateau)
        census = self._target.census(number)
        if census is not None:
            self._plateaus.add(census)
            self._counted = [*self._counted[:1], (census, plateau.requests)]
        self._last_census = census
        return plateau.probe.tasks

    def _settle(self, label: str, sessions: int) -> Plateau | None:
        """Bring memory to rest until two measurements agree, or the profile's patience ends; None without a process to look at."""
        assert self._target is not None
        assert self._load is not None
        began = time.monotonic()
        deadline = began + self._options.profile.staircase.settle_timeout_s
        before: int | None = None
        returned: int | None = None
        collect = True
        poll_s = _BATCH_POLL_S if label in ("requests", "second-round") else _SETTLE_POLL_S
        while True:
            self._tick()
            pid = self._target.pid
            if pid is None:
                return None
            # What was just collected need not be collected again to see whether something still moves.
            probe = self._target.settle() if collect else self._target.measure()
            collect = not collect
            if probe is not None and probe.returned_bytes is not None:
                returned = (returned or 0) + probe.returned_bytes
            process = measure_tree(pid)
            if process is None:
                self._target.check_alive("while its memory was measured")
                if self._target.pid is None:
                    return None
                raise TargetError(
                    "The app ended while its memory was measured.", f"Its log: {self._dir.path / TARGET_LOG}"
                )
            inside = probe.live_bytes if probe is not None else None
            level = inside if inside is not None else process.rss_bytes
            quiet = before is not None and abs(level - before) <= max(_QUIET_BYTES, _QUIET_SHARE * before)
            if quiet or time.monotonic() > deadline:
                break
            before = level
            self._pause(poll_s)
        generator = measure_tree(*self._load.pids) if self._load.watched else None
        return Plateau(
            label=label,
            open_sessions=sessions,
            process=process,
            probe=probe or ProbeSample(time_ns=process.time_ns, wall_ns=process.wall_ns),
            loadgen_rss_bytes=generator.rss_bytes if generator else None,
            settle_s=time.monotonic() - began,
            quiet=quiet,
            requests=self._done.requests,
            sessions=self._done.sessions,
            pid=pid,
            returned_bytes=returned,
            cgroup=cgroup_of(pid),
        )

    def _perform(self, command: Command) -> Done:
        assert self._load is not None
        self._done = self._load.perform(
            command, self._tick, on_steady=lambda users: self._event("steady", users=users)
        )
        return self._done

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._tick()
            time.sleep(min(left, 0.1))

    def _tick(self) -> None:
        """Whatever must be looked at all the time: is everybody alive, and what does the user see?"""
        if self._target is not None:
            for text in self._target.news():
                self._event("warning", text=text)
            self._target.check_alive(f"during the phase {self._phase!r}")
        if self._sampler.failure is not None:
            raise self._sampler.failure
        if self._load is not None:
            self._load.poll()
            self._pass_on_notices()
        self._show()

    def _pass_on_notices(self) -> None:
        """What pages cannot do, or have noticed, is for whoever reads the report."""
        status = self._load.status if self._load is not None else None
        for text in status.notices if status is not None else ():
            if text not in self._noticed:
                self._noticed.add(text)
                self._event("warning", text=f"{text[0].upper()}{text[1:]}")

    def _show(self) -> None:
        self._on_progress(self._progress())

    def _progress(self) -> Progress:
        status: LoadStatus | None = self._load.status if self._load else None
        sample: ProcessSample | None = self._sampler.last.get("target")
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

    def _enter(self, phase: str, **detail: Any) -> None:
        self._phase = phase
        self._event("phase", name=phase, **detail)

    def _event(self, kind: str, **detail: Any) -> None:
        event = RunEvent(time_ns=time.monotonic_ns(), wall_ns=time.time_ns(), kind=kind, detail=detail)
        self._events.append(event)
        self._live.heard(event)

    def _declare(self, state: dict[str, StateVariable]) -> None:
        """Complete the manifest with what only the workload knows."""
        self._manifest = msgspec.structs.replace(self._manifest, state=state)
        self._dir.write_json(MANIFEST, self._manifest)


def _target(options: RunOptions, run_dir: RunDir) -> AppUnderTest:
    """The app under test, started, or as it runs already."""
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


def _is_warm(levels: list[int]) -> bool:
    """Whether the live heap after each warm-up shows that nothing is imported or cached any more.

    Either it has come to rest, or it grows by as much each time: that is what sessions leave behind, or a leak, and no warming up.
    """
    if len(levels) < 2:
        return False
    grew = levels[-1] - levels[-2]
    if abs(grew) <= max(_FLAT_BYTES, _FLAT_SHARE * levels[-2]):
        return True
    return len(levels) > 2 and grew >= _STEADY_SHARE * (levels[-2] - levels[-3]) > 0


class _PlateauFiles:
    """Writes plateaus, and what the probe said and counted at them. Files appear with what they hold: an empty one looks like a loss."""

    def __init__(self, run_dir: RunDir) -> None:
        self._dir = run_dir
        self._open: dict[str, JsonLinesWriter] = {}
        self._count = 0

    def append(self, plateau: Plateau) -> int:
        """Write a plateau; returns its number."""
        if plateau.probe.live_bytes is not None or plateau.probe.sessions is not None:
            self._writer(PROBE_SAMPLES).append(plateau.probe)
        self._writer(PLATEAUS).append(plateau)
        self._count += 1
        return self._count - 1

    def add(self, census: Census) -> None:
        """Write what was counted at a plateau."""
        self._writer(CENSUS).append(census)

    def explain(self, retainer: Retainer) -> None:
        """Write why something that grew is still there."""
        self._writer(RETAINERS).append(retainer)

    def close(self) -> None:
        for writer in self._open.values():
            writer.close()

    def _writer(self, name: str) -> JsonLinesWriter:
        if name not in self._open:
            self._open[name] = self._dir.writer(name)
        return self._open[name]


class _Rate:
    """Operations per second over a sliding window."""

    WINDOW_S = 3.0

    def __init__(self) -> None:
        self._points: list[tuple[float, int]] = []

    def update(self, now: float, total: int) -> float | None:
        """Add a point; None until there are two."""
        self._points.append((now, total))
        while len(self._points) > 2 and now - self._points[1][0] >= self.WINDOW_S:
            self._points.pop(0)
        then, before = self._points[0]
        return (total - before) / (now - then) if now - then > 0.2 else None
