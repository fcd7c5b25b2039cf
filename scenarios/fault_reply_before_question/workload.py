"""A user who asks in a forum, and replies to posts. A post may take two seconds to reach all visitors, but no reply may come before its question."""

from harness import tokens
from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    state = {"forum": append_only_list(scope="everyone", within_s=2.0)}

    def arrive(self):
        self.post(self.token())

    @action
    def ask(self):
        self.post(self.token())

    @action(weight=2)
    def reply(self):
        forum = self.read()
        if forum:
            question = tokens.find(forum[-1])[0]
            self.post(f"{self.token()} (re {question})")

    @action(weight=2)
    def read(self):
        with self.operation("read") as seen:
            seen["forum"] = self.page.call("/read")
        return seen.get("forum")

    def post(self, text):
        with self.operation("post", forum=append(text)):
            self.page.call("/post", text)
