"""A user who fills a shopping cart, item by item."""

from harness.workload import Workload, action, append, append_only_list


class Shopper(Workload):
    state = {"cart": append_only_list()}

    def arrive(self):
        self.add()

    @action
    def add(self):
        item = self.token()
        with self.operation("add", cart=append(item)) as seen:
            seen["cart"] = self.page.call("/add", item)
