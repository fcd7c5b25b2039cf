"""StockPage: gradio_client's own `Client`, unmodified, instead of a GradioPage. For comparison (`--driver stock`).

It is an API client, not a page: it holds no component values, and no event follows another. Its times end when `result()`
returns, which is up to 50 ms after the result arrived.
"""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

import httpx
from gradio_client import Client
from gradio_client.exceptions import AppError, AuthenticationError, ValidationError
from gradio_client.utils import QueueError

from harness.page.browser import Browser
from harness.page.page_errors import OperationFailed, OperationUnknown, PageMisuse
from harness.page.response_watcher import NULL_WATCHER, Watcher
from harness.page.timing import Timed, Timing

_PAGE_ONLY = frozenset(
    {"begin", "click", "download", "fill", "prop", "reload", "select", "submit", "trigger", "upload", "value"}
)


class StockPage(Timed):
    """One session of an unmodified client, with the arguments and errors of `GradioPage`.

    Args:
        url: root of the app.
        timeout_s: longest wait for the result of a call.
        auth: name and password, for an app with a login.
        browser: ignored: the client keeps nothing of a browser.
        watcher: ignored: the client does not expose the server's responses.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 30.0,
        *,
        auth: tuple[str, str] | None = None,
        browser: Browser | None = None,
        watcher: Watcher = NULL_WATCHER,
    ) -> None:
        super().__init__()
        self._url = url
        self._timeout_s = timeout_s
        self._auth = auth
        self._client: Client | None = None

    @property
    def session_hash(self) -> str:
        """Gradio's name for this session."""
        return str(self._opened().session_hash)

    @property
    def connected(self) -> bool:
        """Whether the client's heartbeat thread is alive."""
        return self._client is not None and self._client.heartbeat.is_alive()

    @property
    def notices(self) -> list[str]:
        """Always empty: a client does not claim to be a page."""
        return []

    def open(self) -> None:
        """Make the client, which fetches the app's configuration and opens the heartbeat.

        Raises:
            OperationFailed, OperationUnknown: the client could not be made.
        """
        try:
            self._client = Client(self._url, verbose=False, download_files=False, auth=self._auth)
        except AuthenticationError as error:
            raise OperationFailed("rejected", str(error)) from error
        except httpx.ConnectError as error:
            raise OperationFailed("rejected", f"the server cannot be reached: {error}") from error
        except (httpx.HTTPError, ValueError, OSError) as error:
            raise OperationUnknown("connection", f"{type(error).__name__}: {error}") from error
        self._time(Timing(completed_ns=time.monotonic_ns()))

    def call(self, api_name: str, *args: Any) -> Any:
        """Trigger an event and wait for its result. See `harness.workload.Page.call`.

        Raises:
            OperationFailed: the app's function raised, or the server refused the event.
            OperationUnknown: no result arrived.
            PageMisuse: the app has no such endpoint, or the endpoint takes other arguments.
        """
        client = self._opened()
        known = {
            e.api_name: e for e in client.endpoints.values() if e.is_valid and isinstance(e.api_name, str)
        }
        if api_name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise PageMisuse(f"The app has no endpoint {api_name!r}.", f"It has {names}.")
        wanted = known[api_name].parameters_info
        if wanted is not None and len(args) > len(wanted):  # the client would send them anyway
            raise PageMisuse(f"{api_name} takes {len(wanted)} arguments, {len(args)} were given.")
        try:
            job = client.submit(*args, api_name=api_name)
        except (TypeError, ValueError) as error:
            raise PageMisuse(
                f"{api_name}: {error}", "State is not an argument: the server holds it."
            ) from error
        try:
            result = job.result(timeout=self._timeout_s)
        except concurrent.futures.TimeoutError as error:
            raise OperationUnknown(
                "timeout", f"{api_name}: no result within {self._timeout_s:g} s"
            ) from error
        except AppError as error:
            raise OperationFailed("app", f"{api_name}: {error}") from error
        except (QueueError, ValidationError) as error:
            raise OperationFailed("rejected", f"{api_name}: {error}") from error
        except httpx.ConnectError as error:
            raise OperationFailed("rejected", f"the server cannot be reached: {error}") from error
        except httpx.HTTPStatusError as error:
            if error.response.status_code < 500:
                raise OperationFailed("rejected", f"{api_name}: {error}") from error
            raise OperationUnknown("protocol", f"{api_name}: {error}") from error
        except (
            Exception
        ) as error:  # an error in the client's own code: what happened on the server is unknown
            raise OperationUnknown("connection", f"{api_name}: {type(error).__name__}: {error}") from error
        finally:
            event_id = job.communicator.event_id if job.communicator else None
            event_ids = [event_id] if event_id else []
            self._time(Timing(completed_ns=time.monotonic_ns(), event_ids=event_ids))
        # A generator's last value arrives twice: as a partial output and as the result.
        self._traces.partials = job.outputs() if job.communicator and len(job.outputs()) > 1 else []
        return result

    def close(self) -> None:
        """Close the client. Its heartbeat ends when the server next sends something over it."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _opened(self) -> Client:
        if self._client is None:
            raise RuntimeError("the page is not open")
        return self._client

    def __getattr__(self, name: str) -> Any:
        if name in _PAGE_ONLY:
            raise PageMisuse(
                f"The stock driver has no page, so it cannot {name}.",
                "Use --driver page, or a workload that only uses page.call.",
            )
        raise AttributeError(name)
