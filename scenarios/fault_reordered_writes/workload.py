"""A user who keeps a diary. Entries may take a second to be saved, but must stand in the order in which they were made."""

from harness.workload import Workload, action, append, append_only_list


class Diarist(Workload):
    state = {"diary": append_only_list(within_s=1.0)}

    def arrive(self):
        self.add()
        self.add()

    @action
    def add(self):
        entry = self.token()
        with self.operation("add", diary=append(entry)):
            self.page.call("/add", entry)

    @action
    def read(self):
        with self.operation("read") as seen:
            seen["diary"] = self.page.call("/read")
