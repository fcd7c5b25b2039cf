"""Searches every response for values that its session must not receive: tokens of other sessions, and secrets.

Nearly all responses hold neither, so the usual search is a few searches for fixed bytes. Texts in base64 are found, too:
there a text shows as one of three fixed strings, depending on where it begins in a group of three bytes. So are texts in
the escapes of URLs, HTML and JSON, where the hyphen of a token becomes one of two numbers. Files are unpacked by
`harness.load.file_decoders`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness import tokens
from harness.load import file_decoders
from harness.load.canary_registry import CanaryRegistry, Secret
from harness.load.encoded_text import (
    DATA_URL,
    MAX_HITS,
    PNG_IN_BASE64,
    base64_at,
    base64_decoded,
    places,
    unescaped,
)
from harness.load.recorder import ScanCounts
from harness.page.response_watcher import ScanHit, SightingKind
from harness.records import Effect, Sighting

MAX_SIGHTINGS = 8
_MAX_SHOWN = 160
_MAX_REPORTED = 512
_MAX_FILE_BYTES = 8_000_000
# An archive in an archive is unpacked; an archive inside that is not.
_MAX_DEPTH = 2
# Longer than any token.
_TOKEN_LENGTH = 64

# A hyphen in a URL, in JSON or in HTML, once or twice over.
_HYPHEN = re.compile(rb"%(?:25)*2[dD]|\\+(?:u00|x)2[dD]|&(?:amp;)*#(?:[xX]0*2[dD]|0*45);")
_HYPHEN_HINTS = (b"2d", b"2D", b"45;")
_ESCAPED_RUN = re.compile(rb"[\w%&#;\\-]*")
# Longer than any token of which every character is escaped.
_ESCAPED_LENGTH = 480


class SessionWatcher:
    """Searches everything that the server sends to one session: a `harness.page.response_watcher.Watcher`.

    Args:
        registry: tokens and secrets of the worker.
        worker, number: name of the session.
        user: name of the user, or of the account with a login.
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
        # Whether the last searched response contains a token of this session.
        self._own_token_found = False
        self._secretive = False
        self._sightings: list[Sighting] = []
        # None for most sessions, since there may be thousands.
        self._loose: list[Secret] | None = None
        self._reported: set[str] | None = None

    @property
    def shared(self) -> frozenset[str]:
        """Names of components that may show tokens of any session."""
        return self._registry.shared

    @property
    def longest(self) -> int:
        """Length of the longest text that is searched for, in characters."""
        return self._registry.longest

    def secret(self, text: str) -> None:
        """Declare a secret: from now on no response may contain this text.

        Raises:
            ValueError: the text is too short.
        """
        secret = self._registry.keep(text)
        self._secretive = True
        if secret is not None:
            self._loose = [*(self._loose or ()), secret]

    def wrote(self, effects: Mapping[str, Effect]) -> None:
        """Note the values that this session is about to write."""
        self._registry.wrote(self._user, effects)

    def search(self, content: bytes) -> Sequence[ScanHit]:
        """Search a response. The caller passes each hit to `report`, with its place."""
        self._searched += 1
        self._own_token_found = False
        found = self.search_part(content)
        self._own_tokens_seen += self._own_token_found
        return found

    def search_part(self, content: bytes) -> Sequence[ScanHit]:
        """Search a part of a response that has been searched as a whole; it is not counted again."""
        found: dict[tuple[SightingKind, str], ScanHit] = {}
        self._search(content, None, found, _MAX_DEPTH)
        return list(found.values()) if found else ()

    def _search(
        self, content: bytes, literal: str | None, found: dict[tuple[SightingKind, str], ScanHit], depth: int
    ) -> None:
        """Search some content.

        Args:
            content: a response, or a decoded part of one.
            literal: how the content looks in the response; None if it was not decoded.
            found: hits are added to it.
            depth: how many more levels may be unpacked.
        """
        registry = self._registry
        if registry.prefix in content:
            own = content.count(self._own)
            self._own_token_found = self._own_token_found or own > 0
            # If all tokens in it are the session's own, none needs to be parsed.
            if self._secretive or content.count(registry.prefix) != own:
                self._judge(content, content, literal, found)
        for needle in registry.encoded:
            if needle in content:
                self._decode(content, literal, found, depth)
                break
        if (
            b"\\" in content or b"%" in content or b"&" in content
        ):  # searching for a single byte costs next to nothing
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
        """Record a value that the session must not receive.

        A foreign token is recorded once per session, so that the first ones do not hide later ones.
        """
        room = MAX_SIGHTINGS
        if kind == "foreign-token":
            if self._registry.public and not value.startswith(self._registry.worker_prefix(self._worker)):
                # Only its own worker knows whether it was written for everyone. There may be many such tokens.
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
        """Count a text or file that the page is about to send. One without a token cannot be recognised in other sessions."""
        content = text.encode() if isinstance(text, str) else text
        if self._registry.prefix not in content:
            self._untagged_sent += 1
        else:
            self._tokens_sent += 1

    def take(self) -> ScanCounts:
        """The result of all searches since the last call."""
        counts = ScanCounts(
            self._searched, self._sightings, self._tokens_sent, self._untagged_sent, self._own_tokens_seen
        )
        self._searched = self._tokens_sent = self._untagged_sent = self._own_tokens_seen = 0
        self._sightings = []
        return counts

    def _judge(
        self, text: bytes, content: bytes, literal: str | None, found: dict[tuple[SightingKind, str], ScanHit]
    ) -> None:
        """Check whether this session may see the tokens in a text.

        Args:
            text: contains the tokens.
            content: is searched for the secrets that contain these tokens.
            literal: how the text looks in the response; None if it was not decoded.
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
        """Search the parts that are written in base64."""
        for core, skipped in self._registry.cores:
            for at in places(content, core):
                begin = max(0, at - skipped)
                text = base64_decoded(content[begin : begin + 128])
                self._judge(text, content, literal or base64_at(content, at), found)
        if not depth:
            return
        files = {at + len(DATA_URL) for at in places(content, DATA_URL)} | {*places(content, PNG_IN_BASE64)}
        for at in sorted(files):
            file = base64_decoded(content[at : at + _MAX_FILE_BYTES])
            self._search(file, literal or base64_at(content, at), found, depth - 1)

    def _unescape(
        self, content: bytes, literal: str | None, found: dict[tuple[SightingKind, str], ScanHit]
    ) -> None:
        """Search the parts that are written in the escapes of URLs, HTML or JSON."""
        done = searched = 0
        for hyphen in _HYPHEN.finditer(content):
            if hyphen.start() < done:
                continue
            # Each counts, although a single token has five hyphens.
            searched += 1
            if searched > MAX_HITS:
                return
            done = hyphen.start() + _ESCAPED_LENGTH
            text = unescaped(content[max(0, hyphen.start() - _ESCAPED_LENGTH) : done + _ESCAPED_LENGTH])
            if self._registry.prefix in text:
                run = _ESCAPED_RUN.match(content, hyphen.start(), hyphen.start() + 24)
                assert run is not None  # the pattern also matches the empty text
                self._judge(text, text, literal or run.group().decode(), found)

    def _unpack(
        self, content: bytes, literal: str | None, found: dict[tuple[SightingKind, str], ScanHit], depth: int
    ) -> None:
        """Search a file: its packed parts, and texts with two bytes per character."""
        for part in file_decoders.parts(content):
            self._search(part, literal, found, depth - 1)
        for codec, prefix in self._registry.wide:
            for at in places(content, prefix):
                text = content[at : at + 2 * _TOKEN_LENGTH].decode(codec, "replace").encode()
                self._judge(text, text, literal, found)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
