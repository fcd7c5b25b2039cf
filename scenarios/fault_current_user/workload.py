"""A member who signs in once, and then looks at the account page now and again."""

from harness.workload import Workload, action, register, write


class Member(Workload):
    state = {"user": register()}

    def arrive(self):
        name = self.token()
        with self.operation("sign in", user=write(name)) as seen:
            seen["user"] = self.page.call("/sign_in", name)

    @action
    def look_at_account(self):
        with self.operation("account") as seen:
            seen["user"] = self.page.call("/account")
