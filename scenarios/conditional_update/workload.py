"""A user who enters measurements, high and low ones, and looks at which were kept."""

from harness import tokens
from harness.workload import Workload, action, answer, append_only_list, ask, offer

# What the app guarantees; were its own threshold another one, the model would be broken.
THRESHOLD = 10


class Visitor(Workload):
    state = {"kept": append_only_list(above=THRESHOLD), "said": answer()}

    def arrive(self):
        self.measure()

    @action
    def measure(self):
        label, value = self.token(), self.random.randint(0, 2 * THRESHOLD)
        with self.operation("measure", kept=offer(value, label), said=ask(label)) as seen:
            self.page.fill("Measured value", value)
            self.page.fill("Label", label)
            self.page.click("Enter")
            seen["kept"] = self.page.value("Kept measurements")
            seen["said"] = tokens.find(self.page.value("Result"))
