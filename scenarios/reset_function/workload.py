"""A user who collects things, and starts anew now and then; others must not notice."""

from harness.workload import (
    Workload,
    action,
    append,
    append_only_list,
    clear,
    counter,
    increment,
    register,
    write,
)


class Visitor(Workload):
    state = {"count": counter(), "items": append_only_list(), "draft": register("")}

    def arrive(self):
        self.add()

    @action(weight=4)
    def add(self):
        item = self.token()
        with self.operation("add", count=increment(), items=append(item), draft=clear()) as seen:
            self.page.fill("Item", item)
            self.page.click("Add")
            self.look(seen)

    @action
    def reset(self):
        """Type something, and give up on it and on all the rest."""
        draft = self.token()
        with self.operation("type", draft=write(draft)) as seen:
            self.page.fill("Item", draft)
            self.look(seen)
        with self.operation("reset", count=clear(), items=clear(), draft=clear()) as seen:
            self.page.click("Reset")
            self.look(seen)

    def look(self, seen):
        seen["count"] = self.page.value("Total")
        seen["items"] = self.page.value("Items")
        seen["draft"] = self.page.value("Item")
