"""Somebody who chats: every message carries a token, and the reply quotes it."""

from harness import tokens
from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    state = {"messages": append_only_list(), "replies": append_only_list()}

    def arrive(self):
        self.say()

    @action
    def say(self):
        token = self.token()
        with self.operation("say", messages=append(token), replies=append(token)) as seen:
            self.page.submit("Message", f"Tell me about {token}, please")
            seen["messages"] = self.said_by("user")
            seen["replies"] = self.said_by("assistant")

    def said_by(self, role):
        """The tokens in all messages of one side of the chat, as the page shows it."""
        return [
            token
            for message in self.page.value("Chat")
            if message["role"] == role
            for part in message["content"]
            for token in tokens.find(part.get("text", ""))
        ]
