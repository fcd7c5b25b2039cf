"""How an operation can end other than well."""

from __future__ import annotations

from typing import Literal


class OperationFailed(Exception):
    """The server answered, and the answer is no.

    Attributes:
        kind: `app` if the app's function raised, `rejected` if the server refused to run it.
    """

    def __init__(self, kind: Literal["app", "rejected"], message: str) -> None:
        super().__init__(message)
        self.kind: Literal["app", "rejected"] = kind


class OperationUnknown(Exception):
    """There is no answer, so nobody knows whether it happened. The session must not be used any more."""

    def __init__(self, kind: Literal["timeout", "connection", "protocol"], message: str) -> None:
        super().__init__(message)
        self.kind: Literal["timeout", "connection", "protocol"] = kind
