"""Checks a running app before a run: does it answer, is it Gradio, does it accept the login?

Plain HTTP from the harness's own process, so that a fault is reported in one sentence before the run begins.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec

from harness.addresses import holds_login, redacted, require_loopback
from harness.app_under_test.app_http import Answer, Unreachable, ask
from harness.errors import TargetError, UsageError

# Protocols of GradioPage. A test compares them with `harness.page.protocol`, which cannot be imported here.
PROTOCOLS = ("sse_v1", "sse_v2", "sse_v2.1", "sse_v3")
# The oldest tested release.
FIRST_RELEASE = "4.16"
_RETRY_S = 0.2
# Each login costs a request. A wrong login beyond these shows in the history.
_MOST_LOGINS = 50
_ASLEEP = re.compile(
    r"\b(sleeping|asleep|paused|building|preparing|starting|restarting|waking)\b", re.IGNORECASE
)

Account = tuple[str, str]


class AppFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an app reports about itself to a client that loads its page.

    Attributes:
        url: its root, ending with a slash, without credentials and query.
        gradio_version: for example `6.31.0`.
        protocol: how results come back, for example `sse_v3`.
        api_prefix: path of its API below the root, without slashes at its ends; empty before Gradio 5.
        app_id: a number that Gradio draws at each start; None if unknown.
        asks_login: the app requires a login.
        states: number of gr.State on its page; None if unknown.
    """

    url: str
    gradio_version: str
    protocol: str
    api_prefix: str
    app_id: int | None
    asks_login: bool
    states: int | None = None


def clean_url(text: str) -> str:
    """The root URL of an app from a typed or pasted address: with a final slash, without query and fragment.

    Raises:
        UsageError: the text is no http(s) address, or contains a password.
    """
    parts = urlsplit(text.strip())
    try:
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if holds_login(text.strip()) or parts.username is not None or parts.password is not None:
        raise UsageError(
            "The URL contains a user name or a password, which would be recorded with it.",
            "Give the URL without them, and the login as --auth USER:PASSWORD.",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        guess = f"http://{text.strip().removeprefix('//')}"
        # A password may contain a slash, a ? or a #, so text before an @ is not repeated.
        shown = redacted(re.sub(r"^.*@", "***@", text.strip())).partition("?")[0]
        near = re.fullmatch(r"http://[\w.\-]+(:\d+)?(/\S*)?", guess) and not re.search("://|@", text)
        raise UsageError(
            f"{shown!r} is no address of an app.",
            f"Did you mean {redacted(guess).partition('?')[0]}?"
            if near
            else "For example: --url http://127.0.0.1:7860",
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))


def inspect_url(
    text: str,
    *,
    accounts: Sequence[Account] = (),
    allow_remote: bool = False,
    timeout_s: float = 10.0,
    patience_s: float = 0.0,
) -> AppFacts:
    """Check that the app at a URL can be tested, and return its facts.

    Args:
        text: the URL as typed.
        accounts: user names and passwords to log in with.
        allow_remote: accept an address of another machine.
        timeout_s: longest wait for one answer.
        patience_s: how long to retry if the app does not answer yet.

    Raises:
        UsageError: the address is not loopback, or the app is no Gradio app, too old, or refuses the login.
        TargetError: the app cannot be reached, or fails.
    """
    url = clean_url(text)
    host = str(urlsplit(url).hostname)
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TargetError(
            f"{host} cannot be looked up: {reason}.", "Check the URL's spelling, and the network."
        ) from error
    require_loopback(host, "The address of the app", allow_remote)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return look(url, accounts, timeout_s)
        except Unreachable as trouble:
            if not trouble.waiting or time.monotonic() >= deadline:
                raise trouble.error from trouble.__cause__
        time.sleep(_RETRY_S)


def look(url: str, accounts: Sequence[Account], timeout_s: float) -> AppFacts:
    """Load an app's config, with a login if required. `url` is as `clean_url` returns it.

    Raises:
        UsageError, TargetError: as for `inspect_url`.
    """
    answer = ask(url, "config", timeout_s)
    asks_login = answer.status == 401
    if asks_login:
        cookies = check_logins(url, accounts, timeout_s)
        answer = ask(url, "config", timeout_s, cookies=cookies)
    config = _config(url, answer, timeout_s)
    protocol = str(config.get("protocol") or "ws")
    version = str(config.get("version"))
    check_protocol(version, protocol, f"The app at {url}")
    app_id = config.get("app_id")
    return AppFacts(
        url=url,
        gradio_version=version,
        protocol=protocol,
        api_prefix=str(config.get("api_prefix") or "").strip("/"),
        app_id=app_id if isinstance(app_id, int) else None,
        asks_login=asks_login,
        states=_states(config),
    )


def _states(config: Mapping[str, Any]) -> int | None:
    components = config.get("components")
    if not isinstance(components, list):
        return None
    return len([c for c in components if isinstance(c, dict) and c.get("type") == "state"])


def check_protocol(version: str, protocol: str, who: str) -> None:
    """Refuse an app with an unsupported protocol.

    Raises:
        UsageError: the app is too old or too new.
    """
    if protocol in PROTOCOLS:
        return
    known = protocol in ("ws", "sse")
    raise UsageError(
        f"{who} is Gradio {version} with the protocol {protocol}, which is too {'old' if known else 'new'}; "
        f"gradsoak supports {', '.join(PROTOCOLS)}.",
        f"Update the app to Gradio {FIRST_RELEASE} or later." if known else "Update gradsoak.",
    )


def check_logins(url: str, accounts: Sequence[Account], timeout_s: float) -> dict[str, str]:
    """Log in with each account, and return the cookies of the first.

    Raises:
        UsageError: no account was given, or the app refuses one.
    """
    if not accounts:
        raise UsageError(
            "The app asks for a login (auth=).",
            "Give --auth USER:PASSWORD (may be repeated), --auth @FILE with one per line, or set GRADSOAK_AUTH.",
        )
    first: dict[str, str] = {}
    for number, (user, password) in enumerate(accounts[:_MOST_LOGINS], start=1):
        answer = ask(url, "login", timeout_s, form={"username": user, "password": password})
        which = "the login" if len(accounts) == 1 else f"login {number} of {len(accounts)}"
        if answer.status in (400, 401, 403, 422):
            raise UsageError(
                f"The app refuses {which} given with --auth ({answer.status}).",
                "Check user name and password; a password that holds a special character of the shell needs quotes.",
            )
        if answer.status != 200:
            raise UsageError(
                f"The app answers {which} with {answer.status}.",
                "gradsoak can log in where Gradio itself asks (auth=), not through another page in front of it.",
            )
        first = first or answer.cookies
    return first


def _config(url: str, answer: Answer, timeout_s: float) -> dict[str, Any]:
    """The app's config from the answer to GET config.

    Raises:
        UsageError, Unreachable: the answer has no config; the message says why.
    """
    root = url.rstrip("/")
    if 300 <= answer.status < 400:
        raise _redirected(url, answer)
    if answer.status == 200:
        try:
            config = msgspec.json.decode(answer.body)
        except msgspec.DecodeError:
            config = None
        if isinstance(config, dict) and "version" in config and isinstance(config.get("dependencies"), list):
            return config
    text = answer.body[:100_000].decode("utf-8", "replace")
    if _is_space(url, answer) and answer.status != 404 and _ASLEEP.search(text):
        raise Unreachable(
            TargetError(
                f"The Space at {root} is asleep or starting ({answer.status}).",
                "Open it in a browser to wake it up, and give --ready-timeout 5m.",
            ),
            waiting=True,
        )
    if answer.status >= 500 or answer.status == 429:
        waiting = answer.status in (429, 502, 503, 504)
        meaning = {
            429: "it limits the rate of requests",
            502: "a proxy answers, and the app behind it does not",
            503: "it is not ready",
            504: "a proxy answers, and the app behind it does not",
        }.get(answer.status, "the server failed")
        raise Unreachable(
            TargetError(
                f"{root} answers {answer.status}: {meaning}.",
                "Read the app's log; if the app needs time to start, give --ready-timeout 60s.",
            ),
            waiting=waiting,
        )
    if answer.status == 403:
        raise UsageError(
            f"{root} answers 403: access is denied.",
            "gradsoak can log in where Gradio itself asks (auth=), not through a page in front of it.",
        )
    what = {200: "answers, but not with a Gradio app's config"}.get(answer.status, f"answers {answer.status}")
    raise UsageError(
        f"{root} is no Gradio app: GET {urlsplit(url).path}config {what}.", _where_else(url, timeout_s)
    )


def _redirected(url: str, answer: Answer) -> UsageError:
    target = urlsplit(urljoin(url + "config", answer.headers.get("location", "")))
    path = target.path.removesuffix("/").removesuffix("config")
    there = urlunsplit((target.scheme, target.hostname or "", path or "/", "", ""))
    if target.port is not None and target.hostname:
        host = f"[{target.hostname}]" if ":" in target.hostname else target.hostname
        there = urlunsplit((target.scheme, f"{host}:{target.port}", path or "/", "", ""))
    own = urlsplit(url)
    other = " on another host" if target.hostname != own.hostname else ""
    if there == url or not target.path.removesuffix("/").endswith("config"):
        return UsageError(
            f"{url.rstrip('/')} sends visitors to {there}{other}, as a login page in front of the app does.",
            "gradsoak can log in where Gradio itself asks (auth=); give the address behind that page.",
        )
    return UsageError(
        f"{url.rstrip('/')} sends visitors to {there}{other}; load goes only where you say.",
        f"If the app is there: --url {there}",
    )


def _is_space(url: str, answer: Answer) -> bool:
    host = str(urlsplit(url).hostname)
    return host.endswith((".hf.space", "huggingface.co")) or any(
        name.startswith("x-proxied-") or "huggingface" in value.lower()
        for name, value in answer.headers.items()
    )


def _where_else(url: str, timeout_s: float) -> str:
    """A hint where the app may be: above the given path, or below the root."""
    parts = urlsplit(url)
    if parts.hostname in ("huggingface.co", "hf.co"):
        return "That is the page around a Space; the app itself is at https://OWNER-NAME.hf.space."
    steps = [step for step in parts.path.split("/") if step]
    for length in range(len(steps) - 1, -1, -1):
        above = urlunsplit(
            (parts.scheme, parts.netloc, "/" + "".join(f"{s}/" for s in steps[:length]), "", "")
        )
        try:
            answer = ask(above, "config", timeout_s)
            if answer.status == 401 or (answer.status == 200 and b'"dependencies"' in answer.body):
                return f"There is one at {above}: --url {above}"
        except Unreachable:
            break
    return "Check the port; for an app that is mounted below a path, give that too, as in --url http://127.0.0.1:8000/app."


def app_id(facts: AppFacts, timeout_s: float) -> int | None:
    """The number that the app drew when it started; None if it does not report one.

    Raises:
        ConnectionError: the app cannot be reached.
        TimeoutError: the app did not answer in time.
    """
    path = f"{facts.api_prefix}/app_id" if facts.api_prefix else "app_id"
    try:
        answer = ask(facts.url, path, timeout_s)
    except Unreachable as trouble:
        cause = trouble.__cause__
        if isinstance(cause, TimeoutError):
            raise TimeoutError(str(cause)) from trouble
        raise ConnectionError(trouble.error.message) from trouble
    try:
        found = msgspec.json.decode(answer.body).get("app_id") if answer.status == 200 else None
    except (msgspec.DecodeError, AttributeError):
        found = None
    return found if isinstance(found, int) else None
