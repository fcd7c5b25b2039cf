"""What `--url` may be pointed at by mistake: each gets one sentence, the next thing to try, and the right exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.app_under_test import AppFacts, inspect_url
from harness.app_under_test.preflight import app_id
from harness.errors import ExitCode, HarnessError
from tests.integration.cli import gradsoak
from tests.integration.outside import Page, fake_server, free_port, make_certificate, raw_server

USAGE, FAILED = ExitCode.USAGE, ExitCode.TARGET_FAILED
HTML = "<!doctype html><title>Welcome</title>"
CONFIG = json.dumps(
    {
        "version": "6.31.0",
        "protocol": "sse_v3",
        "api_prefix": "/gradio_api",
        "app_id": 2**63 + 5,
        "dependencies": [],
    }
)


def config(**changes: object) -> str:
    return json.dumps({**json.loads(CONFIG), **changes})


def refused(url: str, timeout_s: float = 5.0, **options: object) -> HarnessError:
    with pytest.raises(HarnessError) as caught:
        inspect_url(url, timeout_s=timeout_s, **options)  # type: ignore[arg-type]
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("pages", "path", "code", "says", "hint"),
    [
        ({"/config": Page(200, HTML)}, "", USAGE, "no Gradio app: GET /config answers, but not with", "port"),
        ({"/config": Page(200, '{"name": "my settings"}')}, "", USAGE, "no Gradio app", "mounted below a path"),
        ({"/config": Page(200, "[1]")}, "", USAGE, "no Gradio app", "mounted"),
        ({"/config": Page(200, '{"version": ')}, "", USAGE, "no Gradio app", "mounted"),
        ({}, "", USAGE, "GET /config answers 404", "--url http://127.0.0.1:8000/app"),
        ({"/config": Page(200, CONFIG)}, "/somewhere/else", USAGE, "GET /somewhere/else/config answers 404", "There is one at http://127.0.0.1:"),
        ({"/config": Page(403)}, "", USAGE, "403: access is denied", "auth="),
        ({"/config": Page(500)}, "", FAILED, "answers 500: the server failed", "log"),
        ({"/config": Page(502)}, "", FAILED, "the app behind it does not", "--ready-timeout"),
        ({"/config": Page(429)}, "", FAILED, "limits the rate", "log"),
        ({"/config": Page(503, "Space is sleeping", x_proxied_host="http://10.0.0.1")}, "", FAILED, "Space at http://127.0.0.1:", "--ready-timeout 5m"),
        ({"/config": Page(200, "<h1>Building</h1>", x_proxied_host="h")}, "", FAILED, "asleep or starting", "browser"),
        ({"/config": Page(200, config(version="3.50.2", protocol="ws"))}, "", USAGE, "Gradio 3.50.2", "4.16 or later"),
        ({"/config": Page(200, config(version="4.0.2", protocol="sse"))}, "", USAGE, "supports sse_v1, sse_v2, sse_v2.1, sse_v3", "4.16 or later"),
        ({"/config": Page(200, '{"version": "3.9", "dependencies": []}')}, "", USAGE, "Gradio 3.9 with the protocol ws", "4.16 or later"),
        ({"/config": Page(302, Location="http://other.invalid:8080/app/config?sign=geheim")}, "", USAGE, "sends visitors to http://other.invalid:8080/app/ on another host", "--url http://other.invalid:8080/app/"),
        ({"/config": Page(307, Location="/app/config")}, "", USAGE, "/app/; load goes only where you say", "/app/"),
        ({"/config": Page(302, Location="https://sso.invalid/oauth?next=/config")}, "", USAGE, "login page in front", "auth="),
        ({"/config": Page(302, Location="/login/")}, "", USAGE, "login page in front", "auth="),
        ({"/config": Page(401)}, "", USAGE, "asks for a login", "--auth USER:PASSWORD"),
    ],
)  # fmt: skip
def test_what_is_no_app_to_test(
    pages: dict[str, Page], path: str, code: ExitCode, says: str, hint: str
) -> None:
    with fake_server(pages) as url:
        error = refused(url + path)
    assert error.exit_code == code
    assert says in error.message
    assert hint in error.hint
    assert "geheim" not in error.message + error.hint


def test_a_port_on_which_nothing_listens() -> None:
    error = refused(f"http://127.0.0.1:{free_port()}")
    assert error.exit_code == FAILED
    assert "connection was refused" in error.message
    assert "Start the app" in error.hint


def test_an_app_that_never_answers() -> None:
    with raw_server(None) as url:
        error = refused(url, timeout_s=0.2)
    assert error.exit_code == FAILED
    assert "no answer within 0.2 s" in error.message


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [(b"SSH-2.0-OpenSSH_9.2\r\n", USAGE, "does not answer in HTTP"), (b"", FAILED, "closes the connection")],
)
def test_what_does_not_speak_http(answer: bytes, code: ExitCode, says: str) -> None:
    with raw_server(answer) as url:
        error = refused(url)
    assert error.exit_code == code
    assert says in error.message
    assert "https://" in error.hint


def test_a_name_that_does_not_exist() -> None:
    error = refused("http://no-such-host.invalid:7860")
    assert error.exit_code == FAILED
    assert "no-such-host.invalid cannot be looked up" in error.message


@pytest.mark.parametrize(
    "address", ["http://192.0.2.1:7860", "https://[2001:db8::1]/", "http://0.0.0.0:7860"]
)
def test_an_address_that_is_not_this_machine_is_refused_before_anything_is_sent(address: str) -> None:
    error = refused(address)
    assert error.exit_code == USAGE
    assert "--allow-remote" in error.hint or "127.0.0.1" in error.hint


def test_an_app_that_is_there(tmp_path: Path) -> None:
    with fake_server({"/config": Page(200, CONFIG)}) as url:
        facts = inspect_url(f"{url}/?__theme=dark")
    assert facts == AppFacts(
        url=f"{url}/",
        gradio_version="6.31.0",
        protocol="sse_v3",
        api_prefix="gradio_api",
        app_id=2**63 + 5,
        asks_login=False,
    )


def test_an_app_that_is_starting_is_waited_for() -> None:
    starting = [Page(503), Page(502), Page(503), Page(200, CONFIG)]
    with fake_server({"/config": starting}) as url:
        assert refused(url).exit_code == FAILED
        assert inspect_url(url, patience_s=30).gradio_version == "6.31.0"


@pytest.mark.parametrize(
    ("status", "says"), [(400, "refuses the login"), (401, "refuses"), (302, "answers the login with 302")]
)
def test_a_login_that_is_refused_is_not_repeated(status: int, says: str) -> None:
    with fake_server({"/config": Page(401)}, post={"/login": Page(status)}) as url:
        error = refused(url, accounts=[("alice", "geheim")])
    assert error.exit_code == USAGE
    assert says in error.message
    assert "geheim" not in error.message + error.hint


def test_of_several_logins_the_wrong_one_is_named_by_its_place() -> None:
    logins = {"/login": Page(400)}
    with fake_server({"/config": Page(401)}, post=logins) as url:
        error = refused(url, accounts=[("a", "1"), ("b", "2")])
    assert "login 1 of 2" in error.message


def test_the_number_of_an_app(tmp_path: Path) -> None:
    pages = {"/config": Page(200, CONFIG), "/gradio_api/app_id": Page(200, '{"app_id": 12}')}
    with fake_server(pages) as url:
        facts = inspect_url(url)
        assert app_id(facts, 5) == 12
        pages["/gradio_api/app_id"] = Page(404, "Not Found")
        assert app_id(facts, 5) is None
        pages["/gradio_api/app_id"] = Page(200, HTML)
        assert app_id(facts, 5) is None
    with pytest.raises(ConnectionError):
        app_id(facts, 5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody has signed and its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    certificate = make_certificate(folder)
    (folder / "both").write_text((folder / "key").read_text() + certificate.read_text())
    return folder / "both"


def test_an_untrusted_certificate(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with fake_server({"/config": Page(200, CONFIG)}, certificate=certificate) as url:
        error = refused(url)
        assert error.exit_code == USAGE
        assert "certificate" in error.message
        assert "SSL_CERT_FILE" in error.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.parent / "certificate"))
        assert inspect_url(url).protocol == "sse_v3"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.parent / "nowhere"))
        assert "SSL_CERT_FILE names" in refused(url).message
        monkeypatch.delenv("SSL_CERT_FILE")
        assert "https://" in refused(url.replace("https", "http")).hint


def test_https_to_an_app_without_it() -> None:
    with fake_server({"/config": Page(200, CONFIG)}) as url:
        error = refused(url.replace("http", "https"))
    assert error.exit_code == USAGE
    assert "http://" in error.hint


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--url", "http://192.0.2.1:7860"], 2, "--allow-remote"),
        (["--url", "127.0.0.1:7860"], 2, "Did you mean http://127.0.0.1:7860?"),
        (["--url", "http://a:geheim@127.0.0.1/"], 2, "--auth USER:PASSWORD"),
        (["--url", "http://127.0.0.1:9/"], 4, "connection was refused"),
        (["--url", "http://127.0.0.1:9/", "--python", "python3"], 2, "--python has no meaning"),
        (["--url", "http://127.0.0.1:9/", "--auth", "geheim"], 2, "not USER:PASSWORD"),
        (["--pid", "1"], 2, "--pid has no meaning without --url"),
    ],
)
def test_the_command_refuses_before_anything_starts(
    arguments: list[str], code: int, says: str, tmp_path: Path
) -> None:
    done = gradsoak("run", "counters", *arguments, "--json", cwd=tmp_path)
    assert done.code == code
    assert says in done.err
    assert "Traceback" not in done.err
    assert "geheim" not in done.err + done.out
    assert done.json()["error"]["exit_code"] == code
    assert done.json()["verdict"] == "unknown"
    assert list(tmp_path.iterdir()) == []
