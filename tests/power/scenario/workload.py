"""Somebody who counts things, and sees all of them."""

from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    state = {"clicks": append_only_list()}

    def arrive(self):
        self.click()

    @action
    def click(self):
        label = self.token()
        with self.operation("click", clicks=append(label)) as seen:
            seen["clicks"] = self.page.call("/click", label)
