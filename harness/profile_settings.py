"""The settings of a profile, as its record declares them: name, option, type, limits, description. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from harness.records import Profile


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of a profile.

    Attributes:
        key: its name in `scenario.toml` and in the manifest, with its unit.
        table: `staircase` for a setting of the memory experiment; otherwise empty.
        type: `int`, `float` or `bool`; `str` for a choice.
        choices: the possible values of a choice; otherwise empty.
        description: what it sets, as a sentence.
        about: `load` or `memory`.
        least: smallest value that a user may ask for; None without one.
        above: value that it must exceed; None without one.
        most: largest value; None without one.
        exception: a value that is allowed although it is beyond these limits; None without one.
    """

    key: str
    table: str
    type: type
    choices: tuple[str, ...]
    description: str
    about: str
    least: float | None
    above: float | None
    most: float | None
    exception: int | None

    @property
    def is_duration(self) -> bool:
        """Whether it is a time in seconds, which users may also write as `2m`."""
        return self.key.endswith("_s")

    @property
    def name(self) -> str:
        """Its key without the unit."""
        return self.key.removesuffix("_s")

    @property
    def option(self) -> str:
        """The command-line option that sets it."""
        return "--" + self.name.replace("_", "-")

    def allows(self, value: Any) -> bool:
        """Whether a user may ask for this value."""
        if self.choices:
            return value in self.choices
        if self.type is bool or isinstance(value, bool):
            return self.type is bool and isinstance(value, bool)
        if not isinstance(value, int if self.type is int else int | float) or not math.isfinite(value):
            return False
        return value == self.exception or (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
        )

    def limits(self) -> str:
        """The limits in words, such as `from 1 to 5,000`, `above 0` or `5 or more, or 0`; empty without limits."""
        end = None if self.most is None else self._figure(self.most)
        if self.above is not None:
            words = f"above {self._figure(self.above)}" + (f", at most {end}" if end else "")
        elif self.least is not None:
            words = (
                f"from {self._figure(self.least)} to {end}" if end else f"{self._figure(self.least)} or more"
            )
        else:
            return ""
        return words if self.exception is None else f"{words}, or {self.exception}"

    def wanted(self) -> str:
        """What a user may give, such as `a whole number: from 1 to 5,000`."""
        if self.choices:
            return " or ".join(self.choices)
        if self.type is bool:
            return "true or false"
        noun = "a duration" if self.is_duration else "a whole number" if self.type is int else "a number"
        return f"{noun}: {self.limits()}" if self.limits() else noun

    def _figure(self, value: float) -> str:
        return f"{value / 3600:g}h" if self.is_duration and value >= 3600 else f"{value:,g}"


def _declared(record: type[msgspec.Struct], table: str = "", about: str = "load") -> Iterator[Setting]:
    for key, hint in get_type_hints(record, include_extras=True).items():
        # An optional setting is `Annotated[…] | None`.
        annotated = hint if get_origin(hint) is Annotated else get_args(hint)[0]
        kind, meta = get_args(annotated)
        extra = meta.extra or {}
        about_this = extra.get("about", about)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from _declared(kind, key, about_this)
            continue
        limits = [meta, extra.get("asked", msgspec.Meta())]
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        yield Setting(
            key=key,
            table=table,
            type=str if choices else kind,
            choices=choices,
            description=meta.description,
            about=about_this,
            least=max((limit.ge for limit in limits if limit.ge is not None), default=None),
            above=max((limit.gt for limit in limits if limit.gt is not None), default=None),
            most=min((limit.le for limit in limits if limit.le is not None), default=None),
            exception=extra.get("or"),
        )


# Every setting by its key, but the profile's own name. Keys of the memory experiment differ from those of the profile itself.
SETTINGS: dict[str, Setting] = {
    setting.key: setting for setting in _declared(Profile) if setting.key != "name"
}
