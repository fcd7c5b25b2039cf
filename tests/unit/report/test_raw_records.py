"""The records of an operation: what stood in the file, and a mark wherever something is left out."""

from __future__ import annotations

import json
import re

import msgspec

from harness.history import WorkerFacts, Workers, pair
from harness.records import Effect, Error, Fail, HistoryRecord, Info, Invoke, Ok, Sighting
from harness.report.raw_records import MAX_CHARACTERS, MAX_ELEMENTS, RecordLine, line, records_of

INVOKE = Invoke(
    id=7,
    session="s0-3",
    action="click",
    phase="load",
    time_ns=10**9,
    intended_ns=10**9 - 5,
    effects={"log": Effect(op="append", value="<b>&\"é'")},
)
OK = Ok(
    id=7,
    time_ns=2 * 10**9,
    accepted_ns=10**9 + 3,
    started_ns=10**9 + 4,
    first_output_ns=10**9 + 5,
    event_ids=["6c5e"],
    searched=3,
    tokens_sent=2,
    untagged_sent=1,
    own_tokens_seen=1,
    sightings=[Sighting(kind="secret", value="k", where="result")],
    reads={"log": ["a", 1, None], "form": {"x": True}},
)
ENDS: list[list[HistoryRecord]] = [
    [INVOKE, OK],
    [INVOKE, Fail(id=7, time_ns=2 * 10**9, error=Error(kind="app", message="no"), searched=1)],
    [
        INVOKE,
        Info(id=7, time_ns=2 * 10**9, error=Error(kind="timeout", message="late"), accepted_ns=10**9 + 3),
    ],
    [INVOKE],
    [Invoke(id=8, session="s0-3", action="open", phase="load", time_ns=1, user="u-1"), Ok(id=8, time_ns=2)],
]


def read_back(shown: RecordLine) -> object:
    """The JSON that a person reads."""
    return json.loads(shown.json.unescape())


def test_what_was_paired_comes_apart_into_the_same_records() -> None:
    for records in ENDS:
        (operation,) = pair({"0": records}).operations
        assert records_of(operation, Workers()) == records


def test_times_of_another_machine_are_those_that_stand_in_its_file() -> None:
    workers = Workers(facts={"0": WorkerFacts(name="0", clock="there", offset_ns=12_345)})
    for records in ENDS:
        (operation,) = pair({"0": records}, workers=workers).operations
        assert operation.invoke_ns != records[0].time_ns
        assert records_of(operation, workers) == records


def test_a_short_record_is_whole() -> None:
    for record in (record for records in ENDS for record in records):
        shown = line(record, [])
        assert not shown.cut
        assert read_back(shown) == msgspec.to_builtins(record)
        assert "<b>" not in shown.json


def test_a_long_list_is_cut_with_a_count_and_what_matters_stays() -> None:
    values = [f"value-number-{number}" for number in range(5_000)]
    shown = line(Ok(id=1, time_ns=2, reads={"log": values}), ["value-number-777"])
    assert shown.cut
    assert len(shown.json) < 1_000
    marks = re.findall(r'<span class="cut">… ([\d,]+) elements left out …</span>', shown.json)
    assert [int(mark.replace(",", "")) for mark in marks] == [775, 4_220]
    kept = re.findall(r"value-number-(\d+)", shown.json)
    assert kept == ["0", "1", "777", "4998", "4999"]
    assert len(kept) + 775 + 4_220 == 5_000


def test_a_list_of_which_everything_matters_is_not_endless() -> None:
    values = ["the same value"] * 5_000
    shown = line(Ok(id=1, time_ns=2, reads={"log": values}), ["the same value"])
    assert shown.json.count("the same value") <= MAX_ELEMENTS + 4


def test_a_record_with_many_entries_is_cut_likewise() -> None:
    form = {f"field{number}": f"value-number-{number}" for number in range(200)}
    shown = line(Ok(id=1, time_ns=2, reads={"form": form}), ["value-number-77"])
    assert "75 entries left out" in shown.json
    assert "120 entries left out" in shown.json
    assert '"field77": "value-number-77"' in shown.json


def test_a_long_text_is_cut_in_the_middle() -> None:
    text = "b" * 1_000 + "e" * 1_000
    shown = line(Ok(id=1, time_ns=2, reads={"r": text}), [])
    assert shown.cut
    assert "1,760 characters left out" in shown.json
    assert "b" * 120 + '<span class="cut">' in shown.json
    assert "</span>" + "e" * 120 in shown.json
    assert not line(Ok(id=1, time_ns=2, reads={"r": "b" * MAX_CHARACTERS}), []).cut


def test_what_an_app_shows_cannot_look_like_a_cut() -> None:
    fake = '<span class="cut">… 9 elements left out …</span>'
    shown = line(Ok(id=1, time_ns=2, reads={"r": fake}), [])
    assert not shown.cut
    assert "<span" not in shown.json
