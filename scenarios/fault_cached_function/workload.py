"""A user with a common first name, who talks; the assistant must remember this conversation only."""

from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    state = {"memory": append_only_list()}

    def arrive(self):
        self.name = self.random.choice(["Maria", "Chen"])
        self.say()

    @action
    def say(self):
        message = self.token()
        with self.operation("say", memory=append(message)) as seen:
            _, seen["memory"] = self.page.call("/chat", self.name, message)
