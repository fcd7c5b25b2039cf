"""One HTTP request to an app. If no answer comes, the error says why, and the next step."""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode, urlsplit

import certifi
import msgspec

from harness.errors import TargetError, UsageError

_MAX_BODY = 64 * 1024 * 1024


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer. Header names are in lower case; `cookies` has the values of `Set-Cookie`."""

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: bytes


class Unreachable(Exception):
    """No answer came. `waiting`: a later attempt may succeed."""

    def __init__(self, error: TargetError | UsageError, *, waiting: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.waiting = waiting


def ask(
    url: str,
    path: str,
    timeout_s: float,
    *,
    form: Mapping[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request to an app: POST with a form, else GET. Redirects are not followed.

    Raises:
        Unreachable: no answer came.
    """
    parts = urlsplit(url)
    host, secure = str(parts.hostname), parts.scheme == "https"
    headers = {"Accept": "application/json", "Connection": "close"}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    body = None
    if form is not None:
        body = urlencode(form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection: http.client.HTTPConnection
    if secure:
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=_trusted())
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    try:
        connection.request("POST" if form is not None else "GET", parts.path + path, body, headers)
        response = connection.getresponse()
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            cookies=_cookies(response.msg.get_all("Set-Cookie") or []),
            body=response.read(_MAX_BODY),
        )
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error, timeout_s) from error
    finally:
        connection.close()


def _trusted() -> ssl.SSLContext:
    """Trusted certificates, the same as in the load generator's transport."""
    own = os.environ.get("SSL_CERT_FILE")
    try:
        return ssl.create_default_context(cafile=own or certifi.where())
    except OSError as error:
        raise UsageError(
            f"SSL_CERT_FILE names {own}, which holds no certificates that can be read: {error.strerror or error}.",
            "Name a file in PEM format, or unset it.",
        ) from error


def _cookies(headers: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for header in headers:
        try:
            found |= {name: morsel.value for name, morsel in SimpleCookie(header).items()}
        except CookieError:
            continue  # a browser ignores a cookie that it cannot read
    return found


def _unreachable(url: str, error: Exception, timeout_s: float) -> Unreachable:
    root = url.rstrip("/")
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(
            TargetError(
                f"Nothing listens at {root}: the connection was refused.",
                "Start the app, or check host and port; if the app needs time to start, give --ready-timeout 60s.",
            ),
            waiting=True,
        )
    if isinstance(error, TimeoutError):
        return Unreachable(
            TargetError(
                f"{root} gave no answer within {timeout_s:g} s.",
                "Is the app busy or hanging, or does a firewall drop the connection? Open the URL in a browser.",
            ),
            waiting=True,
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(
            UsageError(
                f"The certificate of {root} is not trusted: {error.verify_message}.",
                "Name a file with the certificate to trust in the environment variable SSL_CERT_FILE, or use the app's http:// address.",
            ),
            waiting=False,
        )
    if isinstance(error, ssl.SSLError):
        return Unreachable(
            UsageError(f"{root} does not speak TLS: {error.reason or error}.", "Is it an http:// address?"),
            waiting=False,
        )
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):  # RemoteDisconnected is one of these
        return Unreachable(
            TargetError(
                f"The server at {root} closes the connection without an answer.",
                "Check the port and the app's log; if the app was started with a certificate, its address begins with https://.",
            ),
            waiting=True,
        )
    if isinstance(error, http.client.HTTPException):
        return Unreachable(
            UsageError(
                f"The server at {root} does not answer in HTTP ({type(error).__name__}).",
                "Check the port; if the app was started with a certificate, its address begins with https://.",
            ),
            waiting=False,
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Unreachable(
        TargetError(f"{root} cannot be reached: {reason}.", "Check host, port and network."), waiting=True
    )
