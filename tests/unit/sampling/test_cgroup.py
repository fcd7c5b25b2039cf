"""Control groups: texts as kernels write them, and folders as they are mounted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.records import CgroupSample
from harness.sampling import cgroup
from harness.sampling.cgroup import Mount, parse_groups, parse_limit, parse_mounts, parse_stat

UNIFIED = "0::/system.slice/docker-4f0.scope\n"
SEPARATE = "5:cpu,cpuacct:/a\n4:memory:/docker/4f0\n1:name=systemd:/b\n0::/c\n"
MOUNTS = """\
22 28 0:20 / /proc rw,nosuid shared:5 - proc proc rw
31 22 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw
32 22 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 22 0:28 /docker/4f0 /sys/fs/cgroup/with\\040space rw shared:11 master:3 - cgroup cgroup rw,memory
broken
"""


def test_the_group_that_accounts_for_memory_is_found() -> None:
    assert parse_groups(UNIFIED) == {2: "/system.slice/docker-4f0.scope"}
    assert parse_groups(SEPARATE) == {1: "/docker/4f0", 2: "/c"}
    assert parse_groups("") == parse_groups("nonsense\n:::\n") == {}


def test_the_mounts_of_hierarchies_are_found() -> None:
    assert parse_mounts(MOUNTS) == [
        Mount(2, "/", Path("/sys/fs/cgroup/unified")),
        Mount(1, "/docker/4f0", Path("/sys/fs/cgroup/with space")),
    ]


def test_numbers_are_read_and_other_text_is_not() -> None:
    assert parse_stat("anon 123\nfile 45\nfile_thp\nodd x\n") == {"anon": 123, "file": 45}
    assert [parse_limit(text) for text in ("max\n", "9223372036854771712\n", "1048576\n", "")] == [
        None, None, 1048576, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("group", "root", "expected"),
    [
        ("/a/b", "/", ["a/b", "a", "."]),
        ("/", "/", ["."]),
        ("/docker/4f0", "/docker/4f0", ["."]),
        ("/docker/4f0/inner", "/docker/4f0", ["inner", "."]),
        ("/elsewhere", "/docker/4f0", ["."]),
        ("/../outside", "/", []),
    ],
)
def test_control_groups_are_searched_below_the_mount_point(
    group: str, root: str, expected: list[str]
) -> None:
    found = cgroup.folders(group, Mount(2, root, Path("/m")))
    assert list(found) == [Path("/m") / name for name in expected]


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"memory.{name}").write_text(text)


def test_the_narrowest_limit_counts(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", current="1000\n", max="max\n", stat="anon 600\nfile 300\n")
    write(tmp_path / "a", max="5000\n")
    write(tmp_path, max="9000\n")
    assert cgroup.sample({2: "/a/b"}, [Mount(2, "/", tmp_path)]) == CgroupSample(
        path="/a/b", version=2, current_bytes=1000, anonymous_bytes=600, file_bytes=300, limit_bytes=5000
    )


def test_version_1_has_other_names_and_comes_first_where_it_accounts_for_memory(tmp_path: Path) -> None:
    write(
        tmp_path / "one" / "x",
        usage_in_bytes="7000\n",
        limit_in_bytes="9223372036854771712\n",
        stat="cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\n",
    )
    write(tmp_path / "two", current="1\n")
    mounts = [Mount(2, "/", tmp_path / "two"), Mount(1, "/", tmp_path / "one")]
    assert cgroup.sample({1: "/x", 2: "/"}, mounts) == CgroupSample(
        path="/x", version=1, current_bytes=7000, anonymous_bytes=20, file_bytes=10, limit_bytes=None
    )


def test_without_an_account_there_is_no_sample(tmp_path: Path) -> None:
    assert cgroup.sample({2: "/"}, [Mount(2, "/", tmp_path)]) is None
    assert cgroup.sample({}, [Mount(2, "/", tmp_path)]) is None
    assert cgroup.cgroup_of(-1) is None


def test_this_process_has_a_control_group_or_none() -> None:
    found = cgroup.cgroup_of(os.getpid())
    assert found is None or (found.current_bytes is not None and found.current_bytes > 1_000_000)
