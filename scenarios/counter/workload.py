"""A user who clicks, and expects 1, 2, 3 and so on."""

from harness.workload import Workload, action, counter, increment


class Visitor(Workload):
    state = {"count": counter()}

    def arrive(self):
        self.count()

    @action
    def count(self):
        with self.operation("count", count=increment()) as seen:
            self.page.click("Count")
            seen["count"] = self.page.value("Total")
