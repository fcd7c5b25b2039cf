"""A user who counts things, with the button. Every click counts once."""

from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    state = {"clicks": append_only_list()}

    def arrive(self):
        self.click()

    @action
    def click(self):
        label = self.token()
        with self.operation("click", clicks=append(label)) as seen:
            self.page.fill("What are you counting?", label)
            self.page.click("Count")
            seen["clicks"] = self.page.value("Clicks")
