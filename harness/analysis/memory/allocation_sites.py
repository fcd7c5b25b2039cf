"""Allocation sites: the lines of code that allocated what stayed, from a memray pass joined with the census.

Two tools report on the same lines. memray records every allocation of the window and knows which were not freed, but not what
they were used for. `tracemalloc` returns the line that allocated each entry of a container that grew. The two are joined by file
and line number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.records import Allocation, Attribution, Frame, HeldEntries, Site

# This many lines are kept, those with the most bytes, and every line that allocated entries of a container that grew.
MAX_SITES = 200
# Both tools record stacks of this depth; otherwise they would choose different lines.
MAX_FRAMES = 24
# At most this many lines are named for a container, each with at least this share of its new entries.
MAX_LINES = 3
LEAST_SHARE = 0.05
# A line is named for unnamed bytes if it allocated at least this share of them per request.
EXPLAINS = 0.2
# Site of allocations by threads without a Python stack.
_NATIVE = "outside of Python"
_PACKAGES = ("site-packages", "dist-packages")


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """Allocations with one stack: those that memray saw unfreed, or the entries of a container.

    Attributes:
        frames: innermost first, at most `MAX_FRAMES`.
        bytes, count: size and number of the allocations or entries.
    """

    frames: Sequence[Frame]
    bytes: int
    count: int


# --- lines of code ---


def frame(file: str, line: int, function: str, app_folder: str) -> Frame:
    """Return a line of code with a short file name: relative to the app's folder, or to where packages are installed.

    Args:
        file: path of the file, as the interpreter knows it.
        line: number of the line.
        function: name of the function; may be empty.
        app_folder: absolute path of the app's folder.
    """
    name, owner = _place(file, app_folder)
    return Frame(file=name, line=line, function=function, owner=owner)  # type: ignore[arg-type]


def _place(file: str, app_folder: str) -> tuple[str, str]:
    folder = app_folder.rstrip("/") + "/"
    inside = file[len(folder) :].split("/") if file.startswith(folder) else []
    # The app's folder may contain a virtual environment, and may itself be inside a folder of packages.
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
    """Return the site of an allocation: the innermost line of the app's, else of Gradio's, else of any file; None without frames.

    Gradio's middleware (`__call__`) is on the stack of everything a request does, so it is skipped.
    """
    for owner in ("app", "gradio", "other"):
        for found in frames:
            if found.owner == owner and not (owner == "gradio" and found.function == "__call__"):
                return found
    return frames[0] if frames else None


def text_of(line: Frame) -> str:
    """Return a line as `file.py:12 in function`."""
    if not line.line:
        return line.file
    return f"{line.file}:{line.line}" + (f" in {line.function}" if line.function else "")


# --- what was recorded ---


def by_site(stacks: Iterable[Stack]) -> list[Allocation]:
    """Return allocations added up by site, most bytes first; each with the stack of most of its bytes."""
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
    """Return the new entries of a container added up by the line that allocated them, most entries first.

    Args:
        path: access path of the container.
        stacks: its new entries, by stack.
    """
    return sorted(
        (HeldEntries(path=path, site=a.site, entries=a.allocations, bytes=a.bytes) for a in by_site(stacks)),
        key=lambda h: (-h.entries, -h.bytes, h.site.file, h.site.line),
    )


def worth_keeping(allocations: Sequence[Allocation], held: Iterable[HeldEntries]) -> list[Allocation]:
    """Return the lines to keep, in the same order: the first `MAX_SITES`, and those that allocated entries of containers."""
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
    """Return the result of a memray pass: sites with the containers that hold their allocations, and the reverse.

    Args:
        allocations: unfreed allocations by site, according to memray.
        held: new entries of containers by site, according to tracemalloc.
        total_bytes: bytes of all unfreed allocations, including those not recorded.
        sessions: sessions begun in the window.
        requests: requests begun in the window.
        flame_graph: path within the run folder; None if there is none.
    """
    holders: dict[tuple[str, int], list[HeldEntries]] = {}
    paths: dict[str, list[HeldEntries]] = {}
    for entries in held:
        holders.setdefault((entries.site.file, entries.site.line), []).append(entries)
        paths.setdefault(entries.path, []).append(entries)
    # memray does not see every line that tracemalloc reports, because Python reuses freed objects.
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
    """Access paths, most bytes first, without containers inside others of them."""
    paths = {h.path for h in held}
    weight = {path: sum(h.bytes for h in held if h.path == path) for path in paths}
    outer = [p for p in paths if not any(p != o and p.startswith(o) and p[len(o)] in ".[" for o in paths)]
    return sorted(outer, key=lambda p: (-weight[p], p))


def lines_for(attribution: Attribution | None, path: str) -> list[str]:
    """Return the lines that allocated the new entries of a container; empty if unknown.

    Args:
        attribution: result of the memray pass; None without one.
        path: access path of the container.
    """
    return [] if attribution is None else list(attribution.allocated_at.get(path, ()))


def unheld_lines(attribution: Attribution | None, bytes_per_request: float | None) -> list[str]:
    """Return lines that may explain growth of the live heap that no container accounts for.

    Their allocations were not freed, no counted container holds them, and they are at least `EXPLAINS` of the growth.

    Args:
        attribution: result of the memray pass; None without one.
        bytes_per_request: growth of the live heap; None if unknown.
    """
    if attribution is None or not attribution.requests or not bytes_per_request:
        return []
    least = EXPLAINS * bytes_per_request * attribution.requests
    return [s.where for s in attribution.sites if not s.held_by and s.bytes >= least][:MAX_LINES]
