"""A user who comes, does things, and looks: the visit must have begun when this page was loaded, and only then."""

from harness.workload import Workload, action, append, append_only_list, assigned


class Visitor(Workload):
    state = {"began": assigned(), "actions": append_only_list()}

    def arrive(self):
        """The load event has run by now: its outputs stand in the page, and nothing was done yet."""
        with self.operation("look") as seen:
            self.look(seen)
        self.do()

    @action
    def do(self):
        what = self.token()
        with self.operation("do", actions=append(what)) as seen:
            self.page.submit("What do you do?", what)
            self.look(seen)

    def look(self, seen):
        visit = self.page.value("Visit")
        seen["began"] = f"{visit['started']} {visit['mark']}"
        seen["actions"] = visit["actions"]
