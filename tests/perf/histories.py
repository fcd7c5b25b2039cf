"""Run folders with a history of any length, as the recorder would have written it; and what it costs to read and check one.

`python -m tests.perf.histories decode|check FOLDER` prints, as JSON, what it took in a process of its own.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from harness import tokens
from harness.evaluate import check_run
from harness.history.list_delta import Shortener
from harness.records import Effect, Error, HistoryRecord, Info, Invoke, Ok
from harness.run_dir import EVENTS, MANIFEST, RunDir
from harness.run_reader import open_run
from harness.workload import append_only_list, counter
from tests.unit.report.builders import manifest

RUN_TAG = "7f3a"
STATE = {"count": counter(), "clicks": append_only_list()}
# Sessions that are open at the same time, so that their records stand between each other's.
_TOGETHER = 200
_STEP_NS = 50_000

Kind = Literal["clean", "timeouts", "shared"]


def write(folder: Path, sessions: int, actions: int, kind: Kind = "clean") -> Path:
    """Write a run of sessions that open, click, and close; each click shows the count and all clicks.

    Args:
        folder: of the run; made.
        sessions: how many.
        actions: operations of each, opening and closing included.
        kind: `clean`; `timeouts`, where the last click of one session in a hundred is never answered; or `shared`, where every
            session of a hundred sees the clicks of another one.
    """
    run_dir = RunDir.create(folder)
    run_dir.write_json(MANIFEST, manifest(run_tag=RUN_TAG, state=STATE, expect=None))
    run_dir.writer(EVENTS).close()
    encoder = msgspec.json.Encoder()
    with run_dir.history_path("0").open("wb", buffering=1 << 20) as file:
        for record in records(sessions, actions, kind):
            file.write(encoder.encode(record))
            file.write(b"\n")
    run_dir.seal("completed", "")
    return folder


class _Visitor:
    def __init__(self, number: int, kind: Kind) -> None:
        self.number = number
        self.id = tokens.session_id(0, number)
        self.clicks: list[str] = []
        self.shortener = Shortener()
        odd = number % 100 == 50
        self.never_answered = odd and kind == "timeouts"
        self.sees_another = odd and kind == "shared"


def records(sessions: int, actions: int, kind: Kind) -> Iterator[HistoryRecord]:
    """The records in the order of writing: all sessions that are open act, and are answered, one after another."""
    rng = random.Random(1)
    now, number = 10**12, 0
    for first in range(0, sessions, _TOGETHER):
        visitors = [_Visitor(n, kind) for n in range(first, min(first + _TOGETHER, sessions))]
        for turn in range(actions):
            begun: list[tuple[int, _Visitor]] = []
            for visitor in visitors:
                number, now = number + 1, now + _STEP_NS
                begun.append((number, visitor))
                yield _invoke(number, now, visitor, turn, actions)
            for operation, visitor in begun:
                now += _STEP_NS
                if 0 < turn < actions - 1:
                    visitor.clicks.append(tokens.mint(RUN_TAG, 0, visitor.number, turn))
                yield _completion(operation, now, visitor, visitors, turn, actions, rng)


def _invoke(number: int, now: int, visitor: _Visitor, turn: int, actions: int) -> Invoke:
    action = "open" if turn == 0 else "close" if turn == actions - 1 else "click"
    effects = {}
    if action == "click":
        token = tokens.mint(RUN_TAG, 0, visitor.number, turn)
        effects = {"count": Effect(op="increment", value=1), "clicks": Effect(op="append", value=token)}
    return Invoke(
        id=number,
        session=visitor.id,
        action=action,
        phase="load",
        time_ns=now,
        intended_ns=None if action == "close" else now - 1000,
        user=tokens.user_name(RUN_TAG, 0, visitor.number) if action == "open" else "",
        effects=effects,
    )


def _completion(
    number: int,
    now: int,
    visitor: _Visitor,
    visitors: list[_Visitor],
    turn: int,
    actions: int,
    rng: random.Random,
) -> Ok | Info:
    if visitor.never_answered and turn == actions - 2:
        return Info(id=number, time_ns=now, error=Error(kind="timeout", message="no result within 30 s"))
    whole, deltas = {}, {}
    if 0 < turn < actions - 1:
        shown = visitor.clicks
        if visitor.sees_another:
            shown = [*shown, *visitors[0].clicks]
        whole, deltas = visitor.shortener.shorten(number, {"count": len(shown), "clicks": shown})
    return Ok(
        id=number,
        time_ns=now,
        accepted_ns=now - 3000,
        started_ns=now - 2000,
        event_ids=[f"{rng.getrandbits(128):032x}"],
        searched=4,
        reads=whole,
        deltas=deltas,
    )


def _decode(run_dir: RunDir) -> str:
    """Nothing but what msgspec does: each line of the file, decoded and dropped."""
    decoder: msgspec.json.Decoder[HistoryRecord] = msgspec.json.Decoder(HistoryRecord)
    with run_dir.history_path("0").open("rb") as file:
        for line in file:
            decoder.decode(line)
    return ""


def _check(run_dir: RunDir) -> str:
    return check_run(open_run(run_dir)).verdict


def main() -> None:
    """Do one of the two, and print what it took."""
    what, folder = sys.argv[1:]
    gc.collect()
    before_kib = _memory_kib("VmRSS")
    began = time.process_time()
    verdict = (_decode if what == "decode" else _check)(RunDir.open(Path(folder)))
    took_s = time.process_time() - began
    grown = max(0, _memory_kib("VmHWM") - before_kib) * 1024
    print(json.dumps({"cpu_s": took_s, "bytes": grown, "verdict": verdict}))


def _memory_kib(name: str) -> int:
    """Memory of this process: VmRSS is what it has, VmHWM the most that it ever had (proc(5)).

    Not `getrusage`, whose peak is that of whoever started the process, if that is higher.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status does not say {name}")


if __name__ == "__main__":
    main()
