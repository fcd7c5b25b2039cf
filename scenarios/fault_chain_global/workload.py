"""A user who searches. What is found must be what was searched for."""

from harness import tokens
from harness.workload import Workload, action, begin, chain


class Visitor(Workload):
    state = {"search": chain()}

    def arrive(self):
        self.search()

    @action
    def search(self):
        question = self.token()
        with self.operation("search", search=begin(question)) as seen:
            self.page.fill("Question", question)
            self.page.click("Search")
            steps = self.page.value("Status"), self.page.value("Result")
            seen["search"] = [token for step in steps for token in tokens.find(step)]
