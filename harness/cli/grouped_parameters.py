"""Groups of command-line options: declared once, taken by every verb that names the group as a parameter."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, Self, get_type_hints


class OptionGroup:
    """Options that verbs take together. A subclass is a frozen dataclass with one field for each option."""

    @classmethod
    def parameters(cls) -> list[Parameter]:
        """The options, as parameters of a function that typer understands."""
        hints = get_type_hints(cls, include_extras=True)
        return [
            Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
            for field in dataclasses.fields(cls)  # type: ignore[arg-type]  # each subclass is a dataclass
        ]

    @classmethod
    def collect(cls, values: Mapping[str, Any]) -> Self:
        """The group with the values that the command line gives."""
        return cls(**values)


def takes_groups(verb: Callable[..., None]) -> Callable[..., None]:
    """Turn a verb into a command for typer.

    Args:
        verb: a function; each parameter of a type `OptionGroup` stands for all options of that group.

    Returns:
        A function with one parameter for each option, which calls the verb. An option that a call leaves out has its default.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, type[OptionGroup]] = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, OptionGroup)
    }
    parameters: list[Parameter] = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.name in groups:
            parameters += groups[parameter.name].parameters()
        else:
            parameters.append(
                parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
            )

    @functools.wraps(verb)
    def command(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group.collect(
                {option.name: given.pop(option.name, option.default) for option in group.parameters()}
            )
        verb(**given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
