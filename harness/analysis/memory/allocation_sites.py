"""Where what stays was allocated: what a memray pass found, joined with what the census counted.

Two witnesses tell of the same lines. memray saw every allocation of the window, and knows which were not given back, but not
what for. `tracemalloc`, asked for the entries of the containers that grew, tells which line allocated each. A line is the same if
its file and its number are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.records import Allocation, Attribution, Frame, HeldEntries, Site

# So many lines are kept, those with the most bytes, and all that something which grew is known to hold.
MAX_SITES = 200
# Both witnesses look so far out from an allocation, or they would choose different lines.
MAX_FRAMES = 24
# Of a container, so many lines are named at most, each of which allocated at least this share of its new entries.
MAX_LINES = 3
LEAST_SHARE = 0.05
# A line explains bytes that no container accounts for if it allocated at least this share of them per request.
EXPLAINS = 0.2
# Where threads that know nothing of Python allocate.
_NATIVE = "outside of Python"
_PACKAGES = ("site-packages", "dist-packages")


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """An account of one way to an allocation: of memray's what was not given back, of a container's what its entries occupy.

    Attributes:
        frames: the innermost first, at most `MAX_FRAMES` of them.
        bytes, count: allocations, or entries.
    """

    frames: Sequence[Frame]
    bytes: int
    count: int


# --- lines of code ---


def frame(file: str, line: int, function: str, app_folder: str) -> Frame:
    """A line of code under the name that people know its file by.

    Args:
        file: where the interpreter found it.
        line: its number.
        function: in which it stands; may be empty.
        app_folder: absolute path of the app's folder.
    """
    name, owner = _place(file, app_folder)
    return Frame(file=name, line=line, function=function, owner=owner)  # type: ignore[arg-type]


def _place(file: str, app_folder: str) -> tuple[str, str]:
    folder = app_folder.rstrip("/") + "/"
    inside = file[len(folder) :].split("/") if file.startswith(folder) else []
    # A virtual environment may stand in the app's folder, and the app's folder where packages are installed.
    if inside and not set(_PACKAGES) & set(inside):
        return "/".join(inside), "app"
    parts = file.split("/")
    for packages in _PACKAGES:
        if packages in parts[:-1]:
            installed = parts[len(parts) - parts[::-1].index(packages) :]
            return "/".join(installed), "gradio" if installed[0] == "gradio" else "other"
    for number, part in enumerate(parts[:-1]):
        if part.startswith("python3") and number and parts[number - 1] in ("lib", "lib64"):
            return "/".join(parts[number + 1 :]), "other"
    if "gradio" in parts[:-1]:  # a checkout
        return "/".join(parts[parts.index("gradio") :]), "gradio"
    return parts[-1], "other"


def site_of(frames: Sequence[Frame]) -> Frame | None:
    """The line that an allocation is known by: the innermost that is the app's, or else Gradio's, or else anybody's.

    Gradio's middleware, `__call__`, is on the way to everything that a request does, and says nothing.
    """
    for owner in ("app", "gradio", "other"):
        for found in frames:
            if found.owner == owner and not (owner == "gradio" and found.function == "__call__"):
                return found
    return frames[0] if frames else None


def text_of(line: Frame) -> str:
    """`file.py:12 in function`."""
    if not line.line:
        return line.file
    return f"{line.file}:{line.line}" + (f" in {line.function}" if line.function else "")


# --- what was recorded ---


def by_site(stacks: Iterable[Stack]) -> list[Allocation]:
    """Add up what was allocated at the same line, whatever the way to it; the most bytes first."""
    totals: dict[tuple[str, int], list[int]] = {}
    largest: dict[tuple[str, int], tuple[Frame, Stack]] = {}
    for stack in stacks:
        site = site_of(stack.frames)
        if site is None:
            site = Frame(file=_NATIVE, line=0)
        key = (site.file, site.line)
        total = totals.setdefault(key, [0, 0])
        total[0] += stack.bytes
        total[1] += stack.count
        if key not in largest or stack.bytes > largest[key][1].bytes:
            largest[key] = (site, stack)
    found = [
        Allocation(
            site=largest[key][0],
            stack=list(largest[key][1].frames),
            bytes=total,
            allocations=count,
        )
        for key, (total, count) in totals.items()
    ]
    return sorted(found, key=lambda a: (-a.bytes, a.site.file, a.site.line))


def held_entries(path: str, stacks: Iterable[Stack]) -> list[HeldEntries]:
    """The new entries of a container by the line that allocated them, the most entries first.

    Args:
        path: the container's access path.
        stacks: the ways to its entries.
    """
    return sorted(
        (HeldEntries(path=path, site=a.site, entries=a.allocations, bytes=a.bytes) for a in by_site(stacks)),
        key=lambda h: (-h.entries, -h.bytes, h.site.file, h.site.line),
    )


def worth_keeping(allocations: Sequence[Allocation], held: Iterable[HeldEntries]) -> list[Allocation]:
    """The lines to keep, in the order given: the first `MAX_SITES`, and those that allocated entries of containers that grew."""
    holding = {(h.site.file, h.site.line) for h in held}
    return [
        a
        for number, a in enumerate(allocations)
        if number < MAX_SITES or (a.site.file, a.site.line) in holding
    ]


# --- what it means ---


def join(
    allocations: Sequence[Allocation],
    held: Sequence[HeldEntries],
    *,
    total_bytes: int,
    sessions: int,
    requests: int,
    flame_graph: str | None,
) -> Attribution:
    """What a pass found: lines with the containers that hold what they allocated, and the other way round.

    Args:
        allocations: of the pass.
        held: of the pass.
        total_bytes: of all allocations, those that were not recorded included.
        sessions: that came in the window.
        requests: that came in the window.
        flame_graph: path within the run folder.
    """
    holders: dict[tuple[str, int], list[HeldEntries]] = {}
    paths: dict[str, list[HeldEntries]] = {}
    for entries in held:
        holders.setdefault((entries.site.file, entries.site.line), []).append(entries)
        paths.setdefault(entries.path, []).append(entries)
    # Every byte that stays is allocated somewhere, but not every line that a container tells of was seen by memray.
    seen = {(a.site.file, a.site.line) for a in allocations}
    unseen = [
        Allocation(site=entries[0].site, stack=[entries[0].site], bytes=0, allocations=0)
        for line, entries in holders.items()
        if line not in seen
    ]
    sites = [_site(a, holders.get((a.site.file, a.site.line), [])) for a in (*allocations, *unseen)]
    return Attribution(
        sites=sorted(sites, key=lambda s: (-max(s.bytes, s.held_bytes), s.where)),
        total_bytes=total_bytes,
        allocated_at={path: _lines(entries) for path, entries in sorted(paths.items())},
        sessions=sessions,
        requests=requests,
        flame_graph=flame_graph,
    )


def _site(allocation: Allocation, held: Sequence[HeldEntries]) -> Site:
    outer = _outermost(held)
    return Site(
        where=text_of(allocation.site),
        stack=[text_of(line) for line in allocation.stack],
        bytes=allocation.bytes,
        allocations=allocation.allocations,
        held_by=outer,
        held_entries=sum(h.entries for h in held if h.path in outer),
        held_bytes=sum(h.bytes for h in held if h.path in outer),
    )


def _lines(held: Sequence[HeldEntries]) -> list[str]:
    total = sum(h.entries for h in held)
    most = sorted(held, key=lambda h: (-h.entries, -h.bytes, h.site.file, h.site.line))
    return [text_of(h.site) for h in most[:MAX_LINES] if h.entries >= LEAST_SHARE * total]


def _outermost(held: Sequence[HeldEntries]) -> list[str]:
    """Access paths, the most bytes first; what stands inside a container that is named already is not named again."""
    paths = {h.path for h in held}
    weight = {path: sum(h.bytes for h in held if h.path == path) for path in paths}
    outer = [p for p in paths if not any(p != o and p.startswith(o) and p[len(o)] in ".[" for o in paths)]
    return sorted(outer, key=lambda p: (-weight[p], p))


def lines_for(attribution: Attribution | None, path: str) -> list[str]:
    """Where what a container holds was allocated; empty if nobody knows.

    Args:
        attribution: the pass, None if there was none.
        path: the container's access path.
    """
    return [] if attribution is None else list(attribution.allocated_at.get(path, ()))


def unheld_lines(attribution: Attribution | None, bytes_per_request: float | None) -> list[str]:
    """Lines that may explain why the live heap grows with requests though no container does: what they allocated stayed, nothing
    that was counted holds it, and it is a good part of the growth.

    Args:
        attribution: the pass, None if there was none.
        bytes_per_request: by which the live heap grew.
    """
    if attribution is None or not attribution.requests or not bytes_per_request:
        return []
    least = EXPLAINS * bytes_per_request * attribution.requests
    return [s.where for s in attribution.sites if not s.held_by and s.bytes >= least][:MAX_LINES]
