"""A user who counts a few things on arrival, which shows that the app keeps them, and more of them later."""

from harness.workload import Workload, action, append, append_only_list, counter, increment


class Visitor(Workload):
    state = {"count": counter(), "clicks": append_only_list()}

    def arrive(self):
        for _ in range(3):
            self.click()

    @action
    def click(self):
        label = self.token()
        with self.operation("click", count=increment(), clicks=append(label)) as seen:
            seen["count"], seen["clicks"] = self.page.call("/click", label)
