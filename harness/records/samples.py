"""Records of measurements: samples of processes and of the probe, plateaus, censuses."""

from __future__ import annotations

from typing import Literal

import msgspec


class ProcessSample(msgspec.Struct, frozen=True, kw_only=True):
    """Memory, CPU time and resources of a process tree: sums over its processes, as the operating system reports them.

    Attributes:
        time_ns: when it was measured, monotonic clock of the machine, nanoseconds.
        wall_ns: when it was measured, nanoseconds since 1970.
        processes: number of processes in the tree.
        rss_bytes: resident set size, bytes.
        uss_bytes: unique set size, bytes; null where the system does not report it.
        cpu_s: user and system time so far, seconds. It includes processes that ended after an earlier sample had listed them.
        threads: number of threads.
        open_files: number of open file descriptors, sockets included; null where the system does not report it.
        pss_bytes: proportional set size, bytes: each shared memory page counts in part. Null except at plateaus.
    """

    time_ns: int
    wall_ns: int
    processes: int
    rss_bytes: int
    uss_bytes: int | None
    cpu_s: float
    threads: int
    open_files: int | None
    pss_bytes: int | None = None


class CgroupSample(msgspec.Struct, frozen=True, kw_only=True):
    """Memory that the kernel charges to the app's control group. This includes other processes in the group.

    Attributes:
        path: the group, as in `/proc/<pid>/cgroup`.
        version: version of the cgroup hierarchy, 1 or 2.
        current_bytes: all memory charged, page cache included, bytes; null where the kernel does not report it.
        anonymous_bytes: anonymous memory, bytes; null where the kernel does not report it.
        file_bytes: page cache, bytes; null where the kernel does not report it.
        limit_bytes: the group's memory limit, bytes; null without a limit.
    """

    path: str
    version: int
    current_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    limit_bytes: int | None = None


class ProbeSample(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the probe, which runs inside the app. A field is null if the probe could not determine it.

    Attributes:
        time_ns: when it was measured, monotonic clock of the machine, nanoseconds.
        wall_ns: when it was measured, nanoseconds since 1970.
        sessions: number of sessions in Gradio's StateHolder: open sessions, and closed sessions that Gradio still keeps.
        open_sessions: number of these sessions whose page is still open, as far as Gradio knows.
        states: number of gr.State values in the StateHolder, over all sessions.
        state_types: type → number of gr.State values of this type, such as `{"list of Turn": 12}`, in the 1,000 sessions used last.
        live_bytes: bytes in use by the app's objects: `malloc_used_bytes` + `malloc_mmapped_bytes` + `pymalloc_used_bytes`.
        malloc_used_bytes: bytes in use in the arenas of malloc: `uordblks` of glibc's `mallinfo2()`.
        malloc_mmapped_bytes: bytes that malloc took with mmap: `hblkhd` of glibc's `mallinfo2()`.
        pymalloc_used_bytes: bytes in allocated blocks of CPython's own allocator.
        free_bytes: free bytes that malloc and CPython's allocator keep, resident or not.
        rss_bytes: resident memory of the app's process, just before the probe returned free memory to the system, bytes.
        returned_bytes: decrease of resident memory when free memory was returned. Null if the allocator cannot return it.
        gc_counts: `gc.get_count()`: one count per generation of the garbage collector.
        gc_collections: number of collections so far, per generation.
        threads: number of Python threads, without the probe's own.
        tasks: number of asyncio tasks in Gradio's event loop.
        queue: attribute of Gradio's Queue → number of entries, such as `{"event_ids_to_events": 12}`.
    """

    time_ns: int
    wall_ns: int
    sessions: int | None = None
    open_sessions: int | None = None
    states: int | None = None
    state_types: dict[str, int] | None = None
    live_bytes: int | None = None
    malloc_used_bytes: int | None = None
    malloc_mmapped_bytes: int | None = None
    pymalloc_used_bytes: int | None = None
    free_bytes: int | None = None
    rss_bytes: int | None = None
    returned_bytes: int | None = None
    gc_counts: list[int] | None = None
    gc_collections: list[int] | None = None
    threads: int | None = None
    tasks: int | None = None
    queue: dict[str, int] | None = None


class GeneratorSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How late the event loop of a load generator process ran since the previous sample. The process measures itself.

    Attributes:
        time_ns: when the sample was taken, monotonic clock of the machine, nanoseconds.
        wall_ns: when the sample was taken, nanoseconds since 1970.
        cpu_s: CPU time of the process since it started, seconds.
        due_ns: time of the first tick: a moment at which a timer should have run, monotonic nanoseconds.
        tick_ns: time between two ticks, nanoseconds.
        lag_ns: delay of the timer at each tick, nanoseconds. A tick that a blocked event loop missed also has its delay.
        arrivals: arrivals of the open model that were due since the process started.
        dropped: number of these arrivals that were skipped, because the limit of sessions was reached.
    """

    time_ns: int
    wall_ns: int
    cpu_s: float
    due_ns: int
    tick_ns: int
    lag_ns: list[int]
    arrivals: int = 0
    dropped: int = 0


class Plateau(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of memory at rest. The load generator waited, and memory had stopped changing.

    Attributes:
        label: the step before the measurement: `staircase` (sessions opened), `requests` (a batch of requests in the open sessions),
            `idle` (the open sessions did nothing), `after-close` (all sessions closed), or `second-round` (sessions opened and
            closed). The cost of an open session is fitted over the `staircase` plateaus only.
        open_sessions: number of sessions that the load generator keeps open.
        process: the app's process tree.
        probe: the probe's answer.
        loadgen_rss_bytes: resident memory of the load generator, bytes; null if it was not measured.
        settle_s: time until memory had stopped changing, seconds.
        quiet: false if memory was still changing at the time limit.
        requests: number of operations started so far in the whole run, without `open`, `reload`, `close` and `look-around`. Null if
            unknown, for example after a worker was lost.
        sessions: number of sessions started so far in the whole run; null if unknown.
        pid: process id of the app. Plateaus of different processes are never compared.
        returned_bytes: memory that the app returned to the system before this measurement, bytes; null without a probe.
        cgroup: the app's control group; null if it has none.
    """

    label: str
    open_sessions: int
    process: ProcessSample
    probe: ProbeSample
    loadgen_rss_bytes: int | None
    settle_s: float
    quiet: bool
    requests: int | None = None
    sessions: int | None = None
    pid: int | None = None
    returned_bytes: int | None = None
    cgroup: CgroupSample | None = None


class Container(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Sum over all containers of the app that have the same access path.

    Attributes:
        path: the access path, in which `[*]` stands for all elements of a container.
        owner: `app` (reached from the user's modules) or `gradio` (reached from Gradio's own objects).
        kind: type of the first container, for example `list`.
        containers: number of containers at this path.
        length: number of entries in these containers. For a buffer (`bytearray`, `ndarray`, a text in a variable) the bytes.
        cap: maximum number of entries (`maxlen` of a deque, `maxsize` of an lru_cache); null without a known limit.
        pinned_bytes: bytes of the containers and of the objects that only they refer to, approximately.
    """

    path: str
    owner: Literal["app", "gradio"] = "app"
    kind: str
    containers: int = 1
    length: int
    cap: int | None = None
    pinned_bytes: int


class StateSizes(msgspec.Struct, frozen=True, kw_only=True):
    """Size of the values in gr.State, with all objects that they refer to.

    Attributes:
        sessions: number of sessions measured. If Gradio keeps more sessions, these are the ones used last.
        total_bytes: bytes of all these sessions. An object that several sessions share is counted once.
        shared_bytes: bytes of the objects that several sessions share.
        median_bytes: median over the sessions, bytes. Shared objects count fully in each session.
        max_bytes: maximum over the sessions, bytes. Shared objects count fully in each session.
        complete: false if the count reached its limit before it had visited all objects.
    """

    sessions: int
    total_bytes: int
    shared_bytes: int
    median_bytes: int
    max_bytes: int
    complete: bool = True


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of the app at one plateau: containers by access path, other objects by type.

    Attributes:
        plateau: number of the plateau, from 0, in the order of `plateaus.jsonl`.
        time_ns: when it was taken, monotonic clock of the machine, nanoseconds.
        containers: one entry per access path.
        visited: number of objects visited.
        known_bytes: bytes of all visited objects, approximately.
        opaque: number of objects with unknown size or content, such as those of extension modules.
        complete_depth: null if the census visited all containers. Otherwise containers below this depth may be missing.
        pause_ms: duration of the census, milliseconds.
        objects: number of objects that Python's garbage collector tracks; null if they were not counted.
        types: type → number of tracked objects. The first census of a process lists all types. Later ones list only types whose number
            differs from the first.
        types_pause_ms: time for which the app stood still while types were counted, milliseconds; null if they were not counted.
        state: size of the values in gr.State; null if the probe cannot see them.
    """

    plateau: int
    time_ns: int
    containers: list[Container]
    visited: int
    known_bytes: int
    opaque: int
    complete_depth: int | None
    pause_ms: float
    objects: int | None = None
    types: dict[str, int] = {}
    types_pause_ms: float | None = None
    state: StateSizes | None = None


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A chain of references that keeps objects in memory.

    Attributes:
        chain: the references from a root (a module, Gradio's App, Blocks or Queue, a thread, a task) to the object, such as
            `["gradio.Queue: gradio.queueing.Queue", ".event_ids_to_events: dict", "[*]: gradio.queueing.Event"]`.
        count: number of objects that this chain keeps.
    """

    chain: list[str]
    count: int


class Retainer(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a container, or the objects of a type, in memory. The probe determines this once, after the last plateau.

    Attributes:
        target: access path of the container, or name of the type.
        of: `container` or `type`.
        before: number of entries or objects at the first census.
        now: number of entries or objects at the end.
        holders: the chains of references, the chain with the highest count first. For a container they end at its entries.
        pinned_bytes: bytes that would be freed with the target, because nothing else refers to them; null if unknown.
        exact: false if the search reached its limit before it had visited all objects.
    """

    target: str
    of: Literal["container", "type"]
    before: int
    now: int
    holders: list[Holder]
    pinned_bytes: int | None
    exact: bool = True


class LoadStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The load generator's status, sent to the harness during the run.

    Attributes:
        users: number of users in the timed phase. Users that only keep a session open are not included.
        open_sessions: number of open sessions.
        operations: operations completed so far.
        failures: number of these operations that did not succeed.
        p95_ms: 95th percentile of the response times in the last few seconds, milliseconds, for display only. Null without operations.
        notices: sentences about features of the app that pages cannot reproduce, or errors that they saw; each sentence once.
    """

    users: int
    open_sessions: int
    operations: int
    failures: int
    p95_ms: float | None
    notices: list[str] = []
