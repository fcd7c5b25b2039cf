"""A user who keeps drafts, and finds them again after loading the page anew, and after the server was restarted."""

from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    # Owned by the user: a browser belongs to one person, over all page loads.
    state = {"drafts": append_only_list(scope="user")}

    def arrive(self):
        with self.operation("look") as seen:
            seen["drafts"] = self.page.value("Drafts")
        self.keep()

    @action
    def keep(self):
        draft = self.token()
        with self.operation("keep", drafts=append(draft)) as seen:
            self.page.fill("Draft", draft)
            self.page.click("Keep")
            seen["drafts"] = self.page.value("Drafts")
