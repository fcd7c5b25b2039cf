"""People who leave the app: who loads its page again at once, and who may come back to it later."""

from __future__ import annotations

import math
from collections import OrderedDict

from harness.page.gradio_page import Browser

# Each costs the memory of a browser, and a run may see thousands of them.
MOST = 50


class Share:
    """Says yes to a share of those who ask: to the first, and from then on at equal distances.

    Drawing lots would do the same in the long run; in a short one, or with an app so slow that few visits end, nobody might be drawn.

    Args:
        share: from 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._asked = 0
        self._granted = 0

    def take(self) -> bool:
        """Whether it is the turn of whoever asks."""
        due = math.ceil(round((self._asked + 1) * self._share, 9))
        self._asked += 1
        granted = due > self._granted
        self._granted = due
        return granted


class People:
    """The latest to leave, with the browsers that they had.

    Args:
        most: how many are remembered.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._left: OrderedDict[int, Browser] = OrderedDict()
        self._called: list[tuple[int, Browser]] = []

    def leaves(self, person: int, browser: Browser) -> None:
        """Somebody leaves, for the first time or again."""
        self._left[person] = browser
        self._left.move_to_end(person)
        while len(self._left) > self._most:
            self._left.popitem(last=False)

    def call(self, number: int) -> int:
        """Choose who comes back: the latest to leave, so many or as many as there are; how many that is."""
        self._called = list(self._left.items())[-number:] if number > 0 else []
        return len(self._called)

    def next(self) -> tuple[int, Browser]:
        """The next one of those who were called, with their browser; the latest to leave comes first.

        Raises:
            IndexError: all have come.
        """
        return self._called.pop()
