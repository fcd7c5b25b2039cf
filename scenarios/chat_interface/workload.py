"""A user who chats and watches the reply grow: every piece of it must belong to the question just asked."""

from harness import tokens
from harness.workload import Workload, action, answer, append, append_only_list, ask


class Visitor(Workload):
    state = {"streamed": answer(), "questions": append_only_list(), "replies": append_only_list()}

    def arrive(self):
        self.say()

    @action
    def say(self):
        question = self.token()
        with self.operation(
            "say", streamed=ask(question), questions=append(question), replies=append(question)
        ) as seen:
            sent = self.page.submit("Message", question)
            # Every partial output is the whole chat as it was then: its last message is the reply that grows.
            chats = [chat for step in sent.steps for *_, chat in step.partials]
            seen["streamed"] = [token for chat in chats for token in said(chat[-1])]
            seen["questions"] = self.said_by("user")
            seen["replies"] = self.said_by("assistant")

    def said_by(self, role):
        """The tokens in all messages of one side of the chat, as the page shows it."""
        return [
            token for message in self.page.value("Chat") if message["role"] == role for token in said(message)
        ]


def said(message):
    """The tokens in one message of a chat."""
    return [token for part in message["content"] for token in tokens.find(part.get("text", ""))]
