"""The canaries of a run: which tokens and secrets there are, and which session may see which."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.load.encoded_text import DATA_URL, PNG_IN_BASE64, base64_cores, encoded_forms
from harness.records import Effect, Scope, StateVariable

# A shorter text would be found where nobody had put it.
MIN_SECRET_LENGTH = 8
# A workload declares few secrets per session, but there may be thousands of sessions. Of those that a token does not lead
# to, every response is searched for the session's own, and for so many of the others' as they are usually written.
_OTHERS_SECRETS = 16
# Beyond that, whose a token is will be found out from the history.
_MAX_OWNERS = 200_000
# No token is longer, even if every hyphen in it is escaped once.
_JOINT = 200
_MAX_JOINT = 1000


class Secret(NamedTuple):
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
        cores: see `base64_cores`, of the prefix.
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
        self.cores = tuple(base64_cores(self.prefix))
        self.encoded = (*(core for core, _ in self.cores), PNG_IN_BASE64, DATA_URL)
        self.wide = tuple((codec, self.prefix.decode().encode(codec)) for codec in ("utf-16-le", "utf-16-be"))
        self._scopes: dict[str, Scope] = {
            name: variable.scope for name, variable in (state or {}).items() if variable.scope != "session"
        }
        self.public = "everyone" in self._scopes.values()
        # Token → who may see it: a person's name, or empty for everybody.
        self._owners: dict[str, str] = {}
        self._by_token: dict[str, list[Secret]] = {}
        self.loose: deque[Secret] = deque(maxlen=_OTHERS_SECRETS)
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

    def keep(self, text: str) -> Secret | None:
        """Take note of a secret; returns it if no token of the run leads to it.

        Raises:
            ValueError: it is too short to be told from what stands there by chance.
        """
        if len(text) < MIN_SECRET_LENGTH:
            raise ValueError(
                f"a secret of {len(text)} characters may stand anywhere: make it of {MIN_SECRET_LENGTH} or more, best from a token"
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
        """The secrets that a token leads to."""
        return self._by_token.get(token, ())
