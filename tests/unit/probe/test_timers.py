"""Timers of the app's own: the probe clears cancelled ones away, and trips over none of the others."""

from __future__ import annotations

import asyncio
import functools
import types

from harness.probe import timers


def test_a_timer_whose_function_has_no_name_is_left_alone() -> None:
    errors: list[object] = []

    async def app() -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        loop.call_later(100, types.MethodType(functools.partial(print), 1))
        loop.call_later(100, print).cancel()
        await loop.run_in_executor(None, timers.forget_idle)
        return len(loop._scheduled)  # type: ignore[attr-defined]

    assert asyncio.run(app()) == 1
    assert errors == []
