"""How an action can fail."""

from __future__ import annotations

from typing import Literal

HIDDEN_ERROR = "the app's function raised an error (its text is hidden: show_error=False)"


class OperationFailed(Exception):
    """The server answered that the action failed.

    Attributes:
        kind: `app` if the app's function raised, `rejected` if the server refused to run it.
    """

    def __init__(self, kind: Literal["app", "rejected"], message: str) -> None:
        super().__init__(message)
        self.kind: Literal["app", "rejected"] = kind


class LoginRequired(OperationFailed):
    """The app requires a login."""

    def __init__(self) -> None:
        super().__init__("rejected", "the app asks for a login (401)")


class OperationUnknown(Exception):
    """There is no answer, so the outcome is unknown. The session must not be used any more."""

    def __init__(self, kind: Literal["timeout", "connection", "protocol"], message: str) -> None:
        super().__init__(message)
        self.kind: Literal["timeout", "connection", "protocol"] = kind


class PageMisuse(Exception):
    """The workload uses something that this app's page does not have. Every session would fail in the same way.

    Attributes:
        message: what was used, and why it is impossible.
        hint: what to use instead.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint
