"""A user who asks one question after the other, and wants the reply to that one."""

from harness import tokens
from harness.workload import Workload, action, answer, ask


class Visitor(Workload):
    state = {"reply": answer()}

    def arrive(self):
        self.ask()

    @action
    def ask(self):
        question = self.token()
        with self.operation("ask", reply=ask(question)) as seen:
            seen["reply"] = tokens.find(self.page.call("/ask", question))
