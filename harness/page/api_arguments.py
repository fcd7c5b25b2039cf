"""Which endpoints an app has, and which arguments they take: for calls as an API client makes them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from gradio_client.client import Endpoint
from gradio_client.utils import construct_args

from harness.page.page_errors import PageMisuse


def find_endpoint(endpoints: Mapping[str, Endpoint], api_name: str) -> Endpoint:
    """The endpoint of that name.

    Args:
        endpoints: those of the app, by name.

    Raises:
        PageMisuse: there is none; the hint lists those that the app has.
    """
    endpoint = endpoints.get(api_name)
    if endpoint is None:
        names = sorted(endpoints)
        near = difflib.get_close_matches(api_name, names, n=3, cutoff=0.5)
        offered = [_signature(endpoints[name]) for name in sorted(names, key=lambda n: n not in near)]
        raise PageMisuse(
            f"The app has no endpoint {api_name!r}.",
            (f"Did you mean {' or '.join(near)}? " if near else "")
            + f"It has {', '.join(offered) or 'none'}.",
        )
    return endpoint


def complete_arguments(endpoint: Endpoint, args: Sequence[Any]) -> Sequence[Any]:
    """The arguments of a call with defaults filled in, without State.

    Raises:
        PageMisuse: the endpoint takes other arguments.
    """
    info = endpoint.parameters_info
    if info is None:  # a private endpoint: the app does not describe it
        wanted = [f"input {n}" for n, kind in enumerate(endpoint.input_component_types) if not kind.is_state]
    else:
        wanted = [_parameter(n, parameter) for n, parameter in enumerate(info)]
    try:
        if len(args) == len(wanted):
            return args  # the same as from construct_args, in a tenth of the time
        if info is None or len(args) > len(wanted):
            raise ValueError(f"{len(args)} arguments")  # construct_args accepts too many
        completed: Sequence[Any] = construct_args(info, tuple(args), {})
        return completed
    except (TypeError, ValueError) as error:
        listed = f" ({', '.join(wanted)})" if wanted else ""
        raise PageMisuse(
            f"{endpoint.api_name} takes {_counted(len(wanted))}{listed}, {len(args)} were given.",
            "State is not an argument: the server holds it.",
        ) from error


def component_type(endpoint: Endpoint, place: int) -> str:
    """Type of the component that an argument belongs to, in lower case; empty if the app does not say."""
    info = endpoint.parameters_info
    parameter = info[place] if info is not None and place < len(info) else {}
    return str(parameter.get("component") or "").lower()


def _counted(number: int) -> str:
    return "1 argument" if number == 1 else f"{number or 'no'} arguments"


def _signature(endpoint: Endpoint) -> str:
    """An endpoint as a workload calls it, `/click(label, n=…)`; a private one, which the app does not describe, by its name."""
    if endpoint.parameters_info is None:
        return str(endpoint.api_name)
    names = [
        f"{_parameter(n, parameter)}{'=…' if parameter.get('parameter_has_default') else ''}"
        for n, parameter in enumerate(endpoint.parameters_info)
    ]
    return f"{endpoint.api_name}({', '.join(names)})"


def _parameter(number: int, info: Mapping[str, Any]) -> str:
    """Name of a parameter. Gradio before 4.22 sends no names."""
    return str(info.get("parameter_name") or f"input {number}")
