"""The canaries of a run: its tokens and secrets, and which session may see which."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.load.encoded_text import DATA_URL, PNG_IN_BASE64, base64_cores, encoded_forms
from harness.records import Effect, Scope, StateVariable

# A shorter text would occur by chance.
MIN_SECRET_LENGTH = 8
# A workload declares few secrets per session, but there may be thousands of sessions. A secret without a token cannot be
# found through its token. Every response is searched for all such secrets of its own session, and for this many of other
# sessions in their usual form.
_OTHERS_SECRETS = 16
# For tokens beyond this number, the checker finds the writer in the history.
_MAX_OWNERS = 200_000
# No token is longer, even if every hyphen in it is escaped once.
_JOINT = 200
_MAX_JOINT = 1000


class Secret(NamedTuple):
    """A text that only the server's State may contain.

    Attributes:
        forms: how it may look in a response: as it is, escaped, in base64.
        plain: how it usually looks.
    """

    text: str
    forms: tuple[bytes, ...]
    plain: bytes


class CanaryRegistry:
    """The tokens and secrets of one worker's sessions.

    Args:
        run_tag: the part of every token that names the run.
        state: the variables of the workload. Other sessions may see values of a variable that is not the session's own.
        shared: names of components that may show tokens of any session.

    Attributes:
        public: whether a variable has the scope `everyone`.
        prefix: the beginning of all tokens of the run.
        token: pattern of a token.
        cores: `base64_cores` of the prefix.
        encoded: bytes that occur in base64 with a token in it, or with a file that may contain one.
        wide: codecs with two bytes per character, each with the prefix in that encoding.
        loose: the latest secrets without a token in them.
        has_secrets: whether any secret was declared.
        longest: length of the longest text that is searched for, in characters.
    """

    def __init__(
        self, run_tag: str, state: Mapping[str, StateVariable] | None = None, shared: Sequence[str] = ()
    ) -> None:
        self.run_tag = run_tag
        self.shared = frozenset(shared)
        self.prefix = f"t-{run_tag}-".encode()
        self.token = re.compile(re.escape(self.prefix) + rb"\d+-\d+-\d+-[0-9a-f]{4}")
        self.cores = tuple(base64_cores(self.prefix))
        self.encoded = (*(core for core, _ in self.cores), PNG_IN_BASE64, DATA_URL)
        self.wide = tuple((codec, self.prefix.decode().encode(codec)) for codec in ("utf-16-le", "utf-16-be"))
        self._scopes: dict[str, Scope] = {
            name: variable.scope for name, variable in (state or {}).items() if variable.scope != "session"
        }
        self.public = "everyone" in self._scopes.values()
        # Token → the name of the user that may see it, or empty for all users.
        self._owners: dict[str, str] = {}
        self._by_token: dict[str, list[Secret]] = {}
        self.loose: deque[Secret] = deque(maxlen=_OTHERS_SECRETS)
        self.has_secrets = False
        self.longest = _JOINT

    def worker_prefix(self, worker: int) -> str:
        """The beginning of all tokens of a worker."""
        return f"t-{self.run_tag}-{worker}-"

    def wrote(self, user: str, effects: Mapping[str, Effect]) -> None:
        """Note the tokens that are about to be written where other sessions may see them."""
        if not self._scopes:
            return
        for name, effect in effects.items():
            scope = self._scopes.get(name)
            if scope is None or len(self._owners) >= _MAX_OWNERS:
                continue
            for token in self.token.findall(msgspec.json.encode(effect.value)):
                self._owners[token.decode()] = "" if scope == "everyone" else user

    def may_see(self, user: str, token: str) -> bool:
        """Whether a token was written to a variable that this user shares with its writer."""
        return self._owners.get(token) in ("", user)

    def keep(self, text: str) -> Secret | None:
        """Register a secret.

        Returns:
            The secret if it contains no token of the run; otherwise None.

        Raises:
            ValueError: it is so short that it may occur by chance.
        """
        if len(text) < MIN_SECRET_LENGTH:
            raise ValueError(
                f"a secret of {len(text)} characters may occur by chance: use {MIN_SECRET_LENGTH} or more, best with a token in it"
            )
        forms = tuple(dict.fromkeys(encoded_forms(text)))
        self.has_secrets = True
        secret = Secret(text, forms, json.dumps(text, ensure_ascii=False)[1:-1].encode())
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

    def secrets_with(self, token: str) -> Sequence[Secret]:
        """The secrets that contain a token."""
        return self._by_token.get(token, ())
