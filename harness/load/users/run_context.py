"""What all simulated users of one load generator process share during a run."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence

import gevent.event

from harness.load.canary_registry import CanaryRegistry
from harness.load.gradio_user import GradioUser
from harness.load.recorder import Recorder
from harness.load.users.recent_visitors import RecentVisitors
from harness.load.users.reload_share import ReloadShare
from harness.page.page_errors import PageMisuse
from harness.records import Profile
from harness.workload import Workload


class RunContext:
    """What all users of one load generator process share.

    Args:
        workload: the scenario's workload class.
        auth: user names and passwords, which users take in turn.
        on_misuse: called if the workload asks for something that the page does not have, so that the run can end.

    Attributes:
        leaving: set when the users of the current phase must finish.
        present: users that have started and not ended, holders included.
        open_sessions: sessions that are open now.
        sessions: sessions begun so far.
        reloads: which of the users that leave load the page again.
        recent_visitors: users of the load phase that have left, and may return.
    """

    def __init__(
        self,
        *,
        workload: type[Workload],
        recorder: Recorder,
        profile: Profile,
        run_tag: str,
        worker: int,
        seed: int,
        params: Mapping[str, str],
        auth: Sequence[tuple[str, str]] = (),
        on_misuse: Callable[[PageMisuse], None] = lambda _: None,
    ) -> None:
        self.workload = workload
        self.auth = auth
        self.on_misuse = on_misuse
        self.recorder = recorder
        self.registry = CanaryRegistry(run_tag, workload.variables, workload.shared)
        self.profile = profile
        self.worker = worker
        self.seed = seed
        self.params = params
        self.leaving = gevent.event.Event()
        self.present: set[GradioUser] = set()
        self.open_sessions = 0
        self.sessions = 0
        self.reloads = ReloadShare(profile.reload_share)
        self.recent_visitors = RecentVisitors()
        self._session_numbers = itertools.count(1)
        self._user_numbers = itertools.count(1)

    def next_user_rng(self) -> random.Random:
        """Random numbers of the next user: the same for the same seed, worker and order of starting."""
        return random.Random(f"{self.seed}/{self.worker}/{next(self._user_numbers)}")

    def next_session_number(self) -> int:
        """Number of the next session of this process."""
        self.sessions = next(self._session_numbers)
        return self.sessions

    def account(self, user_number: int) -> int:
        """Which login a user has, from 1 on: users take the logins in turn. 0 if there are none."""
        return (user_number - 1) % len(self.auth) + 1 if self.auth else 0

    def login(self, user_number: int) -> tuple[str, str] | None:
        """Name and password of a user, None if there are no logins."""
        return self.auth[self.account(user_number) - 1] if self.auth else None
