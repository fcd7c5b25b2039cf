"""A user who has reports made, one after the other; each must be on what was asked for."""

from harness.workload import Workload, action, register, write


class Reader(Workload):
    state = {"report": register()}

    def arrive(self):
        self.make_report()

    @action
    def make_report(self):
        subject = self.token()
        with self.operation("report", report=write(f"A report on {subject}.\n")) as seen:
            seen["report"] = self.page.call("/report", subject)
