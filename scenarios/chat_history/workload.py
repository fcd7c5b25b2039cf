"""A user who chats: every message carries a token, and the reply quotes it. Sometimes it is all cleared away."""

from harness import tokens
from harness.workload import Workload, action, append, append_only_list, clear, register, write


class Visitor(Workload):
    state = {"messages": append_only_list(), "replies": append_only_list(), "draft": register("")}

    def arrive(self):
        self.say()

    @action(weight=4)
    def say(self):
        token = self.token()
        with self.operation("say", messages=append(token), replies=append(token), draft=clear()) as seen:
            self.page.submit("Message", f"Tell me about {token}, please")
            self.look(seen)

    @action
    def clear(self):
        """Type a message, think better of it, and clear it and the chat."""
        draft = f"Forget {self.token()}"
        with self.operation("type", draft=write(draft)) as seen:
            self.page.fill("Message", draft)
            self.look(seen)
        with self.operation("clear", messages=clear(), replies=clear(), draft=clear()) as seen:
            self.page.click("Clear")
            self.look(seen)

    def look(self, seen):
        seen["messages"] = self.said_by("user")
        seen["replies"] = self.said_by("assistant")
        seen["draft"] = self.page.value("Message") or ""

    def said_by(self, role):
        """The tokens in all messages of one side of the chat, as the page shows it."""
        return [
            token
            for message in self.page.value("Chat")
            if message["role"] == role
            for part in message["content"]
            for token in tokens.find(part.get("text", ""))
        ]
