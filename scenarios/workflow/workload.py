"""A user who goes through the steps one by one; step two must still know what was said in step one."""

from harness.workload import Workload, action, clear, put, record


class Visitor(Workload):
    state = {"person": record()}

    def arrive(self):
        self.steps = self.walk()
        self.go_on()

    @action
    def go_on(self):
        """Take the next step, wherever this visitor stands."""
        next(self.steps)

    def walk(self):
        while True:
            name = f"Alex {self.token()}"
            with self.operation("name", person=put(name=name)) as seen:
                self.page.fill("Name", name)
                self.page.click("Next")
                seen["person"] = self.page.value("Collected")
            yield
            # Many users may be 37 years old; only with a token does the answer name the session that gave it.
            age = f"{self.random.randint(18, 90)} {self.token()}"
            with self.operation("age", person=put(age=age)) as seen:
                self.page.fill("Age", age)
                self.page.click("Finish")
                seen["person"] = self.page.value("Collected")
            yield
            with self.operation("start over", person=clear()) as seen:
                self.page.click("Start over")
                seen["person"] = self.page.value("Collected")
            yield
