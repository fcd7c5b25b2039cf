"""Figures of the interpreter that the probe reports."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading

import pytest

from harness.probe import heap, interpreter_stats, server


async def _until(event: asyncio.Event) -> None:
    await event.wait()


class Jealous(asyncio.Task):  # type: ignore[type-arg]
    def done(self) -> bool:
        raise AssertionError("the app's own code was run")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="tasks are out of sight there")
def test_tasks_of_every_loop_count_until_they_are_done() -> None:
    before = interpreter_stats.tasks()
    assert before is not None
    started, end = threading.Barrier(3), threading.Event()

    def run(number: int) -> None:
        async def main() -> None:
            event = asyncio.Event()
            tasks = [asyncio.ensure_future(_until(event)) for _ in range(number)]
            tasks.append(Jealous(_until(event), loop=asyncio.get_running_loop()))
            done = asyncio.ensure_future(asyncio.sleep(0))
            await done
            started.wait()
            end.wait()
            event.set()
            await asyncio.gather(*tasks)

        asyncio.run(main())

    threads = [threading.Thread(target=run, args=(number,)) for number in (2, 5)]
    for thread in threads:
        thread.start()
    started.wait()
    during = interpreter_stats.counts()
    end.set()
    for thread in threads:
        thread.join()
    assert during["tasks"] - before == 3 + 6 + 2  # and the main task of each loop
    assert during["threads"] >= 3
    assert interpreter_stats.tasks() == before


def test_a_collection_is_counted() -> None:
    before = interpreter_stats.counts()["gc_collections"][2]
    gc.collect()
    after = interpreter_stats.counts()
    assert after["gc_collections"][2] == before + 1
    assert len(after["gc_counts"]) == len(after["gc_collections"]) == 3


@pytest.mark.skipif(not heap.can_trim(), reason="glibc alone gives memory back on request")
def test_settling_reports_resident_memory_before_and_the_bytes_returned() -> None:
    rubble = [bytes(2000) for _ in range(50_000)]
    kept = rubble[::50]  # so that the heap cannot shrink by itself
    del rubble
    answer = server._settle()
    assert answer["returned_bytes"] >= 50_000_000  # type: ignore[operator]
    assert answer["rss_bytes"] > answer["returned_bytes"]  # type: ignore[operator]
    assert server._measure(0)["rss_bytes"] < answer["rss_bytes"] - 50_000_000  # type: ignore[operator]
    assert kept
