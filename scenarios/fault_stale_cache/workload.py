"""A user who writes on a board of all visitors, and reads it. A visitor must find their own entry at once."""

from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    state = {"board": append_only_list(scope="everyone")}

    def arrive(self):
        self.post()

    @action
    def post(self):
        note = self.token()
        with self.operation("post", board=append(note)):
            self.page.call("/post", note)
        self.read()

    @action(weight=3)
    def read(self):
        with self.operation("read") as seen:
            seen["board"] = self.page.call("/read")
