"""Which of the users that leave load the page again at once."""

from __future__ import annotations

import math


class ReloadShare:
    """Grants a share of all requests: the first one, and from then on at equal distances.

    Random draws would give the same share in a long run. In a short run, or with an app so slow that few visits end,
    they might grant none.

    Args:
        share: from 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._requests = 0
        self._granted = 0

    def take(self) -> bool:
        """Whether this request is granted."""
        due = math.ceil(round((self._requests + 1) * self._share, 9))
        self._requests += 1
        granted = due > self._granted
        self._granted = due
        return granted
