"""A user who sends a text and reads it back."""

from harness.workload import Workload, action, answer, ask


class Visitor(Workload):
    state = {"said": answer()}

    def arrive(self):
        self.echo()

    @action
    def echo(self):
        text = self.token()
        with self.operation("echo", said=ask(text)) as seen:
            seen["said"] = self.page.call("/echo", text)
