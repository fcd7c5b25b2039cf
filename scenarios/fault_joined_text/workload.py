"""A user who writes a shopping list, with a remark on each item."""

from harness.workload import Workload, action, append, append_only_list


class Shopper(Workload):
    state = {"items": append_only_list()}

    def arrive(self):
        self.add()

    @action
    def add(self):
        item = f"{self.token()}, if there is any"
        with self.operation("add", items=append(item)) as seen:
            seen["items"] = self.page.call("/add", item)
