from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest

from harness import tokens
from harness.load import file_decoders
from harness.load.canary_registry import CanaryRegistry
from harness.load.canary_scanner import MAX_SIGHTINGS, SessionWatcher
from harness.records import Effect, StateVariable
from tests import planted

TAG = "7f3a"
OURS = tokens.mint(TAG, 0, 7, 1)
THEIRS = tokens.mint(TAG, 0, 71, 1)  # its number begins with ours
DAMAGED = THEIRS[:-1] + ("0" if THEIRS[-1] != "0" else "1")


def session(registry: CanaryRegistry, number: int = 7, user: str = "ann", worker: int = 0) -> SessionWatcher:
    return SessionWatcher(registry, worker=worker, number=number, user=user)


@pytest.fixture
def watcher() -> SessionWatcher:
    return session(CanaryRegistry(TAG))


def seen(watcher: SessionWatcher, content: str | bytes) -> list[tuple[str, str]]:
    found = watcher.search(content.encode() if isinstance(content, str) else content)
    return [(finding.kind, finding.value) for finding in found]


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(*chunks: bytes) -> bytes:
    header = (1).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"msg": "heartbeat"}',
        f"mine: {OURS}, and mine: {OURS}",
        "not a token: t-7f3a-0-71-1-0000",
        f"of another run: {tokens.mint('7f3b', 0, 71, 1)}",
        f"of another run: {tokens.mint('7f3a0', 0, 71, 1)}",
        f"mine in base64: {base64.b64encode(OURS.encode()).decode()}",
    ],
)
def test_allowed_values_are_not_reported(watcher: SessionWatcher, content: str) -> None:
    assert seen(watcher, content) == []


@pytest.mark.parametrize(
    "content",
    [
        THEIRS,
        json.dumps(f"a\n{THEIRS}\n"),  # where the escape of a line break stands before it
        f"x{THEIRS}x",
        f"{OURS} {THEIRS} {OURS}",
        quote(f"/file=/tmp/gradio/{THEIRS}.txt"),
        f"漢{THEIRS}漢",
    ],
)
def test_a_token_of_another_session_is_found_in_every_form(watcher: SessionWatcher, content: str) -> None:
    assert seen(watcher, content) == [("foreign-token", THEIRS)]


@pytest.mark.parametrize("worker", [1, 10])
def test_a_token_of_another_worker_is_of_another_session(watcher: SessionWatcher, worker: int) -> None:
    token = tokens.mint(TAG, worker, 7, 1)
    assert seen(watcher, token) == [("foreign-token", token)]


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "\u1234 "])
@pytest.mark.parametrize("after", ["", "!", "!!", "!!!"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_tokens_in_base64_are_found(watcher: SessionWatcher, before: str, after: str, encode: object) -> None:
    text = encode(f"{before}{THEIRS}{after}".encode()).decode()  # type: ignore[operator]
    for content in (text, text.rstrip("="), json.dumps({"url": f"data:text/plain;base64,{text}"})):
        assert seen(watcher, content) == [("foreign-token", THEIRS)]


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "iTXt compressed"])
def test_tokens_in_the_texts_of_a_picture_are_found(watcher: SessionWatcher, kind: str) -> None:
    text = f"made for {THEIRS}".encode()
    data = {
        "tEXt": b"Comment\0" + text,
        "zTXt": b"Comment\0\0" + zlib.compress(text),
        "iTXt": b"Comment\0\0\0\0\0" + text,
        "iTXt compressed": b"Comment\0\1\0en\0Comment\0" + zlib.compress(text),
    }[kind]
    picture = png(chunk(kind[:4].encode(), data))
    assert seen(watcher, picture) == [("foreign-token", THEIRS)]
    inline = json.dumps(f"data:image/png;base64,{base64.b64encode(picture).decode()}")
    assert seen(watcher, inline) == [("foreign-token", THEIRS)]
    assert seen(watcher, png(chunk(b"tEXt", b"Comment\0" + OURS.encode()))) == []


def test_a_broken_picture_is_no_error(watcher: SessionWatcher) -> None:
    whole = png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(THEIRS.encode())))
    for length in range(len(whole)):
        watcher.search(whole[:length])
    assert seen(watcher, png(chunk(b"zTXt", b"Comment\0\0no zlib"))) == []


@pytest.mark.parametrize("form", planted.written(THEIRS))
def test_escaped_tokens_are_found(watcher: SessionWatcher, form: str) -> None:
    for write in (str, json.dumps):
        assert seen(watcher, write(planted.written(THEIRS)[form])) == [("foreign-token", THEIRS)]
        assert seen(watcher, write(planted.written(OURS)[form])) == []
        assert seen(watcher, write(planted.written(DAMAGED)[form])) == []


@pytest.mark.parametrize("name", planted.files(THEIRS))
def test_tokens_in_files_are_found(watcher: SessionWatcher, name: str) -> None:
    assert seen(watcher, planted.files(THEIRS)[name]) == [("foreign-token", THEIRS)]
    assert seen(watcher, planted.files(OURS)[name]) == []
    assert seen(watcher, planted.files(DAMAGED)[name]) == []


@pytest.mark.parametrize("name", planted.files(THEIRS))
def test_a_broken_file_is_no_error(watcher: SessionWatcher, name: str) -> None:
    whole = planted.files(THEIRS)[name]
    for length in range(0, len(whole), 7):
        watcher.search(whole[:length])
    watcher.search(whole[:20] + bytes(200) + whole[20:])


def test_unpacking_a_huge_file_is_bounded(
    watcher: SessionWatcher,
) -> None:
    bomb = gzip.compress(THEIRS.encode() + bytes(20_000_000))
    assert seen(watcher, bomb) == [("foreign-token", THEIRS)]
    (part,) = file_decoders.parts(bomb)
    assert len(part) == file_decoders.MAX_TEXT_BYTES
    assert [len(part) for part in file_decoders.parts(gzip.compress(b""))] == [0]


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_unreadable_member_of_an_archive_does_not_hide_the_others(
    watcher: SessionWatcher, encrypted: bool
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "x" * 50)
        archive.writestr("b.txt", f"{THEIRS} " * 9)
    content = bytearray(packed.getvalue())
    entry = content.index(b"PK\x01\x02")
    content[entry + (8 if encrypted else 16)] ^= 1  # its flags, or its checksum
    content[6] ^= encrypted
    assert seen(watcher, bytes(content)) == [("foreign-token", THEIRS)]


def test_many_escapes_without_a_token_are_no_hit(watcher: SessionWatcher) -> None:
    assert seen(watcher, "a%2Db&#45;c\\u002d" * 1000) == []


@pytest.mark.parametrize(
    "form", [lambda token: base64.b64encode(token.encode()).decode(), lambda token: token.replace("-", "%2D")]
)
def test_many_own_tokens_do_not_hide_a_foreign_one(
    watcher: SessionWatcher, form: Callable[[str], str]
) -> None:
    own = tokens.mint(TAG, 0, 7, 1)
    assert seen(watcher, " ".join([form(own)] * 2000)) == []
    assert seen(watcher, " ".join([*[form(own)] * 2000, form(THEIRS)])) == [("foreign-token", THEIRS)]


def test_texts_that_were_sent_without_a_token_are_counted(watcher: SessionWatcher) -> None:
    for text in (f"mine: {OURS}", f"about {THEIRS}", OURS.encode() + b"\xff", "hello", b"\x89PNG"):
        watcher.sent(text)
    counts = watcher.take()
    assert (counts.tokens_sent, counts.untagged_sent) == (3, 2)
    assert watcher.take().untagged_sent == 0


# --- what is shared on purpose ---


def test_every_user_may_see_a_variable_of_everyone() -> None:
    registry = CanaryRegistry(
        TAG, {"board": StateVariable(model="list", scope="everyone"), "own": StateVariable(model="list")}
    )
    writer, reader = session(registry, 71, "bob"), session(registry)
    assert seen(reader, THEIRS) == [("foreign-token", THEIRS)]
    writer.wrote({"own": Effect(op="append", value=THEIRS)})
    assert seen(reader, THEIRS) == [("foreign-token", THEIRS)]
    writer.wrote({"board": Effect(op="offer", value=[3, THEIRS])})
    assert seen(reader, THEIRS) == []


def test_a_user_may_see_its_own_variable_in_every_session() -> None:
    registry = CanaryRegistry(TAG, {"notes": StateVariable(model="list", scope="user")})
    session(registry, 71, "ann").wrote({"notes": Effect(op="append", value=THEIRS)})
    assert seen(session(registry, 72, "ann"), THEIRS) == []
    assert seen(session(registry, 73, "bob"), THEIRS) == [("foreign-token", THEIRS)]


# --- secrets ---


def test_no_session_may_see_a_secret() -> None:
    registry = CanaryRegistry(TAG)
    ours, theirs = session(registry), session(registry, 8)
    assert seen(ours, OURS) == []
    ours.secret(f"key of {OURS}")
    assert seen(ours, f"the key of {OURS}") == [("secret", f"key of {OURS}")]
    assert seen(ours, OURS) == []  # the token alone is not the secret
    assert set(seen(theirs, f"the key of {OURS}")) == {
        ("secret", f"key of {OURS}"),
        ("foreign-token", OURS),
    }


@pytest.mark.parametrize("text", ["correct horse", 'say "friend"\n\\', "größer als zuvor", "<b>nobody</b>"])
def test_a_secret_is_found_in_every_form(text: str) -> None:
    registry = CanaryRegistry(TAG)
    ours, theirs = session(registry), session(registry, 8)
    ours.secret(text)
    for content in (
        json.dumps([text]),
        json.dumps([text], ensure_ascii=False),
        quote(text),
        base64.b64encode(f"x{text}".encode()).decode(),
    ):
        assert seen(ours, content) == [("secret", text)]
    assert seen(theirs, json.dumps([text], ensure_ascii=False)) == [("secret", text)]
    assert seen(ours, text[:-1]) == []


def test_a_session_finds_its_own_secrets_among_many_others() -> None:
    registry = CanaryRegistry(TAG)
    ours = session(registry)
    ours.secret("correct horse")
    for number in range(1000):
        session(registry, 100 + number).secret(f"battery staple {number:04}")
    assert seen(ours, "a correct horse") == [("secret", "correct horse")]
    assert seen(ours, "the battery staple 0999") == [("secret", "battery staple 0999")]


def test_a_secret_that_is_too_short_is_refused(watcher: SessionWatcher) -> None:
    with pytest.raises(ValueError, match="8 or more"):
        watcher.secret("short")


# --- what becomes of it ---


def test_responses_with_own_tokens_are_counted(watcher: SessionWatcher) -> None:
    hidden = base64.b64encode(f"about {OURS}".encode())
    for content in (
        f"mine: {OURS} and {OURS}".encode(),
        f"{OURS} {THEIRS}".encode(),
        hidden,
        THEIRS.encode(),
        b"hello",
    ):
        watcher.search(content)
    assert watcher.take().own_tokens_seen == 3
    assert watcher.take().own_tokens_seen == 0


def test_sightings_are_returned_once_and_are_bounded(watcher: SessionWatcher) -> None:
    for number in range(20):
        watcher.search(b"")
        watcher.report("state-on-the-wire", f"value {number}", "output 1 of /go")
    looked, sightings, *_ = watcher.take()
    assert looked == 20
    assert len(sightings) == MAX_SIGHTINGS
    assert sightings[0].value == "value 0"
    assert watcher.take() == (0, [], 0, 0, 0)


def test_a_sighting_is_cut_to_a_readable_length(watcher: SessionWatcher) -> None:
    watcher.report("secret", "x" * 10_000, "y" * 10_000)
    _, [sighting], *_ = watcher.take()
    assert len(sighting.value) < 200
    assert len(sighting.where) < 200


def test_the_first_foreign_tokens_do_not_hide_later_ones(watcher: SessionWatcher) -> None:
    names = [tokens.mint(TAG, 0, 100 + n, 1) for n in range(20)]
    told: list[str] = []
    for _ in range(4):
        for name in names:
            watcher.report("foreign-token", name, "output 1 of /go")
        told += [sighting.value for sighting in watcher.take()[1]]
    assert told == names


def test_tokens_of_another_worker_leave_room_for_other_sightings() -> None:
    watcher = session(CanaryRegistry(TAG, {"board": StateVariable(model="list", scope="everyone")}))
    for number in range(20):
        watcher.report("foreign-token", tokens.mint(TAG, 1, number, 1), "output 1 of /go")
    watcher.report("foreign-token", THEIRS, "output 2 of /go")
    values = [sighting.value for sighting in watcher.take()[1]]
    assert THEIRS in values
    assert len(values) == MAX_SIGHTINGS // 2 + 1
