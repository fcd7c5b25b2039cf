"""A user in a hurry, who adds two things at the same time. Both must be on the list."""

from harness.workload import Workload, action, append, append_only_list


class Shopper(Workload):
    state = {"items": append_only_list(concurrent_updates="atomic")}

    def arrive(self):
        self.add()

    @action
    def add_two(self):
        self.at_once(self.add, self.add)

    @action
    def add(self):
        item = self.token()
        with self.operation("add", items=append(item)) as seen:
            seen["items"] = self.page.call("/add", item)
