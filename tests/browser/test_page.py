"""GradioPage beside a real browser: the same app, the same actions, and the server must see the same of both.

One after the other takes a list of steps. After each, the calls that reached the app's functions are compared, with
the values that the page sent. Order is left out: events that are set off together reach the server in any order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from harness.app_under_test import Target, inspect_interpreter
from harness.page import GradioPage
from harness.page.page_errors import OperationFailed

pytestmark = pytest.mark.browser

APP = Path(__file__).parent / "every_event.py"
Call = tuple[str, str]

# What a person does: kind, name of the component, and what with it.
STEPS: list[tuple[str, ...]] = [
    ("open",),
    ("click", "Everything"),
    ("click", "Up"),
    ("type", "Message", "h"),
    ("click", "Up"),
    ("submit", "Message"),
    ("click", "Everything"),
    ("click", "Boom"),
    ("choose", "Pick", "Green"),
    ("choose", "One", "y"),
    ("choose", "Boxes", "q"),
    ("check", "Flag"),
    ("type", "Number", "5"),
    ("click", "Inner"),
    ("click", "Everything"),
    ("click", "Grow"),
    ("click", "Everything"),
    ("click", "Constant"),
    ("click", "Swap"),
    ("click", "Stream"),
    ("click", "Direct"),
    ("click", "Wipe"),
    ("click", "Everything"),
    ("click", "Up"),
    ("type", "Message", "k"),
    ("click", "Store"),
    ("click", "Recall"),
    ("stop",),
    ("reload",),
    ("click", "Recall"),
    ("click", "Everything"),
]


class Calls:
    """What reached the functions of the app, read from the file that they write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken = 0

    def new(self) -> list[Call]:
        """Those since the last `take`."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [(name, json.dumps(values)) for _, name, values in map(json.loads, lines[self._taken :])]

    def take(self) -> list[Call]:
        found = self.new()
        self._taken += len(found)
        return found


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Calls]]:
    folder = tmp_path_factory.mktemp("every_event")
    target = Target(APP, inspect_interpreter(), folder / "log", {"CALLS": str(folder / "calls")})
    target.wait_ready(60)
    yield target, Calls(folder / "calls")
    target.stop()


def of_our_page(url: str, calls: Calls) -> list[list[Call]]:
    page = GradioPage(url)
    seen = []
    for kind, *what in STEPS:
        if kind in ("open", "reload"):
            getattr(page, kind)()
        elif kind == "click" and what[0] == "Boom":
            with pytest.raises(OperationFailed, match="planted"):
                page.click("Boom")
        elif kind == "click":
            page.click(what[0])
        elif kind == "type":
            page.fill(what[0], int(what[1]) if what[0] == "Number" else what[1])
        elif kind == "submit":
            page.submit(what[0])
        elif kind == "check":
            page.fill(what[0], True)
        elif kind == "choose":
            page.select(what[0], what[1])
        elif kind == "stop":
            slow = page.begin("Slow")
            with gevent.Timeout(20):
                while not any(name == "shown-change" for name, _ in calls.new()):
                    gevent.sleep(0.01)
            page.click("Stop")
            slow.wait()
        # What was set off without anybody waiting for it (a chat's own change on opening) still has to arrive.
        seen.append(calls.take())
    page.close()
    return seen


def of_the_browser(
    browser: Any, url: str, calls: Calls, expected: list[list[Call]]
) -> tuple[list[list[Call]], list[str]]:
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(20_000)

    def until(condition: Callable[[], bool]) -> None:
        for _ in range(400):
            if condition():
                return
            page.wait_for_timeout(25)

    seen = []
    for (kind, *what), wanted in zip(STEPS, expected, strict=True):
        if kind in ("open", "reload"):
            page.goto(url)
        elif kind == "click":
            page.get_by_role("button", name=what[0], exact=True).click()
        elif kind == "type":
            field = page.get_by_label(what[0], exact=True)
            field.select_text()
            field.press_sequentially(what[1])
        elif kind == "submit":
            page.get_by_label(what[0], exact=True).press("Enter")
        elif kind == "check":
            page.get_by_label(what[0], exact=True).check()
        elif kind == "choose" and what[0] == "Pick":
            page.get_by_label("Pick", exact=True).click()
            page.get_by_role("option", name=what[1]).click()
        elif kind == "choose":
            page.get_by_label(what[1], exact=True).check()
        elif kind == "stop":
            page.get_by_role("button", name="Slow", exact=True).click()
            until(lambda: any(name == "shown-change" for name, _ in calls.new()))
            page.get_by_role("button", name="Stop", exact=True).click()
            until(lambda: any(name == "slow-then" for name, _ in calls.new()))
        until(lambda: not Counter(wanted) - Counter(calls.new()))  # noqa: B023
        seen.append(calls.take())
    page.close()
    return seen, complaints


def steady(calls: list[Call]) -> Counter[Call]:
    """Calls without those whose number is left to chance.

    That is how far a generator came until the user clicked Stop, and how often the list of a dropdown lost the focus:
    each time, the browser's page says `input` again.
    """
    return Counter(call for call in calls if "slow " not in call[1] and call[0] != "pick-input")


def test_the_server_cannot_tell_our_page_from_a_browser(browser: Any, app: tuple[Target, Calls]) -> None:
    target, calls = app
    ours = of_our_page(target.url, calls)
    theirs, complaints = of_the_browser(browser, target.url, calls, ours)
    assert not complaints
    different = {
        f"{number}: {' '.join(step)}": {"ours": sorted(mine - his), "the browser's": sorted(his - mine)}
        for number, (step, mine, his) in enumerate(
            zip(STEPS, map(steady, ours), map(steady, theirs), strict=True)
        )
        if mine != his
    }
    assert not different, json.dumps(different, indent=2)
    # It would prove nothing if nothing had been called.
    assert {name for call in ours for name, _ in call} >= {
        "load",
        "up-success",
        "up-then",
        "boom-failure",
        "count-change",
        "chat-change",
        "inner",
        "direct",
        "slow-then",
        "stored-change",
    }
