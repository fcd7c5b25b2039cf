"""Somebody who fills a large table once, then writes notes on it; the table must stay as it was filled."""

from harness.workload import Workload, action, append, append_only_list, register, write


class Visitor(Workload):
    state = {"rows": register(), "notes": append_only_list()}

    def arrive(self):
        self.name = self.token()
        with self.operation("fill", rows=write(self.expected())) as seen:
            seen["rows"], seen["notes"] = self.page.call("/fill", self.name)

    @action
    def annotate(self):
        note = self.token()
        with self.operation("annotate", notes=append(note)) as seen:
            seen["rows"], seen["notes"] = self.page.call("/annotate", note)

    def expected(self):
        """What the summary says of an intact table of this name."""
        count = int(self.params["LIST_ITEMS"])
        start = sum(self.name.encode()) * 1_000_003
        return f"{self.name}: {count} rows, sum {sum(range(start, start + count))}"
