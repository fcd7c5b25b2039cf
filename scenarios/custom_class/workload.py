"""A user who runs a project: every attribute of the object must be this session's, the lists and the dict included."""

from harness.workload import Workload, action, append, append_only_list, clear, put, record, register, write


class Visitor(Workload):
    state = {
        "name": register(),
        "tasks": append_only_list(),
        "done": append_only_list(),
        "people": record(),
    }

    def arrive(self):
        self.initialize()
        self.add_task()

    @action
    def initialize(self):
        """A new object, with nothing of the one before."""
        self.unfinished = []
        name = self.token()
        with self.operation(
            "initialize", name=write(name), tasks=clear(), done=clear(), people=clear()
        ) as seen:
            self.page.fill("Name of the project", name)
            self.page.click("Initialize")
            seen.update(self.page.value("Project"))

    @action(weight=3)
    def add_task(self):
        task = self.token()
        with self.operation("add task", tasks=append(task)) as seen:
            self.page.fill("Task", task)
            self.page.click("Add task")
            seen.update(self.page.value("Project"))
        self.unfinished.append(task)

    @action(weight=2)
    def finish_task(self):
        if not self.unfinished:
            self.add_task()
        with self.operation("finish task", done=append(self.unfinished.pop(0))) as seen:
            self.page.click("Finish oldest task")
            seen.update(self.page.value("Project"))

    @action(weight=2)
    def appoint(self):
        role, person = self.random.choice(["lead", "tester", "writer"]), self.token()
        with self.operation("appoint", people=put(**{role: person})) as seen:
            self.page.select("Role", role)
            self.page.fill("Person", person)
            self.page.click("Appoint")
            seen.update(self.page.value("Project"))
