"""A user who fills a shopping list, and now and again begins a new one."""

from harness.workload import Workload, action, append, append_only_list, clear


class Shopper(Workload):
    state = {"items": append_only_list()}

    def arrive(self):
        self.add()

    @action(weight=3)
    def add(self):
        item = self.token()
        with self.operation("add", items=append(item)) as seen:
            seen["items"] = self.page.call("/add", item)

    @action
    def begin_anew(self):
        with self.operation("clear", items=clear()) as seen:
            seen["items"] = self.page.call("/clear")
