from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from harness.app_under_test.allocators import find_jemalloc, parse_ldconfig, starts_with
from harness.errors import UsageError
from harness.profiles import BASES
from harness.runs.what_if import WhatIf, parse, with_idle_phase

PARAMS = {"LIST_ITEMS": "1000", "mode": "memory"}


def nowhere(_: str | None) -> str:
    raise UsageError("There is no jemalloc on this machine.", "apt-get install libjemalloc2")


def one(text: str, environment: dict[str, str] | None = None) -> WhatIf:
    (found,) = parse(
        [text], params=PARAMS, environment=environment or {}, find_jemalloc=lambda named: named or "/lib/j.so"
    )
    return found


def settings(text: str) -> object:
    found = one(text)
    assert not found.params
    return json.loads(found.environment["GRADSOAK_SETTINGS"])


def test_settings_of_gradio_go_through_the_probe() -> None:
    assert settings("time_to_live=60") == {"time_to_live": 60}
    assert settings("time_to_live=1m30s") == {"time_to_live": 90}
    assert settings("time_to_live=0.5") == {"time_to_live": 0.5}
    assert settings("state_session_capacity=50") == {"state_session_capacity": 50}
    assert settings("delete_cache=10, 1m") == {"delete_cache": [10, 60]}


def test_each_setting_has_one_way_of_writing_and_a_folder() -> None:
    assert [
        (one(text).label, one(text).slug)
        for text in ("time_to_live = 1m", "delete_cache=5,10", "jemalloc=/opt/a b/j.so", "A=../../etc")
    ] == [
        ("time_to_live=60", "time_to_live=60"),
        ("delete_cache=5,10", "delete_cache=5,10"),
        ("jemalloc=/opt/a b/j.so", "jemalloc=-opt-a-b-j.so"),
        ("A=../../etc", "A=..-..-etc"),
    ]


def test_variables_and_parameters() -> None:
    assert one("MALLOC_ARENA_MAX=2").environment == {"MALLOC_ARENA_MAX": "2"}
    assert one("STORE=file=x").environment == {"STORE": "file=x"}
    assert one("PYTHONMALLOC=malloc").environment == {"PYTHONMALLOC": "malloc"}
    changed = [one("LIST_ITEMS=5"), one("mode=files")]
    assert [(w.params, w.environment) for w in changed] == [
        ({"LIST_ITEMS": "5"}, {}),
        ({"mode": "files"}, {}),
    ]


def test_jemalloc_stands_before_what_is_preloaded_anyway() -> None:
    assert one("jemalloc").environment == {"LD_PRELOAD": "/lib/j.so"}
    assert one("jemalloc=/my.so", {"LD_PRELOAD": "/x.so"}).environment == {"LD_PRELOAD": "/my.so:/x.so"}


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("time_to_life=60", "no setting 'time_to_life'", "Did you mean time_to_live"),
        ("color=red", "no setting 'color'", "Possible: time_to_live=SECONDS.*LIST_ITEMS, mode"),
        ("time_to_live", "not NAME=VALUE", "Possible"),
        ("=3", "not NAME=VALUE", "Possible"),
        ("time_to_live=0", "at most an hour", "above 0"),
        ("time_to_live=2h", "at most an hour", "3600"),
        ("time_to_live=soon", "not a duration", "90s"),
        ("state_session_capacity=0", "not a number of sessions", "1 or more"),
        ("state_session_capacity=2.5", "not a number of sessions", "whole"),
        ("delete_cache=60", "how often", "delete_cache=10,10"),
        ("delete_cache=0,60", "above 0", "delete_cache=10,10"),
        ("MALLOC_ARENA_MAX=few", "not a number", "1 or more"),
        ("MALLOC_TRIM_THRESHOLD=0", "ends in an underscore", "MALLOC_TRIM_THRESHOLD_=0"),
        ("PYTHONMALLOC=tcmalloc", "no allocator 'tcmalloc'", "pymalloc"),
        ("GRADSOAK_SETTINGS={}", "sets GRADSOAK_SETTINGS itself", "another"),
        ("LIST_ITEMS=1000", "changes nothing", "another value"),
        ("HOME=/root", "changes nothing", "another value"),
    ],
)
def test_what_is_impossible_is_refused_with_what_is_possible(text: str, says: str, hint: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        one(text, {"HOME": "/root"})
    assert re.search(hint, refused.value.hint), refused.value.hint


def test_nothing_is_tried_twice() -> None:
    with pytest.raises(UsageError, match="given twice"):
        parse(["A=1", "A = 1"], params={}, environment={}, find_jemalloc=nowhere)


def test_the_run_and_what_it_is_compared_with_wait_alike_for_state_to_go() -> None:
    profile = BASES["staircase"]
    tried = parse(["A=1"], params={}, environment={}, find_jemalloc=nowhere)
    assert with_idle_phase(profile, tried) == profile
    tried = parse(
        ["time_to_live=5", "time_to_live=60", "A=1"], params={}, environment={}, find_jemalloc=nowhere
    )
    assert with_idle_phase(profile, tried).staircase.idle_s > 60


LDCONFIG = """1013 libs found in cache `/etc/ld.so.cache'
\tlibjpeg.so.62 (libc6,x86-64) => /lib/x86_64-linux-gnu/libjpeg.so.62
\tlibjemalloc.so.2 (libc6,x86-64) => /lib/x86_64-linux-gnu/libjemalloc.so.2
\tlibjemalloc.so.2 (libc6) => /lib/i386-linux-gnu/libjemalloc.so.2
"""


def test_jemalloc_is_found_where_the_linker_knows_it() -> None:
    known = parse_ldconfig(LDCONFIG)
    assert known == ["/lib/x86_64-linux-gnu/libjemalloc.so.2", "/lib/i386-linux-gnu/libjemalloc.so.2"]
    # One for another processor is passed over.
    assert find_jemalloc(None, lambda path: "i386" in path, known) == known[1]


def test_without_jemalloc_it_is_said_how_to_install_it(tmp_path: Path) -> None:
    for named, candidates, says in (
        (None, [], "no jemalloc on this machine"),
        (None, ["/a.so"], "does not start with /a.so"),
        (str(tmp_path / "j.so"), [], "There is no library"),
    ):
        with pytest.raises(UsageError, match=says) as refused:
            find_jemalloc(named, lambda _: False, candidates)
        assert "apt-get install libjemalloc2" in refused.value.hint


def test_a_library_that_is_no_jemalloc_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "libjemalloc.so.2"
    other.write_bytes(b"not a library")
    assert not starts_with(sys.executable, str(other))
    with pytest.raises(UsageError, match="is not jemalloc"):
        find_jemalloc(str(other), lambda path: starts_with(sys.executable, path))
