"""A user who writes line by line, and sometimes clears it all."""

from harness.workload import Workload, action, append, append_only_list, clear


class Visitor(Workload):
    state = {"lines": append_only_list()}

    def arrive(self):
        self.add_line()

    @action(weight=4)
    def add_line(self):
        line = self.token()
        with self.operation("submit", lines=append(line)) as seen:
            self.page.fill("Line", line)
            self.page.click("Submit")
            seen["lines"] = self.lines()

    @action
    def clear(self):
        """The Clear button of an Interface resets its State, too."""
        with self.operation("clear", lines=clear()) as seen:
            self.page.click("Clear")
            seen["lines"] = self.lines()

    def lines(self):
        return (self.page.value("Text") or "").splitlines()
