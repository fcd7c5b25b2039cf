"""A user who has a badge drawn. This workload has no model of the app: a name that is a token is recognised in any response."""

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
