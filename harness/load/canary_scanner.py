"""What no response of the server may hold: tokens of other sessions, and secrets. ScanCounts for both in raw bytes.

Nearly all responses hold neither, so that the usual look is a few searches for fixed bytes. Base64 is no hiding place: a
text within it shows as one of three fixed strings, by where it begins among the groups of three bytes. Neither are the
escapes of URLs, HTML and JSON: in all of them, the hyphen of a token becomes one of two numbers. Files are looked into by
`harness.load.file_decoders`.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

import msgspec

from harness import tokens
from harness.load import file_decoders
from harness.load.recorder import ScanCounts
from harness.page.response_watcher import ScanHit, SightingKind
from harness.records import Effect, Scope, Sighting, StateVariable

MAX_SIGHTINGS = 8
_MAX_SHOWN = 160
# A shorter text would be found where nobody had put it.
MIN_SECRET_LENGTH = 8
# A workload declares few secrets per session, but there may be thousands of sessions. Of those that a token does not lead
# to, every response is searched for the session's own, and for so many of the others' as they are usually written.
_OTHERS_SECRETS = 16
# Beyond that, whose a token is will be found out from the history.
_MAX_OWNERS = 200_000
_MAX_REPORTED = 512
# In one response, of what is written in base64 or in escapes: so many of the session's own tokens may stand before another's.
_MAX_HITS = 10_000
_MAX_FILE_BYTES = 8_000_000
# An archive in an archive is looked into, and no deeper.
_MAX_DEPTH = 2
# Longer than any token.
_TOKEN_LENGTH = 64
# Nor is any token that is escaped once, whatever is escaped of it.
_JOINT = 200
_MAX_JOINT = 1000

_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]*")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_PNG_IN_BASE64 = b"iVBORw0KGgo"
_DATA_URL = b";base64,"
# A hyphen in a URL, in JSON or in HTML, once or twice over.
_HYPHEN = re.compile(rb"%(?:25)*2[dD]|\\+(?:u00|x)2[dD]|&(?:amp;)*#(?:[xX]0*2[dD]|0*45);")
_HYPHEN_HINTS = (b"2d", b"2D", b"45;")
_ESCAPED_RUN = re.compile(rb"[\w%&#;\\-]*")
_JSON_ESCAPE = re.compile(rb"\\+(?:u00|x)([0-9a-fA-F]{2})")
# Longer than any token of which every character is escaped.
_ESCAPED_LENGTH = 480


class _Secret(NamedTuple):
    """A text that only the server's State may hold.

    Attributes:
        forms: how it counts in a response, whichever way it is written there.
        plain: how it usually does.
    """

    text: str
    forms: tuple[bytes, ...]
    plain: bytes


class CanaryRegistry:
    """What the sessions of one worker must know of each other.

    Args:
        run_tag: the part of every token that names the run.
        state: the variables of the workload: what is written to one that is not the session's own may be seen by others.
        shared: names of components in which tokens of any session may stand.

    Attributes:
        public: whether there is a variable of everyone.
        prefix: how all tokens of the run begin.
        token: what they look like.
        cores: see `_cores`, of the prefix.
        encoded: what stands in base64 that may hold a token, in a text or in a file.
        wide: codecs with two bytes for each character, each with the prefix in it.
        loose: secrets that no token leads to, the latest.
        has_secrets: whether any were declared.
        longest: length of the longest text that is looked for, in characters.
    """

    def __init__(
        self, run_tag: str, state: Mapping[str, StateVariable] | None = None, shared: Sequence[str] = ()
    ) -> None:
        self.run_tag = run_tag
        self.shared = frozenset(shared)
        self.prefix = f"t-{run_tag}-".encode()
        self.token = re.compile(re.escape(self.prefix) + rb"\d+-\d+-\d+-[0-9a-f]{4}")
        self.cores = tuple(_cores(self.prefix))
        self.encoded = (*(core for core, _ in self.cores), _PNG_IN_BASE64, _DATA_URL)
        self.wide = tuple((codec, self.prefix.decode().encode(codec)) for codec in ("utf-16-le", "utf-16-be"))
        self._scopes: dict[str, Scope] = {
            name: variable.scope for name, variable in (state or {}).items() if variable.scope != "session"
        }
        self.public = "everyone" in self._scopes.values()
        # Token → who may see it: a person's name, or empty for everybody.
        self._owners: dict[str, str] = {}
        self._by_token: dict[str, list[_Secret]] = {}
        self.loose: deque[_Secret] = deque(maxlen=_OTHERS_SECRETS)
        self.has_secrets = False
        self.longest = _JOINT

    def worker_prefix(self, worker: int) -> str:
        """How all tokens of a worker begin."""
        return f"t-{self.run_tag}-{worker}-"

    def wrote(self, user: str, effects: Mapping[str, Effect]) -> None:
        """Take note of what is about to be written where others may see it."""
        if not self._scopes:
            return
        for name, effect in effects.items():
            scope = self._scopes.get(name)
            if scope is None or len(self._owners) >= _MAX_OWNERS:
                continue
            for token in self.token.findall(msgspec.json.encode(effect.value)):
                self._owners[token.decode()] = "" if scope == "everyone" else user

    def may_see(self, user: str, token: str) -> bool:
        """Whether a token was written to something that this person shares with its writer."""
        return self._owners.get(token) in ("", user)

    def keep(self, text: str) -> _Secret | None:
        """Take note of a secret; returns it if no token of the run leads to it.

        Raises:
            ValueError: it is too short to be told from what stands there by chance.
        """
        if len(text) < MIN_SECRET_LENGTH:
            raise ValueError(
                f"a secret of {len(text)} characters may stand anywhere: make it of {MIN_SECRET_LENGTH} or more, best from a token"
            )
        forms = tuple(dict.fromkeys(_forms(text)))
        self.has_secrets = True
        secret = _Secret(text, forms, json.dumps(text, ensure_ascii=False)[1:-1].encode())
        self.longest = min(_MAX_JOINT, max(self.longest, len(text)))
        names = self.token.findall(text.encode())
        for name in names:
            kept = self._by_token.setdefault(name.decode(), [])
            if secret not in kept:
                kept.append(secret)
        if names:
            return None
        if secret not in self.loose:
            self.loose.append(secret)
        return secret

    def secrets_with(self, token: str) -> Sequence[_Secret]:
        """The secrets that a token leads to."""
        return self._by_token.get(token, ())


class SessionWatcher:
    """ScanCounts at everything that the server sends to one session: a `harness.page.response_watcher.Watcher`.

    Args:
        registry: of the worker.
        worker, number: the session's.
        user: the person's name.
    """

    __slots__ = (
        "_loose",
        "_number",
        "_own",
        "_own_token_found",
        "_own_tokens_seen",
        "_registry",
        "_reported",
        "_searched",
        "_secretive",
        "_sightings",
        "_tokens_sent",
        "_untagged_sent",
        "_user",
        "_worker",
    )

    def __init__(self, registry: CanaryRegistry, *, worker: int, number: int, user: str) -> None:
        self._registry = registry
        self._worker = worker
        self._number = number
        self._user = user
        self._own = registry.prefix + b"%d-%d-" % (worker, number)
        self._searched = 0
        self._tokens_sent = self._untagged_sent = self._own_tokens_seen = 0
        # Whether a token of the session's own stood in the response that was searched last.
        self._own_token_found = False
        self._secretive = False
        self._sightings: list[Sighting] = []
        # None of these for most sessions, of which there are thousands.
        self._loose: list[_Secret] | None = None
        self._reported: set[str] | None = None

    @property
    def shared(self) -> frozenset[str]:
        """Names of components in which tokens of any session may stand."""
        return self._registry.shared

    @property
    def longest(self) -> int:
        """The length of the longest text that is looked for, in characters."""
        return self._registry.longest

    def secret(self, text: str) -> None:
        """From now on, no response may hold this text.

        Raises:
            ValueError: it is too short.
        """
        secret = self._registry.keep(text)
        self._secretive = True
        if secret is not None:
            self._loose = [*(self._loose or ()), secret]

    def wrote(self, effects: Mapping[str, Effect]) -> None:
        """Take note of what this session is about to write."""
        self._registry.wrote(self._user, effects)

    def search(self, content: bytes) -> Sequence[ScanHit]:
        """Search a response; what is found is to be passed to `report`, with where it stood."""
        self._searched += 1
        self._own_token_found = False
        found = self.search_part(content)
        self._own_tokens_seen += self._own_token_found
        return found

    def search_part(self, content: bytes) -> Sequence[ScanHit]:
        """Search a part of a response that has been looked at."""
        found: dict[tuple[SightingKind, str], ScanHit] = {}
        self._search(content, None, found, _MAX_DEPTH)
        return list(found.values()) if found else ()

    def _search(
        self, content: bytes, literal: str | None, found: dict[tuple[SightingKind, str], ScanHit], depth: int
    ) -> None:
        """Search some content.

        Args:
            content: a response, or what it holds in another form.
            literal: how it counts in the response, None if as it is.
            found: what has been found is added to it.
            depth: how many times it may be unpacked.
        """
        registry = self._registry
        if registry.prefix in content:
            own = content.count(self._own)
            self._own_token_found = self._own_token_found or own > 0
            # With nobody else's token in it, there is nothing to be read.
            if self._secretive or content.count(registry.prefix) != own:
                self._judge(content, content, literal, found)
        for needle in registry.encoded:
            if needle in content:
                self._decode(content, literal, found, depth)
                break
        if b"\\" in content or b"%" in content or b"&" in content:  # a single byte is found at no cost
            for hint in _HYPHEN_HINTS:
                if hint in content:
                    self._unescape(content, literal, found)
                    break
        if depth and file_decoders.is_document(content):
            self._unpack(content, literal, found, depth)
        if registry.loose:
            for secret in registry.loose:
                if secret.plain in content:
                    found["secret", secret.text] = ScanHit("secret", secret.text, literal or secret.text)
            for secret in self._loose or ():
                if any(form in content for form in secret.forms):
                    found["secret", secret.text] = ScanHit("secret", secret.text, literal or secret.text)

    def report(self, kind: SightingKind, value: str, where: str) -> None:
        """Something was seen that must not be there.

        A foreign token is told once for each session, so that the first ones do not hide those that come later.
        """
        room = MAX_SIGHTINGS
        if kind == "foreign-token":
            if self._registry.public and not value.startswith(self._registry.worker_prefix(self._worker)):
                # Whether it was written for everyone is known to another worker. There may be many of that kind.
                room //= 2
            self._reported = self._reported if self._reported is not None else set()
            if value in self._reported:
                return
            if len(self._reported) < _MAX_REPORTED and len(self._sightings) < room:
                self._reported.add(value)
        sighting = Sighting(kind=kind, value=_cut(value), where=_cut(where))
        if len(self._sightings) < room and sighting not in self._sightings:
            self._sightings.append(sighting)

    def sent(self, text: str | bytes) -> None:
        """The page is about to send a text, or a file: without a token, nobody could tell where else it shows up."""
        content = text.encode() if isinstance(text, str) else text
        if self._registry.prefix not in content:
            self._untagged_sent += 1
        else:
            self._tokens_sent += 1

    def take(self) -> ScanCounts:
        """What was looked at since the last call."""
        counts = ScanCounts(
            self._searched, self._sightings, self._tokens_sent, self._untagged_sent, self._own_tokens_seen
        )
        self._searched = self._tokens_sent = self._untagged_sent = self._own_tokens_seen = 0
        self._sightings = []
        return counts

    def _judge(
        self, text: bytes, content: bytes, literal: str | None, found: dict[tuple[SightingKind, str], ScanHit]
    ) -> None:
        """Whether the tokens in a text may be seen here.

        Args:
            text: where they stand.
            content: where the secrets would stand that they lead to.
            literal: how the text counts in the response, None if as it is.
        """
        for name in dict.fromkeys(self._registry.token.findall(text)):
            value = name.decode()
            token = tokens.parse(value)
            if token is None:
                continue
            for secret in self._registry.secrets_with(value):
                if any(form in content for form in secret.forms):
                    finding = ScanHit("secret", secret.text, literal or secret.text)
                    found.setdefault(("secret", secret.text), finding)
            own = token.worker == self._worker and token.session == self._number
            self._own_token_found = self._own_token_found or own
            if not own and not self._registry.may_see(self._user, value):
                found.setdefault(("foreign-token", value), ScanHit("foreign-token", value, literal or value))

    def _decode(
        self, content: bytes, literal: str | None, found: dict[tuple[SightingKind, str], ScanHit], depth: int
    ) -> None:
        """Look into what is written in base64."""
        for core, skipped in self._registry.cores:
            for at in _places(content, core):
                begin = max(0, at - skipped)
                text = _decoded(content[begin : begin + 128])
                self._judge(text, content, literal or _literal(content, at), found)
        if not depth:
            return
        files = {at + len(_DATA_URL) for at in _places(content, _DATA_URL)} | {
            *_places(content, _PNG_IN_BASE64)
        }
        for at in sorted(files):
            file = _decoded(content[at : at + _MAX_FILE_BYTES])
            self._search(file, literal or _literal(content, at), found, depth - 1)

    def _unescape(
        self, content: bytes, literal: str | None, found: dict[tuple[SightingKind, str], ScanHit]
    ) -> None:
        """Look into what is written in the escapes of URLs, HTML or JSON."""
        done = looked = 0
        for hyphen in _HYPHEN.finditer(content):
            if hyphen.start() < done:
                continue
            # Places that were looked at: a token alone has five hyphens.
            looked += 1
            if looked > _MAX_HITS:
                return
            done = hyphen.start() + _ESCAPED_LENGTH
            text = _unescaped(content[max(0, hyphen.start() - _ESCAPED_LENGTH) : done + _ESCAPED_LENGTH])
            if self._registry.prefix in text:
                run = _ESCAPED_RUN.match(content, hyphen.start(), hyphen.start() + 24)
                assert run is not None  # it matches nothing, too
                self._judge(text, text, literal or run.group().decode(), found)

    def _unpack(
        self, content: bytes, literal: str | None, found: dict[tuple[SightingKind, str], ScanHit], depth: int
    ) -> None:
        """Look into a file: at what it has packed, and at texts with two bytes for each character."""
        for part in file_decoders.parts(content):
            self._search(part, literal, found, depth - 1)
        for codec, prefix in self._registry.wide:
            for at in _places(content, prefix):
                text = content[at : at + 2 * _TOKEN_LENGTH].decode(codec, "replace").encode()
                self._judge(text, text, literal, found)


def _literal(content: bytes, at: int) -> str:
    """The base64 at a place, so much of it as is enough to find it again."""
    run = _BASE64_RUN.match(content, at, at + 24)
    return run.group().decode() if run else ""


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _places(content: bytes, needle: bytes) -> Iterator[int]:
    at = content.find(needle)
    for _ in range(_MAX_HITS):
        if at < 0:
            return
        yield at
        at = content.find(needle, at + 1)


# --- encodings ---


def _unescaped(text: bytes) -> bytes:
    """What stands in the escapes of URLs, HTML and JSON, as often as they were applied."""
    for _ in range(4):
        before = text
        text = _JSON_ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), unquote_to_bytes(text))
        text = html.unescape(text.decode("latin-1")).encode("latin-1", "replace")
        if text == before:
            break
    return text


def _forms(text: str) -> Iterator[bytes]:
    """The bytes that a text may have become in a response: JSON, a URL, HTML, base64."""
    for plain in (
        text,
        json.dumps(text, ensure_ascii=False)[1:-1],
        json.dumps(text)[1:-1],
        quote(text),
        html.escape(text),
    ):
        yield plain.encode()
    for core, _ in _cores(text.encode()):
        yield core


def _cores(text: bytes) -> Iterator[tuple[bytes, int]]:
    """What base64 of anything that holds a text must hold, in both alphabets.

    Base64 writes three bytes as four characters, so the text can begin at any of three places of a group. The characters that
    share bits with its neighbours are left out.

    Returns:
        Each of them with the number of characters between the beginning of its group and its own.
    """
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + text)
        first = -(-before * 8 // 6)
        core = encoded[first : (before + len(text)) * 8 // 6]
        yield core, first
        if (url_safe := core.translate(bytes.maketrans(b"+/", b"-_"))) != core:
            yield url_safe, first


def _decoded(content: bytes) -> bytes:
    """The base64 at the beginning of some bytes, decoded as far as it goes."""
    run = _BASE64_RUN.match(content)
    assert run is not None  # it matches nothing, too
    text = run.group().translate(_URL_SAFE)
    if len(text) % 4 == 1:
        text = text[:-1]
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""
