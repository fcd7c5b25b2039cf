"""A user who writes lines and corrects them: the server must append to the page's value, edits included."""

from harness.workload import Workload, action, register, write


class Visitor(Workload):
    state = {"history": register("")}

    def arrive(self):
        self.add()

    @action(weight=2)
    def add(self):
        line = self.token()
        with self.operation("add", history=write("\n".join([*self.lines(), line]))) as seen:
            self.page.submit("Line", line)
            seen["history"] = self.page.value("History")

    @action
    def edit(self):
        """Strike the first line and correct the last one. Nothing is sent: the next line takes it along."""
        edited = "\n".join([*self.lines()[1:-1], f"corrected {self.token()}"])
        with self.operation("edit", history=write(edited)) as seen:
            self.page.fill("History", edited)
            seen["history"] = self.page.value("History")

    def lines(self):
        """The page's current value."""
        return self.page.value("History").splitlines()
