"""Visitors of a Gradio app, for Locust's own command line and web page.

Start an app, `python scenarios/counters/app.py` for example, then this beside it:

    locust -f docs/examples/locustfile.py --host http://127.0.0.1:7860
"""

import os

from locust import between, task

from harness.load import GradioUser


class Visitor(GradioUser):
    """Counts things, and now and then comes back later."""

    wait_time = between(0.5, 1.5)
    history_path = os.environ.get("HISTORY")  # every operation of every visitor, if a file is named

    def on_start(self):
        super().on_start()
        self.clicks = 0

    @task(9)
    def count(self):
        with self.session.operation("count", {}) as seen:
            self.page.fill("What are you counting?", self.session.token())
            self.page.click("Count")
            seen["total"] = self.page.value("Total")
        self.clicks += 1
        if seen["total"] != self.clicks:
            raise AssertionError(f"{self.clicks} clicks were made, the page shows {seen['total']}")

    @task(1)
    def come_back(self):
        self.session.close()
        self.new_session("reload")
        self.clicks = 0
