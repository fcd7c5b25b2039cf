"""Guesses the model of each component from the values it showed in the trial. Pure.

A model is proposed only if all values that the first session saw, alone with a fresh app, follow it. If later values do not,
there are three possible reasons. The state survives a reload: then it is the user's. It contains values of another session: then
it is shared, which is reported as an alarm. Or the model is wrong.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from harness import tokens
from harness.scaffold.gestures import Gesture, PageGestures
from harness.scaffold.method_names import slug_of

ModelName = Literal["list", "register", "answer", "counter"]
EffectName = Literal["append", "write", "ask", "increment", "clear"]
Sharing = Literal["session", "user", "everyone"]
_NUMBER = re.compile(r"-?\d+")


class TrialAct(msgspec.Struct, frozen=True, kw_only=True):
    """One gesture of the trial, or the opening of a page.

    Attributes:
        session: number of the page load, from 1 on.
        person: the user of the page; a reload keeps the person.
        gesture: slug of the gesture; empty for opening the page.
        token: the token that was filled in.
        shown: component → its value afterwards, for the outputs of the gesture; for all components after opening.
        error: why it failed; None if it did not.
    """

    session: int
    person: int
    gesture: str
    token: str
    shown: dict[int, Any]
    error: str | None = None


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A state variable of the proposed workload.

    Attributes:
        name: name in `state`.
        component, read_as: the component that is read, and its name for GradioPage.
        effects: slug of a gesture → its effect on the variable.
        readers: slugs of the gestures after which it is read.
        initial: initial value of a counter.
        sharing: whose state it seems to be.
        seen: the observation, one sentence.
    """

    name: str
    component: int
    read_as: str | int
    model: ModelName
    effects: dict[str, EffectName]
    readers: list[str]
    initial: int = 0
    sharing: Sharing = "session"
    seen: str


class TrialFindings(msgspec.Struct, frozen=True, kw_only=True):
    """The results of the trial.

    Attributes:
        unmodelled: components whose values follow no model, one sentence each.
        alarms: values of another session that a session saw, one sentence each.
        failed: slug → error, for gestures that failed at least once; they are not proposed.
    """

    variables: list[Variable]
    unmodelled: list[str]
    alarms: list[str]
    failed: dict[str, str]


def shown_number(value: Any) -> int | None:
    """The whole number that a component shows; None if it shows none or several."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return int(value) if value == int(value) else None
    found = _NUMBER.findall(value) if isinstance(value, str) else []
    return int(found[0]) if len(found) == 1 else None


def conclude(page: PageGestures, acts: Sequence[TrialAct]) -> TrialFindings:
    """Guess the model of each component that was read.

    Args:
        page: the page with its gestures.
        acts: the acts of the trial, in order. Session 1 was alone until session 2 began.
    """
    failed = {act.gesture: act.error for act in acts if act.error is not None and act.gesture}
    tried = [g for g in page.gestures if g.slug not in failed and any(a.gesture == g.slug for a in acts)]
    variables: list[Variable] = []
    unmodelled: list[str] = []
    alarms: list[str] = []
    taken: set[str] = set()
    for component, read_as in page.names.items():
        label = page.labels[component]
        shown = _ShownByComponent(component=component, gestures=tried, acts=acts)
        fitted = shown.fit()
        if (alarm := shown.alarm(label, fitted)) is not None:
            alarms.append(alarm)
        if fitted is None:
            if shown.changes:
                unmodelled.append(f"{_quoted(label)} changed, but no model of gradsoak fits.")
            continue
        name = slug_of(label) or f"component_{component}"
        while name in taken:
            name += "_2"
        taken.add(name)
        variables.append(
            Variable(
                name=name,
                component=component,
                read_as=read_as,
                model=fitted.model,
                effects=fitted.effects,
                readers=fitted.readers,
                initial=fitted.initial,
                sharing=shown.sharing(fitted),
                seen=f"{_quoted(label)} {_seen(fitted, shown)}",
            )
        )
    return TrialFindings(variables=variables, unmodelled=unmodelled, alarms=alarms, failed=failed)


class _Fit(msgspec.Struct, frozen=True, kw_only=True):
    model: ModelName
    effects: dict[str, EffectName]
    readers: list[str]
    initial: int = 0


class _ShownByComponent(msgspec.Struct, frozen=True, kw_only=True):
    """What one component showed in the trial."""

    component: int
    gestures: Sequence[Gesture]
    acts: Sequence[TrialAct]

    @property
    def readers(self) -> list[str]:
        return [g.slug for g in self.gestures if self.component in g.outputs]

    @property
    def alone(self) -> list[TrialAct]:
        """The acts of session 1 before any other session began."""
        other = next((n for n, act in enumerate(self.acts) if act.session != 1), len(self.acts))
        return [act for act in self.acts[:other] if act.gesture]

    @property
    def changes(self) -> bool:
        values = [
            json.dumps(v, default=str)
            for a in self.acts
            if a.gesture
            for v in [self.value(a)]
            if v is not None
        ]
        return len(set(values)) > 1

    def value(self, act: TrialAct) -> Any:
        return act.shown.get(self.component)

    def reads(self, act: TrialAct) -> bool:
        return act.gesture in self.readers and act.error is None and self.component in act.shown

    # --- models ---

    def fit(self) -> _Fit | None:
        """The first model that fits all acts of the first session while it was alone.

        Later acts may contradict the model only by values of another session.
        """
        candidates = (self._as_list(), self._as_register(), self._as_answer(), self._as_counter())
        for candidate in candidates:
            if candidate is None or not self.follows(candidate, self.alone, lambda act: 0):
                continue
            if self.sharing(candidate) != "everyone" or self.foreign(candidate):
                return candidate
        return None

    def sharing(self, fit: _Fit) -> Sharing:
        """Whose state it seems to be, under a model."""
        acts = [act for act in self.acts if act.gesture]
        if self.follows(fit, acts, lambda act: act.session):
            return "session"
        if self.follows(fit, acts, lambda act: act.person):
            return "user"
        return "everyone"

    def foreign(self, fit: _Fit) -> bool:
        """Whether a session saw values of another person, rather than values that merely contradict the model."""
        if fit.model == "counter":
            acts = [act for act in self.acts if act.gesture]
            return self.follows(fit, acts, lambda act: 0)
        return self.strangers() is not None

    def strangers(self) -> TrialAct | None:
        """The first act that showed a token of another person."""
        owner = {act.token: act.person for act in self.acts if act.token}
        for act in self.acts:
            if any(owner.get(token, act.person) != act.person for token in tokens.all_in(self.value(act))):
                return act
        return None

    def follows(self, fit: _Fit, acts: Sequence[TrialAct], owner: Callable[[TrialAct], int]) -> bool:
        """Whether every read is as the model predicts, if each owner has its own state."""
        state: dict[int, Any] = {}
        for act in acts:
            if act.error is not None:
                continue
            whose = owner(act)
            before = state.get(whose, fit.initial if fit.model == "counter" else [])
            match fit.effects.get(act.gesture):
                case "append":
                    now: Any = [*before, act.token]
                case "write" | "ask":
                    now = [act.token]
                case "increment":
                    now = before + 1
                case "clear":
                    now = fit.initial if fit.model == "counter" else []
                case None:
                    now = before
            state[whose] = now
            if act.gesture not in fit.readers or not self.reads(act):
                continue
            value = self.value(act)
            if (shown_number(value) if fit.model == "counter" else tokens.all_in(value)) != now:
                return False
        return True

    def _writers(self) -> list[str]:
        """Gestures whose token the component showed, at once or later."""
        made = {act.token: act.gesture for act in self.alone if act.token}
        shown = {t for act in self.alone for t in tokens.all_in(self.value(act))}
        return list(dict.fromkeys(made[t] for t in made if t in shown))

    def _clearers(self, writers: Sequence[str]) -> list[str]:
        """Gestures that left no token, although there was one before."""
        found: dict[str, bool] = {}
        before: list[str] = []
        had: set[str] = set()
        for act in self.alone:
            if not self.reads(act):
                continue
            now = tokens.all_in(self.value(act))
            if before:
                had.add(act.gesture)
            found[act.gesture] = found.get(act.gesture, True) and not now
            before = now
        return [g for g, empty in found.items() if empty and g in had and g not in writers]

    def _kept(self, model: ModelName, effect: EffectName) -> _Fit | None:
        writers = self._writers()
        if not writers:
            return None
        effects: dict[str, EffectName] = dict.fromkeys(writers, effect)
        effects |= dict.fromkeys(self._clearers(writers), "clear")
        return _Fit(model=model, effects=effects, readers=self.readers)

    def _as_list(self) -> _Fit | None:
        longest = max((len(tokens.all_in(self.value(act))) for act in self.alone), default=0)
        return self._kept("list", "append") if longest > 1 else None

    def _as_register(self) -> _Fit | None:
        fit = self._kept("register", "write")
        if fit is None:
            return None
        elsewhere = [
            act
            for act in self.alone
            if self.reads(act) and act.gesture not in fit.effects and tokens.all_in(self.value(act))
        ]
        return fit if elsewhere else None

    def _as_answer(self) -> _Fit | None:
        askers = [g for g in self._writers() if g in self.readers]
        if not askers:
            return None
        return _Fit(model="answer", effects=dict.fromkeys(askers, "ask"), readers=askers)

    def _as_counter(self) -> _Fit | None:
        """A counter: some gestures add one each time, some may reset it, all others leave it unchanged."""
        reads = [(act, shown_number(self.value(act))) for act in self.alone if self.reads(act)]
        if len(reads) < 3 or any(number is None for _, number in reads):
            return None
        steps: dict[str, set[int]] = {}
        values: dict[str, set[int]] = {}
        for (_, before), (act, now) in itertools.pairwise(reads):
            assert before is not None
            assert now is not None
            steps.setdefault(act.gesture, set()).add(now - before)
            values.setdefault(act.gesture, set()).add(now)
        growing = [g for g, found in steps.items() if found == {1}]
        if not growing or sum(act.gesture in growing for act, _ in reads) < 3:
            return None
        first, value = reads[0]
        assert value is not None
        initial = value - 1 if first.gesture in growing else value
        effects: dict[str, EffectName] = dict.fromkeys(growing, "increment")
        for gesture, found in steps.items():
            if gesture not in growing and found != {0}:
                if values[gesture] != {initial}:
                    return None
                effects[gesture] = "clear"
        return _Fit(model="counter", effects=effects, readers=self.readers, initial=initial)

    # --- words ---

    def alarm(self, label: str, fit: _Fit | None) -> str | None:
        """A sentence about values of another person that a session saw; None if it saw none."""
        seen = self.strangers()
        if seen is not None:
            when = f"after {seen.gesture}" if seen.gesture else "as soon as its page was open"
            return f"{_quoted(label)} showed a token of another session in session {seen.session}, {when}."
        if fit is not None and fit.model == "counter" and self.sharing(fit) == "everyone":
            return f"{_quoted(label)} continued the count of another session."
        return None


def _seen(fit: _Fit, shown: _ShownByComponent) -> str:
    growers = " and ".join(g for g, effect in fit.effects.items() if effect != "clear")
    clearers = " and ".join(g for g, effect in fit.effects.items() if effect == "clear")
    after = f"; {clearers} emptied it" if clearers and fit.model != "counter" else ""
    after = f"; {clearers} set it back to {fit.initial}" if clearers and fit.model == "counter" else after
    match fit.model:
        case "list":
            return f"kept every token of {growers}, in order{after}."
        case "register":
            return f"showed the last token of {growers}, also later{after}."
        case "answer":
            return f"showed the token of that very {growers}, and no other."
        case "counter":
            numbers = [
                n for a in shown.alone if shown.reads(a) and (n := shown_number(shown.value(a))) is not None
            ]
            return f"showed {', '.join(map(str, numbers[:3]))} …: one more at each {growers}{after}."


def _quoted(label: str) -> str:
    return f'"{label}"'
