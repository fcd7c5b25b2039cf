"""A user who claps, mostly twice in a row."""

from harness.workload import Workload, action, counter, increment, register, write


class Visitor(Workload):
    state = {"name": register(""), "claps": counter(concurrent_updates="atomic")}

    def arrive(self):
        name = self.token()
        with self.operation("sign in", name=write(name)) as seen:
            self.page.fill("Your name", name)
            self.look(seen, self.page.click("Enter"))

    @action(weight=3)
    def double_click(self):
        self.at_once(self.clap, self.clap)

    @action
    def clap(self):
        with self.operation("clap", claps=increment()) as seen:
            self.look(seen, self.page.click("Clap"))

    def look(self, seen, click):
        """Write down what this click brought back; the page itself shows only what came last."""
        seen["name"] = click.value("Signed in as")
        seen["claps"] = click.value("Claps")
