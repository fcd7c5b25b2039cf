"""The users that left most recently, with their browsers: some of them return after the app has been restarted."""

from __future__ import annotations

from collections import OrderedDict

from harness.page.browser import Browser

# Each remembered browser costs memory, and a run may have thousands of visits.
MAX_REMEMBERED = 50


class RecentVisitors:
    """The users that left most recently, each with the browser of its last visit.

    Args:
        limit: how many are remembered.
    """

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._browsers: OrderedDict[int, Browser] = OrderedDict()
        self._selected: list[tuple[int, Browser]] = []

    def remember(self, user_number: int, browser: Browser) -> None:
        """Remember a user that leaves, for the first time or again."""
        self._browsers[user_number] = browser
        self._browsers.move_to_end(user_number)
        while len(self._browsers) > self._limit:
            self._browsers.popitem(last=False)

    def select(self, count: int) -> int:
        """Select the users that return: the `count` most recent, or all if fewer are remembered.

        Returns:
            How many are selected.
        """
        self._selected = list(self._browsers.items())[-count:] if count > 0 else []
        return len(self._selected)

    def next(self) -> tuple[int, Browser]:
        """Take the next selected user, most recent first.

        Returns:
            Its number and its browser.

        Raises:
            IndexError: all selected users have been taken.
        """
        return self._selected.pop()
