"""Visitors: users of the closed model, who visit the app again and again until the phase ends."""

from __future__ import annotations

from harness.load.session import SessionRetired
from harness.load.users.scenario_user import ScenarioUser

# A server in trouble must not be flooded with new sessions.
_MIN_PAUSE_AFTER_FAILURE_S = 0.5


class VisitorUser(ScenarioUser):
    """Visits the app until the phase ends: opens the page, acts, leaves; some visits begin by reloading the page."""

    abstract = True

    def use_app(self) -> None:
        """Visit until the phase ends."""
        while not self.run_context.leaving.is_set():
            self._visit()

    def _visit(self) -> None:
        profile = self.run_context.profile
        try:
            workload = self._arrive()
            for _ in range(self._visit_length()):
                intended_ns = self._think(profile.think_s)
                if intended_ns is None:
                    break
                self._attempt(workload.act, intended_ns)
        except SessionRetired:
            self._action = "open"
            self._think(max(profile.think_s, _MIN_PAUSE_AFTER_FAILURE_S))
        else:
            self._action = "reload" if self.run_context.reloads.take() else "open"
        finally:
            self._leave()

    def _visit_length(self) -> int:
        """Actions of one visit: geometric with the profile's mean, since users leave at any moment."""
        mean = max(1.0, self.run_context.profile.actions_per_session)
        length = 1
        while self.rng.random() > 1.0 / mean:
            length += 1
        return length
