from __future__ import annotations

import pytest

from harness.app_under_test.preflight import PROTOCOLS, check_protocol, clean_url
from harness.errors import UsageError
from harness.page import protocol as page_protocol


@pytest.mark.parametrize(
    ("typed", "root"),
    [
        ("http://127.0.0.1:7860", "http://127.0.0.1:7860/"),
        (" http://127.0.0.1:7860/ ", "http://127.0.0.1:7860/"),
        ("http://localhost/app", "http://localhost/app/"),
        ("https://localhost:8443/a/b///", "https://localhost:8443/a/b/"),
        ("http://[::1]:7860/?__theme=dark#top", "http://[::1]:7860/"),
    ],
)
def test_a_pasted_address_becomes_the_root_of_the_app(typed: str, root: str) -> None:
    assert clean_url(typed) == root


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("127.0.0.1:7860", "Did you mean http://127.0.0.1:7860?"),
        ("localhost:7860/app", "Did you mean http://localhost:7860/app?"),
        ("ftp://127.0.0.1", "For example"),
        ("http://127.0.0.1:port", "For example"),
        ("http://127.0.0.1:0", "For example"),
        ("http:///config", "For example"),
        ("", "For example"),
    ],
)
def test_what_is_no_address_is_refused_with_a_guess(typed: str, hint: str) -> None:
    with pytest.raises(UsageError, match="no address of an app") as refused:
        clean_url(typed)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    "typed",
    [
        "http://alice:geheim@127.0.0.1:7860/",
        "alice:geheim@127.0.0.1:7860",
        "//alice:geheim@127.0.0.1:7860",
        "geheim@localhost",
        "ftp://alice:geheim@127.0.0.1",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(typed: str) -> None:
    with pytest.raises(UsageError) as refused:
        clean_url(typed)
    assert "--auth" in refused.value.hint
    assert "geheim" not in refused.value.message + refused.value.hint


@pytest.mark.parametrize(
    "typed",
    [
        "http://alice:ge/geheim@127.0.0.1:7860",
        "alice:ge/geheim@127.0.0.1:7860",
        "127.0.0.1:7860/#geheim",
        "127.0.0.1/ge/geheim@x",
        "http://alice:geheim?1@127.0.0.1:7860",
        "http://alice:geheim#1@127.0.0.1:7860",
    ],
)
def test_what_may_be_a_password_is_not_repeated(typed: str) -> None:
    with pytest.raises(UsageError) as refused:
        clean_url(typed)
    assert "geheim" not in refused.value.message + refused.value.hint


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_protocols_that_the_page_speaks(protocol: str) -> None:
    check_protocol("6.31.0", protocol, "The app")


def test_the_page_and_the_preflight_agree_on_protocols() -> None:
    assert page_protocol.PROTOCOLS == PROTOCOLS


@pytest.mark.parametrize(
    ("version", "protocol", "says", "hint"),
    [
        ("3.50.2", "ws", "too old", "Gradio 4.16 or later"),
        ("4.0.2", "sse", "too old", "Gradio 4.16 or later"),
        ("9.0.0", "carrier-pigeon", "too new", "Update gradsoak"),
    ],
)
def test_other_protocols_are_refused_with_those_that_work(
    version: str, protocol: str, says: str, hint: str
) -> None:
    with pytest.raises(UsageError) as refused:
        check_protocol(version, protocol, "The app")
    assert says in refused.value.message
    assert version in refused.value.message
    assert "sse_v3" in refused.value.message
    assert hint in refused.value.hint
