"""A user who signs in and then clicks as fast as the app answers, together with all other users."""

from harness.workload import Workload, action, append, append_only_list, counter, increment, register, write


class Visitor(Workload):
    state = {"name": register(""), "count": counter(), "log": append_only_list()}

    def arrive(self):
        name = self.token()
        with self.operation("sign in", name=write(name)) as seen:
            self.page.fill("Your name", name)
            self.page.click("Enter")
            self.look(seen)

    @action
    def click(self):
        mark = self.token()
        with self.operation("click", count=increment(), log=append(mark)) as seen:
            self.page.fill("Mark", mark)
            self.page.click("Click")
            self.look(seen)

    def look(self, seen):
        """Write down what the page shows."""
        seen["name"] = self.page.value("Signed in as")
        seen["count"] = self.page.value("Clicks")
        seen["log"] = self.page.value("Marks")
