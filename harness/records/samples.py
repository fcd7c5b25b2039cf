"""Samples: what was measured, when. Times are `time.monotonic_ns` and `time.time_ns` of the machine."""

from __future__ import annotations

from typing import Literal

import msgspec


class ProcessSample(msgspec.Struct, frozen=True, kw_only=True):
    """A process tree as the operating system shows it, summed over its members.

    Attributes:
        uss_bytes: unique set size, None where the system does not tell.
        pss_bytes: proportional set size (what is shared, divided among those who share it), likewise. Only measured at plateaus.
        cpu_s: user + system seconds used so far by the members alive now and those seen to end.
        open_files: open file descriptors, sockets included.
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
    """What the kernel charges to the control group that the app runs in, everybody else in it included; None for what it does not tell.

    Attributes:
        path: the group, as in `/proc/<pid>/cgroup`.
        version: of the hierarchy, 1 or 2.
        current_bytes: all of it, page cache included.
        anonymous_bytes, file_bytes: its two large parts.
        limit_bytes: where it ends; None without a limit.
    """

    path: str
    version: int
    current_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    limit_bytes: int | None = None


class ProbeSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the probe inside the target answered; None for what it could not find.

    Attributes:
        sessions: sessions held by Gradio's StateHolder (open ones and those not yet forgotten).
        open_sessions: those of them whose page Gradio has not seen close.
        states: State values that it holds, of all these sessions.
        state_types: type of the values that are held in gr.State → how many, for example `{"int": 12, "list of Turn": 12}`;
            of the 1,000 sessions used last.
        live_bytes: bytes in use by the app's objects: `malloc_used + malloc_mmapped + pymalloc_used`.
        malloc_used_bytes: glibc `mallinfo2().uordblks`.
        malloc_mmapped_bytes: glibc `mallinfo2().hblkhd`.
        pymalloc_used_bytes: bytes in allocated blocks of CPython's own allocator.
        free_bytes: bytes that both allocators hold and nobody uses, resident or not.
        rss_bytes: resident memory of the app's own process, just before free memory was given back.
        returned_bytes: how much less it was just after; 0 where nothing was given back, None where that cannot be asked for.
        gc_counts: `gc.get_count()`: what was made since the last collection of each generation.
        gc_collections: collections of each generation so far.
        threads: Python threads, the probe's own left out.
        tasks: asyncio tasks of Gradio's event loop.
        queue: entries of each structure of Gradio's Queue, for example `{"event_ids_to_events": 12}`.
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
    """The load generator's own account of how well it kept up, since its previous sample.

    Attributes:
        cpu_s: processor time that the process has used since it began, seconds.
        due_ns, tick_ns: the first of the moments in `lag_ns`, and the distance between two of them, nanoseconds.
        lag_ns: how late the event loop was at each of the moments at which the watch had asked to be woken, nanoseconds. A
            loop that was blocked through several of them counts at each, as late as it was for that one.
        arrivals: arrivals of the open model that were due so far, since the process began.
        dropped: those of them for which nobody acted, since all sessions allowed were in use.
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
    """Load held, memory settled, measured.

    Attributes:
        label: `staircase` for a step that enters the fit of bytes per session, `requests` after a batch of requests in the
            sessions that are held, `idle` when these have been left alone for a while, `after-close`, or `second-round` after a
            batch of sessions that came and went.
        open_sessions: sessions that the load generator holds open, each with its state.
        loadgen_rss_bytes: resident memory of the load generator at that moment.
        settle_s: how long the settling took, seconds.
        quiet: False if memory was still moving when the time limit for settling ended.
        requests: operations begun in the app so far, in the whole run; those of the tab itself are not counted. None if
            nobody knows, as after a worker was lost.
        sessions: sessions begun so far, likewise.
        pid: the app's process. Plateaus of different processes cannot be compared.
        returned_bytes: resident memory that the app gave back in all the settling at this plateau; None without a probe.
        cgroup: the control group of the app, None where there is none.
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
        path: how they are reached, with whatever differs between the elements of one container folded to `[*]`.
        owner: `app` (from the user's modules) or `gradio` (from Gradio's own objects).
        kind: type of the first of them, for example `list`.
        containers: how many there are.
        length: entries in all of them together. Of a buffer (`bytearray`, `ndarray`, a text that a name stands for): its bytes.
        cap: entries that they may hold at most (`maxlen` of a deque, `maxsize` of an lru_cache), None without a known limit.
        pinned_bytes: what they and everything that is only reached through them occupy, roughly.
    """

    path: str
    owner: Literal["app", "gradio"] = "app"
    kind: str
    containers: int = 1
    length: int
    cap: int | None = None
    pinned_bytes: int


class StateSizes(msgspec.Struct, frozen=True, kw_only=True):
    """What the values in gr.State occupy, everything that they hold included.

    Attributes:
        sessions: sessions that were looked at: those used last.
        total_bytes: of all of these, what several sessions share counted once.
        shared_bytes: of that, what more than one session holds.
        median_bytes, max_bytes: of one session, what it shares with others included.
        complete: False if there was more than the walk had patience for.
    """

    sessions: int
    total_bytes: int
    shared_bytes: int
    median_bytes: int
    max_bytes: int
    complete: bool = True


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What the app held at one plateau, by access path, and by type.

    Attributes:
        plateau: number of the plateau, from 0, in the order of `plateaus.jsonl`.
        visited: objects that were looked into.
        known_bytes: what everything that was found occupies, roughly.
        opaque: objects of which nobody can tell what they occupy or hold, such as those of extension modules.
        complete_depth: how deep containers are known in full; None if all were visited. Paths beyond may lack some.
        pause_ms: how long the census took.
        objects: objects that Python's garbage collector knows of; None where it was not asked.
        types: type → how many of these. The first census of a process names every type, the later ones those of which there are
            more or fewer than at the first. See `harness.history.type_counts`.
        types_pause_ms: how long counting these took, during which nothing else ran in the app.
        state: what the values in gr.State occupy; None where they cannot be seen.
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
    """One way by which objects are held.

    Attributes:
        chain: from a root (a module's name, Gradio's App, Blocks or Queue, a thread, a task) to the object, one step each, as
            `["gradio.Queue: gradio.queueing.Queue", ".event_ids_to_events: dict", "[*]: gradio.queueing.Event"]`.
        count: how many are held that way.
    """

    chain: list[str]
    count: int


class Retainer(msgspec.Struct, frozen=True, kw_only=True):
    """Why something that grew is still there. Asked once, when the last plateau was over.

    Attributes:
        target: an access path of the census, or the name of a type.
        of: which of the two.
        before, now: its entries, or objects, at the first census and when it was asked.
        holders: the ways that lead there, the one that holds most first; of a container the chain goes on to what it holds.
        pinned_bytes: what would be freed if it went: everything that is reached only through it.
        exact: False if the walk ended before everything was visited.
    """

    target: str
    of: Literal["container", "type"]
    before: int
    now: int
    holders: list[Holder]
    pinned_bytes: int | None
    exact: bool = True


class LoadStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The load generator's own account of itself, sent to the parent while it works.

    Attributes:
        users: those that visit; those that hold a session are not counted.
        p95_ms: over the operations of the last few seconds, for display only.
        notices: what the pages cannot do, or have noticed, each said once per app.
    """

    users: int
    open_sessions: int
    operations: int
    failures: int
    p95_ms: float | None
    notices: list[str] = []
