"""A user who puts a document into the safe, and wants it back as it was. The history holds a hash of each, and not the document."""

from harness.workload import Workload, action, blob, digest, store


class Visitor(Workload):
    state = {"document": blob()}

    def arrive(self):
        self.upload()

    @action
    def upload(self):
        content = f"{self.token()}\n".encode() + self.random.randbytes(int(self.params["DOCUMENT_BYTES"]))
        with self.operation("upload", document=store(content)):
            self.page.upload("Document", ("document.bin", content))

    @action(weight=2)
    def take(self):
        with self.operation("take") as seen:
            self.page.click("Give back")
            seen["document"] = digest(self.page.download(self.page.value("Your document")))
