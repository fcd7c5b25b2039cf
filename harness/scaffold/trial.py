"""The trial: performs each gesture a few times in three sessions, and records what the page shows."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness import tokens
from harness.app_under_test import Account
from harness.errors import TargetError
from harness.page.blueprint import Blueprint
from harness.page.page_errors import OperationFailed, OperationUnknown, PageMisuse
from harness.scaffold.field_values import value_of
from harness.scaffold.gestures import Gesture, PageGestures, find_gestures
from harness.scaffold.model_guess import TrialAct

if TYPE_CHECKING:
    from harness.page.gradio_page import GradioPage

# Person 1 alone performs each gesture three times, then each once more. Then person 2 follows; then person 1 again, who also
# reloads the page (session 3); then person 2 once more.
_ALONE, _OTHER, _RELOADED = 1, 2, 3
_TAG = "1417"
# After this time, the remaining rounds are left out.
_PATIENCE_S = 90.0
_TIMEOUT_S = 30.0
_MAX_GESTURES = 20


def look_and_try(
    url: str, accounts: Sequence[Account], on_step: Callable[[str], None]
) -> tuple[PageGestures, list[TrialAct], list[str]]:
    """Open the app's page, find its gestures, and perform them.

    Args:
        url: root of the app, which runs on this machine and was started for the trial.
        accounts: logins; the two persons use the first two.
        on_step: called with each next step.

    Returns:
        The gestures of the page, the acts of the trial, and what was left out, one sentence each.

    Raises:
        TargetError: the page cannot be opened.
    """
    from harness.page.gradio_page import GradioPage

    trial = _Trial(url, accounts)
    try:
        first = trial.open(GradioPage, person=1)
        config = first.config
        page = find_gestures(Blueprint.of(config), str(config.get("mode", "")))
        left_out = [
            f"{g.slug}: the page has more than {_MAX_GESTURES} gestures."
            for g in page.gestures[_MAX_GESTURES:]
        ]
        trial.page = page
        gestures = page.gestures[:_MAX_GESTURES]
        if not gestures:
            return page, [], left_out
        trial.look(first, session=_ALONE, person=1)
        deadline = time.monotonic() + _PATIENCE_S

        def everything(tab: GradioPage, session: int, person: int, times: int = 1) -> None:
            for gesture in gestures:
                for _ in range(times):
                    if time.monotonic() < deadline and gesture.slug not in trial.failed:
                        on_step(gesture.slug)
                        trial.do(tab, gesture, session, person)

        everything(first, _ALONE, 1, times=3)
        everything(first, _ALONE, 1)
        second = trial.open(GradioPage, person=2)
        trial.look(second, session=_OTHER, person=2)
        everything(second, _OTHER, 2, times=2)
        everything(first, _ALONE, 1)
        first.reload()
        trial.look(first, session=_RELOADED, person=1)
        everything(first, _RELOADED, 1)
        everything(second, _OTHER, 2)
        if time.monotonic() >= deadline:
            left_out.append(f"Some rounds of the trial: its time of {_PATIENCE_S:.0f} s was over.")
        return page, trial.acts, left_out
    except (OperationFailed, OperationUnknown) as error:
        raise TargetError(
            f"The app's page could not be opened: {error}.",
            "Open it in a browser, and read the app's log.",
        ) from error
    finally:
        trial.close()


class _Trial:
    def __init__(self, url: str, accounts: Sequence[Account]) -> None:
        self._url = url
        self._accounts = accounts
        self._tabs: list[GradioPage] = []
        self._numbers = itertools.count(1)
        self._random = random.Random(0)
        self.page = PageGestures(gestures=[], names={}, labels={}, left_out=[])
        self.acts: list[TrialAct] = []
        self.failed: set[str] = set()

    def open(self, kind: type[GradioPage], person: int) -> GradioPage:
        """Open a new page for a person, with a login of its own if there are enough."""
        auth = self._accounts[(person - 1) % len(self._accounts)] if self._accounts else None
        tab = kind(self._url, _TIMEOUT_S, auth=auth)
        self._tabs.append(tab)
        tab.open()
        return tab

    def look(self, tab: GradioPage, session: int, person: int) -> None:
        """Record what a page shows after opening."""
        shown = self._shown(tab, self.page.names)
        self.acts.append(TrialAct(session=session, person=person, gesture="", token="", shown=shown))

    def do(self, tab: GradioPage, gesture: Gesture, session: int, person: int) -> None:
        """Perform one gesture, and record what the page shows then."""
        token = tokens.mint(_TAG, 0, session, next(self._numbers)) if gesture.has_text else ""
        error = None
        try:
            self._perform(tab, gesture, token)
        except (OperationFailed, OperationUnknown, PageMisuse) as trouble:
            error = " ".join(str(trouble).split())[:300]
            self.failed.add(gesture.slug)
        shown = self._shown(tab, gesture.outputs)
        self.acts.append(
            TrialAct(
                session=session, person=person, gesture=gesture.slug, token=token, shown=shown, error=error
            )
        )

    def close(self) -> None:
        """Close all pages."""
        for tab in self._tabs:
            tab.close()

    def _perform(self, tab: GradioPage, gesture: Gesture, token: str) -> None:
        for fill in gesture.fills:
            value = value_of(fill, token, self._random)
            if gesture.kind == "submit" and fill.component == gesture.component:
                tab.submit(fill.component, value)
                return
            if fill.kind in ("file", "picture"):
                tab.upload(fill.component, value)
            elif fill.kind == "choice":
                tab.select(fill.component, value)
            else:
                tab.fill(fill.component, value)
        if gesture.kind == "click":
            tab.click(gesture.component)
        elif gesture.kind == "submit":
            tab.submit(gesture.component)

    def _shown(self, tab: GradioPage, components: Any) -> dict[int, Any]:
        found = {}
        for component in components:
            try:
                found[component] = tab.value(component)
            except PageMisuse:  # gr.render removed the component
                continue
        return found
