"""A user who signs in, finds all notes of earlier visits, and adds to them; the server is restarted in between."""

from harness.workload import Workload, action, answer, append, append_only_list, ask


class Visitor(Workload):
    # The notes are owned by the person: the same after the page was loaded again, and after a restart.
    state = {"notes": append_only_list(scope="user"), "signed_in_as": answer()}

    def arrive(self):
        with self.operation("sign in", signed_in_as=ask(self.user)) as seen:
            self.page.fill("Your name", self.user)
            self.page.click("Sign in")
            self.look(seen)
        self.save()

    @action
    def save(self):
        note = self.token()
        with self.operation("save", notes=append(note), signed_in_as=ask(self.user)) as seen:
            self.page.fill("Note", note)
            self.page.click("Save")
            self.look(seen)

    def look(self, seen):
        """Write down what the page shows."""
        seen["notes"] = self.page.value("Notes")
        seen["signed_in_as"] = self.page.value("Signed in as")
