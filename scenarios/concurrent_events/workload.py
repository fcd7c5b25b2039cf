"""A user who presses two buttons at the same time: what is bought must all be there, a wish may be overwritten by the other."""

from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    state = {
        "basket": append_only_list(concurrent_updates="atomic"),
        "wishes": append_only_list(concurrent_updates="last-wins"),
    }

    def arrive(self):
        self.buy("Fruit")
        self.wish("Fruit")

    @action
    def buy_both(self):
        self.at_once(lambda: self.buy("Fruit"), lambda: self.buy("Vegetable"))

    @action
    def wish_for_both(self):
        self.at_once(lambda: self.wish("Fruit"), lambda: self.wish("Vegetable"))

    @action
    def wish_for_fruit(self):
        self.wish("Fruit")

    def buy(self, kind):
        item = self.token()
        with self.operation("buy", basket=append(item)) as seen:
            self.page.fill(kind, item)
            # What this click brought back; the page itself shows what came last, which may be the other's.
            seen["basket"] = self.page.click(f"Buy {kind.lower()}").value("Basket")

    def wish(self, kind):
        item = self.token()
        with self.operation("wish", wishes=append(item)) as seen:
            self.page.fill(kind, item)
            seen["wishes"] = self.page.click(f"Wish for {kind.lower()}").value("Wishes")
