"""A user who answers a few questions, loads the page again, and finds the quiz at its beginning."""

from harness.workload import Workload, action, append, append_only_list, counter, increment


class Visitor(Workload):
    state = {"score": counter(), "answers": append_only_list()}

    def arrive(self):
        # Before its first action a page shows the defaults, whether or not its visitor did something before the reload.
        with self.operation("look") as seen:
            self.look(seen)
        self.answer()

    @action
    def answer(self):
        text = self.token()
        with self.operation("answer", score=increment(), answers=append(text)) as seen:
            self.page.submit("Answer", text)
            self.look(seen)

    def look(self, seen):
        """Write down what the page shows."""
        seen["score"] = self.page.value("Score")
        seen["answers"] = self.page.value("Answers")
