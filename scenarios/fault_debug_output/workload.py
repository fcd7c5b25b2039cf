"""A user who gives an access key once, and uses a service. The key must never come back."""

from harness.workload import Workload, action, counter, increment


class Visitor(Workload):
    state = {"calls": counter()}

    def arrive(self):
        key = f"key-{self.random.getrandbits(128):032x}"
        self.secret(key)
        with self.operation("connect") as seen:
            seen["calls"] = self.page.call("/connect", key)

    @action
    def ask(self):
        with self.operation("ask", calls=increment()) as seen:
            seen["calls"], _ = self.page.call("/ask")
