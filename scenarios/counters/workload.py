"""A user who counts things, one click at a time."""

from harness.workload import Workload, action, append, append_only_list, counter, increment


class Visitor(Workload):
    state = {"count": counter(), "clicks": append_only_list()}

    def arrive(self):
        self.click()

    @action
    def click(self):
        label = self.token()
        with self.operation("click", count=increment(), clicks=append(label)) as seen:
            seen["count"], seen["clicks"] = self.page.call("/click", label)
