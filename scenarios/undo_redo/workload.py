"""A user who writes, and changes their mind. What undo and redo do is a model of this workload's own."""

from harness.workload import Model, Workload, action, does


class Editor(Model):
    """The lines, and those that were undone, the latest last."""

    initial = ([], [])

    def step(self, state, name, value):
        lines, undone = state
        if name == "add":
            return [*lines, value], []
        if name == "undo" and lines:
            return lines[:-1], [*undone, lines[-1]]
        if name == "redo" and undone:
            return [*lines, undone[-1]], undone[:-1]
        return state

    def shows(self, state):
        return state[0]


class Writer(Workload):
    state = {"text": Editor()}

    def arrive(self):
        self.add()

    @action(weight=3)
    def add(self):
        line = self.token()
        with self.operation("add", text=does("add", line)) as seen:
            self.page.fill("Line", line)
            self.page.click("Add")
            seen["text"] = self.page.value("Text")

    @action(weight=2)
    def undo(self):
        with self.operation("undo", text=does("undo")) as seen:
            # Where there is nothing to undo, the app says so, and the text stays as it is.
            self.page.click("Undo", may_fail=True)
            seen["text"] = self.page.value("Text")

    @action(weight=2)
    def redo(self):
        with self.operation("redo", text=does("redo")) as seen:
            self.page.click("Redo", may_fail=True)
            seen["text"] = self.page.value("Text")
