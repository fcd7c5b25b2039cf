"""A user who seals notes, and knows what the seals are: the page must follow the hidden State, and never show a seal."""

import hashlib
import hmac

from harness.workload import Workload, action, append, append_only_list, counter, increment


class Visitor(Workload):
    state = {"notes": append_only_list(), "intact": counter()}

    def arrive(self):
        self.seal()

    @action(weight=2)
    def seal(self):
        note = self.token()
        self.secret(hmac.new(self.params["SEALING_KEY"].encode(), note.encode(), hashlib.sha256).hexdigest())
        with self.operation("seal", notes=append(note), intact=increment()) as seen:
            self.page.fill("Note", note)
            self.page.click("Seal")
            self.look(seen)

    @action
    def verify(self):
        """What the hidden State holds, shown once more."""
        with self.operation("verify") as seen:
            self.page.click("Verify")
            self.look(seen)

    def look(self, seen):
        seen["notes"] = self.page.value("Notes")
        seen["intact"] = self.page.value("Intact")
