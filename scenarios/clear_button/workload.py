"""A user who keeps notes, and starts over now and then."""

from harness.workload import Workload, action, append, append_only_list, clear, register, write


class Visitor(Workload):
    state = {"kept": append_only_list(), "note": register("")}

    def arrive(self):
        self.keep()

    @action(weight=3)
    def keep(self):
        note = self.token()
        with self.operation("keep", note=write(note), kept=append(note)) as seen:
            self.page.fill("Note", note)
            self.page.click("Keep")
            self.look(seen)

    @action
    def start_over(self):
        with self.operation("start over", note=clear(), kept=clear()) as seen:
            self.page.click("Start over")
            self.look(seen)

    def look(self, seen):
        """Write down what the page shows."""
        seen["kept"] = self.page.value("Kept notes")
        seen["note"] = self.page.value("Note")
