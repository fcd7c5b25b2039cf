"""Samples: what was measured, and when."""

from __future__ import annotations

from typing import Literal

import msgspec


class ProcessSample(msgspec.Struct, frozen=True, kw_only=True):
    """Memory, CPU time and size of a process tree, as the operating system reports them, summed over its processes.

    Attributes:
        time_ns: when it was measured, monotonic clock of the machine, nanoseconds.
        wall_ns: when it was measured, nanoseconds since 1970.
        processes: number of processes in the tree.
        rss_bytes: resident set size, bytes.
        uss_bytes: unique set size, bytes; null where the system does not report it.
        cpu_s: user and system time used so far, seconds; processes that were seen to end are included.
        threads: number of threads.
        open_files: number of open file descriptors, sockets included; null where the system does not report it.
        pss_bytes: proportional set size, bytes: shared pages divided among their users. Measured at plateaus only, else null.
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
    """Memory that the kernel charges to the app's control group. Other processes in the group are included.

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
    """The answer of the probe inside the app. A field is null where the probe could not find it.

    Attributes:
        time_ns: when it was measured, monotonic clock of the machine, nanoseconds.
        wall_ns: when it was measured, nanoseconds since 1970.
        sessions: sessions in Gradio's StateHolder: open ones, and closed ones that Gradio still keeps.
        open_sessions: sessions in the StateHolder whose page Gradio has not seen close.
        states: State values in the StateHolder, over all its sessions.
        state_types: type → number of gr.State values of it, such as `{"list of Turn": 12}`, over the 1,000 sessions used last.
        live_bytes: bytes in use by the app's objects: `malloc_used_bytes` + `malloc_mmapped_bytes` + `pymalloc_used_bytes`.
        malloc_used_bytes: bytes in use in malloc's arenas: `uordblks` of glibc's `mallinfo2()`.
        malloc_mmapped_bytes: bytes that malloc took with mmap: `hblkhd` of glibc's `mallinfo2()`.
        pymalloc_used_bytes: bytes in allocated blocks of CPython's own allocator.
        free_bytes: bytes that both allocators hold and that no object uses, resident or not.
        rss_bytes: resident memory of the app's own process just before the probe gave free memory back, bytes.
        returned_bytes: bytes by which resident memory then fell; 0 if nothing was given back, null if that is not possible.
        gc_counts: objects since the last collection of each generation: `gc.get_count()`.
        gc_collections: collections of each generation so far.
        threads: number of Python threads, without the probe's own.
        tasks: number of asyncio tasks in Gradio's event loop.
        queue: structure of Gradio's Queue → number of its entries, such as `{"event_ids_to_events": 12}`.
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
    """A load generator process on itself: how late its event loop ran since its previous sample.

    Attributes:
        time_ns: when the sample was taken, monotonic clock of the machine, nanoseconds.
        wall_ns: when the sample was taken, nanoseconds since 1970.
        cpu_s: CPU time of the process since it started, seconds.
        due_ns: first moment at which the event loop had to wake up, monotonic nanoseconds.
        tick_ns: distance between two such moments, nanoseconds.
        lag_ns: lateness of the event loop at each moment, nanoseconds. A blocked loop is late at every moment that it missed.
        arrivals: arrivals of the open model that were due since the process started.
        dropped: arrivals without an action, because all sessions allowed were in use.
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
    """One measurement of memory: the load was held, memory had settled.

    Attributes:
        label: what preceded it: `staircase` (a step of new sessions), `requests` (a batch of requests in the held sessions),
            `idle` (the held sessions were left alone), `after-close` (all sessions closed), `second-round` (a batch of sessions
            opened and closed). Only `staircase` enters the fit of bytes per open session.
        open_sessions: sessions that the load generator holds open, each with its state.
        process: the app's process tree.
        probe: the probe's answer.
        loadgen_rss_bytes: resident memory of the load generator at that time, bytes; null if it was not measured.
        settle_s: time that settling took, seconds.
        quiet: false if memory still moved when the time limit for settling was reached.
        requests: operations started so far in the whole run, without the tab's own; null if unknown, as after a lost worker.
        sessions: sessions started so far in the whole run; null if unknown, as after a lost worker.
        pid: process id of the app. Plateaus of different processes are never compared.
        returned_bytes: resident memory that the app gave back while settling here, bytes; null without a probe.
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
    """All containers of the app at one access path, added up.

    Attributes:
        path: the access path; parts that differ between elements of one container are folded to `[*]`.
        owner: `app` (reached from the user's modules) or `gradio` (reached from Gradio's own objects).
        kind: type of the first container, for example `list`.
        containers: number of containers at this path.
        length: entries in all of them; of a buffer (`bytearray`, `ndarray`, a text bound to a name), its bytes.
        cap: most entries they may hold (`maxlen` of a deque, `maxsize` of an lru_cache); null without a known limit.
        pinned_bytes: bytes of the containers and of everything reached only through them, approximately.
    """

    path: str
    owner: Literal["app", "gradio"] = "app"
    kind: str
    containers: int = 1
    length: int
    cap: int | None = None
    pinned_bytes: int


class StateSizes(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of the values in gr.State, with everything they hold.

    Attributes:
        sessions: number of sessions measured: those used last.
        total_bytes: bytes of all these sessions; objects that several sessions share are counted once.
        shared_bytes: bytes of the objects that more than one session holds.
        median_bytes: median bytes of one session, shared objects included.
        max_bytes: largest bytes of one session, shared objects included.
        complete: false if the walk reached its limit before it had visited everything.
    """

    sessions: int
    total_bytes: int
    shared_bytes: int
    median_bytes: int
    max_bytes: int
    complete: bool = True


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What the app held at one plateau, by access path and by type.

    Attributes:
        plateau: number of the plateau, from 0, in the order of `plateaus.jsonl`.
        time_ns: when it was taken, monotonic clock of the machine, nanoseconds.
        containers: the containers found, one entry per access path.
        visited: number of objects visited.
        known_bytes: bytes of everything found, approximately.
        opaque: objects whose size or content cannot be determined, such as those of extension modules.
        complete_depth: depth down to which all containers were visited; null if all were. Deeper paths may be missing.
        pause_ms: duration of the census, milliseconds.
        objects: number of objects that Python's garbage collector tracks; null if it was not asked.
        types: type → number of tracked objects. Later censuses of a process list only types whose number differs from the first.
        types_pause_ms: time that counting by type stopped the app, milliseconds; null if it was not done.
        state: memory of the values in gr.State; null where they cannot be seen.
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
    """One chain of references that keeps objects alive.

    Attributes:
        chain: steps from a root (a module, Gradio's App, Blocks or Queue, a thread, a task) to the object, such as
            `["gradio.Queue: gradio.queueing.Queue", ".event_ids_to_events: dict", "[*]: gradio.queueing.Event"]`.
        count: number of objects held by this chain.
    """

    chain: list[str]
    count: int


class Retainer(msgspec.Struct, frozen=True, kw_only=True):
    """Why something that grew is still in memory. Asked once, after the last plateau.

    Attributes:
        target: an access path of the census, or the name of a type.
        of: what `target` is: `container` or `type`.
        before: its entries, or objects, at the first census.
        now: its entries, or objects, when this was asked.
        holders: the chains that lead to it, the one that holds most first; for a container they go on to its entries.
        pinned_bytes: bytes that would be freed with it: everything reached only through it; null if unknown.
        exact: false if the walk reached its limit before it had visited everything.
    """

    target: str
    of: Literal["container", "type"]
    before: int
    now: int
    holders: list[Holder]
    pinned_bytes: int | None
    exact: bool = True


class LoadStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The load generator's status, sent to the harness while it works.

    Attributes:
        users: users that visit the app; those that hold a session are not counted.
        open_sessions: number of open sessions.
        operations: operations completed so far.
        failures: operations so far that did not succeed.
        p95_ms: 95th percentile over the operations of the last few seconds, milliseconds, for display only; null without any.
        notices: what pages cannot do, or have noticed; each once per app.
    """

    users: int
    open_sessions: int
    operations: int
    failures: int
    p95_ms: float | None
    notices: list[str] = []
