"""A user who reads the defaults first, and then changes all of them; no other session may see a change."""

from harness.workload import (
    Workload,
    action,
    append,
    append_only_list,
    assigned,
    counter,
    increment,
    put,
    record,
    register,
    write,
)


class Visitor(Workload):
    state = {
        "size": counter(10),
        "title": register("untitled"),
        "items": append_only_list(),
        "options": record({"colour": "grey", "shape": "round"}),
        "origin": record({"town": "nowhere", "street": "none"}),
        "stops": append_only_list(),
        "visit": assigned(),
    }

    def arrive(self):
        self.show()
        self.change()

    @action
    def show(self):
        with self.operation("show") as seen:
            self.page.click("Show")
            self.look(seen)

    @action
    def change(self):
        word = self.token()
        with self.operation(
            "change",
            size=increment(),
            title=write(word),
            items=append(word),
            options=put(colour=word),
            origin=put(town=word),
            stops=append(word),
        ) as seen:
            self.page.fill("Word", word)
            self.page.click("Change")
            self.look(seen)

    def look(self, seen):
        values = self.page.value("Values")
        for name in ("size", "title", "items", "options", "visit"):
            seen[name] = values[name]
        seen["origin"] = values["trip"]["from"]
        seen["stops"] = values["trip"]["stops"]
