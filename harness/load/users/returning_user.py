"""Returning users: visitors of the load phase that come back after the app has been restarted."""

from __future__ import annotations

from harness.load.session import SessionRetired
from harness.load.users.scenario_user import ScenarioUser

# After a restart users act without long think time, independent of the profile.
_MAX_THINK_S = 1.0
_ACTIONS = 2


class ReturningUser(ScenarioUser):
    """Loads the page again in the browser of an earlier visit, acts twice and leaves."""

    abstract = True

    def use_app(self) -> None:
        """Return once."""
        context = self.run_context
        self._user_number, self._browser = context.recent_visitors.next()
        self._action = "reload"
        try:
            workload = self._arrive()
            for _ in range(_ACTIONS):
                self._attempt(workload.act, self._think(min(context.profile.think_s, _MAX_THINK_S)))
        except SessionRetired:
            pass
        finally:
            self._leave()
