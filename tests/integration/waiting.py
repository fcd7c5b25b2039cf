"""Waiting for what a server does in its own time."""

from __future__ import annotations

from collections.abc import Callable

import gevent


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within 20 s; greenlets go on meanwhile."""
    with gevent.Timeout(20, False):
        while not condition():
            gevent.sleep(0.01)
        return True
    return False
