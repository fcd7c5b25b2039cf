"""A user who reserves a seat, writes a draft, and closes the page; later visitors see that all of it was cleaned up."""

from harness.workload import Workload, action, append, append_only_list, register, write

# Longest delay of a callback, seconds: two for the seat, or one that State outlives a closed page; one until Gradio's next
# sweep; the rest for a busy machine.
WITHIN_S = 8


class Visitor(Workload):
    # The lists belong to everyone, since the sessions they name have ended. Each name may occur once.
    state = {
        "name": register(""),
        "draft": register(""),
        "left": append_only_list(scope="everyone", within_s=WITHIN_S),
        "discarded": append_only_list(scope="everyone", within_s=WITHIN_S),
        "freed": append_only_list(scope="everyone", within_s=WITHIN_S),
    }

    name = draft = None

    def arrive(self):
        name = self.token()
        with self.operation("enter", name=write(name)) as seen:
            self.page.fill("Your name", name)
            self.page.click("Enter")
            seen["name"] = self.page.value("Signed in as")
            self.name = name
        seat = self.token()
        with self.operation("reserve", freed=append(seat)):
            self.page.fill("Seat", seat)
            self.page.click("Reserve")
        self.keep_draft()

    @action
    def keep_draft(self):
        draft = self.token()
        with self.operation("keep draft", draft=write(draft)) as seen:
            self.page.fill("Message to the box office", draft)
            self.page.click("Keep as draft")
            seen["draft"] = self.page.value("Draft")
            self.draft = draft

    @action
    def look(self):
        with self.operation("look") as seen:
            self.page.click("Look around")
            seen["draft"] = self.page.value("Draft")
            seen["left"] = self.page.value("Visitors who left")
            seen["discarded"] = self.page.value("Drafts discarded")
            seen["freed"] = self.page.value("Seats freed")

    def leave(self):
        done = {}
        if self.name:
            done["left"] = append(self.name)
        if self.draft:
            done["discarded"] = append(self.draft)
        return done
