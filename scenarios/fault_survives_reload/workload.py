"""A user who says who they are and fills a cart. Every page load is promised an empty one."""

from harness.workload import Workload, action, append, append_only_list


class Shopper(Workload):
    state = {"cart": append_only_list()}

    def arrive(self):
        with self.operation("enter") as seen:
            seen["cart"] = self.page.call("/enter", self.user)
        self.add()

    @action
    def add(self):
        item = self.token()
        with self.operation("add", cart=append(item)) as seen:
            seen["cart"] = self.page.call("/add", item)
