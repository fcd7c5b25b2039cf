"""A user who places orders, and now and then mistypes one, which must be refused and change nothing."""

from harness import tokens
from harness.workload import Workload, action, append, append_only_list, begin, chain, register, write


class Visitor(Workload):
    state = {"steps": chain(), "orders": append_only_list(), "confirmed": register("")}

    def arrive(self):
        self.place()

    @action(weight=3)
    def place(self):
        order = self.token()
        with self.operation(
            "place", steps=begin(order), orders=append(order), confirmed=write(order)
        ) as seen:
            self.page.fill("Order", f"Order {order}")
            self.page.click("Place")
            seen["steps"] = [self.shown(step) for step in ("Step 1", "Step 2", "Step 3")]
            self.look(seen)

    @action
    def mistype(self):
        order = self.token()
        with self.operation("mistype", steps=begin(order)) as seen:
            self.page.fill("Order", f"Odrer {order}")
            self.page.click("Place", may_fail=True)
            seen["steps"] = [self.shown("Refused")]
            self.look(seen)

    def look(self, seen):
        """Write down what the page shows of the orders that went through."""
        seen["orders"] = [token for order in self.page.value("Orders") or [] for token in tokens.find(order)]
        seen["confirmed"] = self.shown("Step 3")

    def shown(self, label):
        """The token in a text of the page, empty if there is none."""
        return "".join(tokens.find(self.page.value(label) or ""))
