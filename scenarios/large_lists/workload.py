"""A user who fills a large table once, then writes notes on it; the table must stay as it was filled."""

import random
import zlib

from harness.workload import Workload, action, append, append_only_list, register, write


class Visitor(Workload):
    state = {"table": register(), "notes": append_only_list()}

    def arrive(self):
        name = self.token()
        with self.operation("fill", table=write(self.intact(name))) as seen:
            seen["table"], seen["notes"] = self.page.call("/fill", name)

    @action
    def annotate(self):
        note = self.token()
        with self.operation("annotate", notes=append(note)) as seen:
            seen["table"], seen["notes"] = self.page.call("/annotate", note)

    def intact(self, name):
        """What the summary says of an intact table of this name."""
        rows = random.Random(name).randbytes(int(self.params["LIST_ITEMS"]))
        return f"{name}: {len(rows)} rows, checksum {zlib.crc32(rows):08x}"
