"""A user who clicks Like. All likes are counted together, and each must count."""

from harness.workload import Workload, action, counter, increment


class Visitor(Workload):
    state = {"likes": counter(scope="everyone")}

    def arrive(self):
        self.like()

    @action
    def like(self):
        with self.operation("like", likes=increment()) as seen:
            seen["likes"] = self.page.call("/like")
