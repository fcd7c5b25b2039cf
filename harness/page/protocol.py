"""What gradio_client knows of an app: configuration, endpoints, arguments, outputs. One object per app and process.

gradio_client stays the authority; only its transport is replaced, and nothing of it belongs to a single tab.
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

# The protocols whose events can be followed: one stream of messages per session. Gradio 4.0 and later speak them,
# but for the first of them, `sse` of some releases before 4.11.
PROTOCOLS = ("sse_v1", "sse_v2", "sse_v2.1", "sse_v3")
# An app has one configuration, but for the name of the user who is logged in.
_REMEMBERED = 64


class Protocol(Client):  # type: ignore[misc]
    """gradio_client for one app, with the connection of whichever tab came first.

    Attributes:
        blueprint: components and events, as a page sees them.
        by_api_name: the endpoints that have a name, private ones included.
        beyond: what a simulated page leaves out of this app.
        notices: what has been said about the app at this address, so that it is said once.
        state_held: State of which the configuration holds a value, each with that value.
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
        self.beyond = [
            f"the app's {what} runs JavaScript in the page, which a simulated page cannot"
            for what in ("js", "head")
            if _has_script(self.config.get(what))
        ]
        self.notices = _notices.setdefault(url, {})
        self.state_held = state_held(self.config["components"])

    def _get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = msgspec.json.decode(self._config)
        self.wants_heartbeat = bool(config.get("connect_heartbeat", True))
        # The parent class would start a thread of its own, and end it only at the server's next heartbeat.
        return {**config, "connect_heartbeat": False}

    def _get_api_info(self) -> dict[str, Any]:
        assert self._transport is not None
        info: dict[str, Any] = msgspec.json.decode(
            fetch(self._transport, f"{self.api_prefix.lstrip('/')}info?serialize=False")
        )
        return info


def _has_script(text: Any) -> bool:
    """Gradio itself puts harmless tags into the page's head; only scripts do something."""
    return isinstance(text, str) and ("<script" in text or "=>" in text or "function" in text)


def fetch(transport: Transport, path: str) -> bytes:
    """GET something that must be there.

    Raises:
        OperationFailed: the server did not answer with 200.
        OperationUnknown: it did not answer.
    """
    return there(path, *transport.get(path))


def there(path: str, status: int, body: bytes) -> bytes:
    """The answer to a request for something that must be there. Raises `OperationFailed` as `fetch` does."""
    if status == 429:
        raise OperationFailed("rejected", "the server limits the rate of requests (429)")
    if status == 401:
        raise LoginRequired
    if status != 200:
        raise OperationFailed("rejected", f"GET {path} answered {status}")
    return body


_known: OrderedDict[tuple[str, bytes], Protocol] = OrderedDict()
# By address, since an app has as many configurations as users who log in.
_notices: dict[str, dict[str, None]] = {}


def notices() -> list[str]:
    """What the pages of this process have had to say about their apps."""
    return [text for said in _notices.values() for text in said]


def protocol_of(url: str, transport: Transport) -> Protocol:
    """Fetch an app's configuration, as every new tab does, and what is known about it.

    What must be decoded and derived is so once per process, for as long as the configuration stays the same.

    Raises:
        OperationFailed, OperationUnknown: the configuration could not be fetched, or the protocol is not ours.
    """
    key = (url, fetch(transport, "config"))
    protocol = _known.get(key)
    if protocol is None:
        made = Protocol(url, transport, key[1])
        protocol = _known.setdefault(key, made)  # another tab may have been as quick
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    else:
        _known.move_to_end(key)
    return protocol
