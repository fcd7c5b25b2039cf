"""gradio_client's knowledge of an app: configuration, endpoints, arguments, outputs. One object per app and process.

Only the transport of gradio_client is replaced. Nothing in this object belongs to a single page.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec
from gradio_client import Client

from harness.page.blueprint import Blueprint
from harness.page.page_errors import LoginRequired, OperationFailed
from harness.page.response_watcher import state_held
from harness.page.transport import Transport

# The protocols that pages support: one message stream per session. Gradio 4.0 and later use them, except some releases
# before 4.11 with the older `sse`.
PROTOCOLS = ("sse_v1", "sse_v2", "sse_v2.1", "sse_v3")
# An app has one configuration for each user that is logged in, since it contains the user's name.
_REMEMBERED = 64


class Protocol(Client):  # type: ignore[misc]
    """gradio_client for one app, using the connection of the first page that opened.

    Attributes:
        blueprint: components and events of the page.
        by_api_name: the endpoints that have a name, private ones included.
        unsupported: features of this app that a simulated page does not have.
        notices: the notices about the app at this address, so that each is given once.
        state_held: State components with a value in the configuration, each with that value.
    """

    def __init__(self, url: str, transport: Transport, config: bytes) -> None:
        self._transport: Transport | None = transport
        self._config = config
        self.wants_heartbeat = False
        super().__init__(
            url,
            token=False,  # never send the tester's own Hugging Face token to the app
            verbose=False,
            download_files=False,
            ssl_verify=False,  # a TLS context per client costs 25 ms, and nothing is fetched through it
            analytics_enabled=False,
        )
        self._transport = None
        if self.protocol not in PROTOCOLS:
            raise OperationFailed(
                "rejected",
                f"the app (Gradio {self.config.get('version')}) speaks the protocol {self.protocol!r}; "
                f"a page speaks {', '.join(PROTOCOLS)}",
            )
        self.blueprint = Blueprint.of(self.config)
        self.by_api_name = {e.api_name: e for e in self.endpoints.values() if isinstance(e.api_name, str)}
        self.unsupported = [
            f"the app's {what} runs JavaScript in the page, which a simulated page cannot"
            for what in ("js", "head")
            if _has_script(self.config.get(what))
        ]
        self.notices = _notices.setdefault(url, {})
        self.state_held = state_held(self.config["components"])

    def _get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = msgspec.json.decode(self._config)
        self.wants_heartbeat = bool(config.get("connect_heartbeat", True))
        # The parent class would start a heartbeat thread, which ends only at the server's next heartbeat.
        return {**config, "connect_heartbeat": False}

    def _get_api_info(self) -> dict[str, Any]:
        assert self._transport is not None
        info: dict[str, Any] = msgspec.json.decode(
            fetch(self._transport, f"{self.api_prefix.lstrip('/')}info?serialize=False")
        )
        return info


def _has_script(text: Any) -> bool:
    """Whether a text contains a script. Gradio itself puts other tags into the page's head, which have no effect here."""
    return isinstance(text, str) and ("<script" in text or "=>" in text or "function" in text)


def fetch(transport: Transport, path: str) -> bytes:
    """GET a resource that must exist, and return its body.

    Raises:
        OperationFailed: the status is not 200.
        OperationUnknown: there was no answer.
    """
    return require_ok(path, *transport.get(path))


def require_ok(path: str, status: int, body: bytes) -> bytes:
    """The body of an answer.

    Raises:
        OperationFailed: the status is not 200.
    """
    if status == 429:
        raise OperationFailed("rejected", "the server limits the rate of requests (429)")
    if status == 401:
        raise LoginRequired
    if status != 200:
        raise OperationFailed("rejected", f"GET {path} answered {status}")
    return body


_known: OrderedDict[tuple[str, bytes], Protocol] = OrderedDict()
# By address, since an app has one configuration for each user that is logged in.
_notices: dict[str, dict[str, None]] = {}


def notices() -> list[str]:
    """The notices of all pages of this process about their apps."""
    return [text for texts in _notices.values() for text in texts]


def protocol_of(url: str, transport: Transport) -> Protocol:
    """Fetch an app's configuration, as every new page does, and return the `Protocol` for it.

    The configuration is decoded once per process, as long as it does not change.

    Raises:
        OperationFailed, OperationUnknown: the configuration could not be fetched, or the protocol is not supported.
    """
    key = (url, fetch(transport, "config"))
    protocol = _known.get(key)
    if protocol is None:
        made = Protocol(url, transport, key[1])
        protocol = _known.setdefault(key, made)  # another page may have done the same meanwhile
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    else:
        _known.move_to_end(key)
    return protocol
