"""A user who waves, signs the guest book, and sometimes reads all entries in it."""

from harness.workload import Workload, action, append, append_only_list, counter, increment


class Visitor(Workload):
    # Owned by everyone: a visitor sees the writes of all visitors, and none may be missing.
    state = {
        "waves": counter(scope="everyone"),
        "count": counter(scope="everyone"),
        "entries": append_only_list(scope="everyone"),
    }

    def arrive(self):
        self.wave()
        self.sign()

    @action(weight=2)
    def wave(self):
        with self.operation("wave", waves=increment()) as seen:
            self.page.click("Wave")
            seen["waves"] = self.page.value("Waves of all visitors")

    @action(weight=2)
    def sign(self):
        entry = self.token()
        with self.operation("sign", count=increment(), entries=append(entry)) as seen:
            self.page.fill("Entry", entry)
            self.page.click("Sign")
            seen["count"] = self.page.value("Entries of all visitors")

    @action
    def read(self):
        with self.operation("read") as seen:
            self.page.click("Read the book")
            seen["entries"] = self.page.value("Guest book")
