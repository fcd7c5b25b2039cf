"""Somebody who has a badge drawn. There is no model of the app here: a name that is a token is found wherever it comes up."""

from harness.workload import Workload, action


class Guest(Workload):
    def arrive(self):
        self.draw()

    @action
    def draw(self):
        with self.operation("draw"):
            self.page.fill("Name", self.token())
            self.page.select("Colour", self.random.choice(["green", "gold"]))
            self.page.click("Draw")
