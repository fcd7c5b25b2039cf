"""The memory that the kernel charges to the control group of a process, for both versions of the hierarchy.

The parsers are functions of text; they read no files.
Sources: cgroups(7); Linux Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.records import CgroupSample

# Version 1 has no word for "no limit". It reports the largest number of whole pages, which depends on the page size.
_UNLIMITED = 1 << 62
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A mounted hierarchy with the memory controller.

    Attributes:
        version: of the hierarchy, 1 or 2.
        root: the group whose folder is the mount point.
        point: the mount point.
    """

    version: int
    root: str
    point: Path


class _Names(NamedTuple):
    """Files of a group, and keys in its `memory.stat`. The first key that exists counts."""

    current: str
    limit: str
    anonymous: tuple[str, ...]
    file: tuple[str, ...]


_NAMES = {
    1: _Names(
        "memory.usage_in_bytes", "memory.limit_in_bytes", ("total_rss", "rss"), ("total_cache", "cache")
    ),
    2: _Names("memory.current", "memory.max", ("anon",), ("file",)),
}


def cgroup_of(pid: int) -> CgroupSample | None:
    """Return what is charged to the group of a process now; None if it has no group, or if the group is not visible."""
    try:
        groups = parse_groups(Path(f"/proc/{pid}/cgroup").read_text())
        mounts = parse_mounts(Path("/proc/self/mountinfo").read_text())
    except OSError:
        return None
    return sample(groups, mounts)


def parse_groups(text: str) -> dict[int, str]:
    """Version of the hierarchy → the group that accounts for memory, from the text of `/proc/<pid>/cgroup`."""
    found = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not path.startswith("/"):
            continue
        if number == "0" and not controllers:
            found[2] = path
        elif "memory" in controllers.split(","):
            found[1] = path
    return found


def parse_mounts(text: str) -> list[Mount]:
    """Mounted hierarchies that may account for memory, from the text of `/proc/<pid>/mountinfo`."""
    found = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if not separator or len(fields) < 5 or not kinds:
            continue
        version = {"cgroup": 1, "cgroup2": 2}.get(kinds[0])
        if version is None or (version == 1 and "memory" not in kinds[-1].split(",")):
            continue
        root, point = (_OCTAL.sub(lambda m: chr(int(m[1], 8)), field) for field in fields[3:5])
        found.append(Mount(version, root, Path(point)))
    return found


def parse_stat(text: str) -> dict[str, int]:
    """Key → number, from the text of `memory.stat`."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def parse_limit(text: str) -> int | None:
    """Bytes, from the text of `memory.max` or `memory.limit_in_bytes`; None without a limit."""
    text = text.strip()
    return int(text) if text.isdigit() and int(text) < _UNLIMITED else None


def folders(group: str, mount: Mount) -> Iterator[Path]:
    """Yield the folder of a group, then those of its parent groups, as far as they are mounted.

    Inside a container, the group may have the name that the whole machine uses, while only the group's own folder is mounted.
    """
    root = mount.root.rstrip("/")
    if group == root or group.startswith(root + "/"):
        inside = [part for part in group[len(root) :].split("/") if part]
    else:  # the name is from another namespace: only the mount point is visible
        inside = []
    if ".." in inside:
        return
    for depth in range(len(inside), -1, -1):
        yield mount.point.joinpath(*inside[:depth])


def sample(groups: dict[int, str], mounts: list[Mount]) -> CgroupSample | None:
    """Read what is charged to a group, from the first hierarchy that has an account; None if none has one.

    Args:
        groups: from `parse_groups`.
        mounts: from `parse_mounts`.
    """
    for mount in sorted(mounts, key=lambda one: one.version):
        group = groups.get(mount.version)
        if group is None:
            continue
        names = _NAMES[mount.version]
        seen = list(folders(group, mount))
        current = _read(seen[0] / names.current) if seen else None
        if current is None or not current.strip().isdigit():
            continue  # the root of version 2 has no account
        stat = parse_stat(_read(seen[0] / "memory.stat") or "")
        # The limit of a parent group is for all its groups together.
        limits = [limit for folder in seen if (limit := parse_limit(_read(folder / names.limit) or ""))]
        return CgroupSample(
            path=group,
            version=mount.version,
            current_bytes=int(current),
            anonymous_bytes=next((stat[key] for key in names.anonymous if key in stat), None),
            file_bytes=next((stat[key] for key in names.file if key in stat), None),
            limit_bytes=min(limits, default=None),
        )
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
