"""Changes settings of Gradio from outside, where the app sets none, so that their gain can be measured.

The harness passes them in one environment variable, as a JSON object. The app does not see it.
"""

from __future__ import annotations

import functools
import inspect
import json
import types
from collections.abc import Callable, Mapping, MutableMapping

VARIABLE = "GRADSOAK_SETTINGS"
# Setting → module and class whose constructor has it as a parameter.
_CONSTRUCTORS = {
    "time_to_live": ("gradio.components.state", "State"),
    "delete_cache": ("gradio.blocks", "Blocks"),
}
_LAUNCH_ARGUMENTS = ("state_session_capacity",)


class Settings:
    """The settings to change.

    Args:
        wanted: setting → value: `time_to_live` (seconds) of every State and `delete_cache` (frequency and age, seconds) of every
            Blocks that names none, and `state_session_capacity` of every launch.

    Attributes:
        applied: setting → number of objects that got it. A setting unknown to this release of Gradio stays at 0.
    """

    def __init__(self, wanted: Mapping[str, object]) -> None:
        self._wanted = dict(wanted)
        self.applied = dict.fromkeys(self._wanted, 0)

    def callbacks(self) -> dict[str, Callable[[types.ModuleType], None]]:
        """Module name → function to call with the module right after its import."""
        return {
            _CONSTRUCTORS[name][0]: functools.partial(self._wrap, name)
            for name in self._wanted
            if name in _CONSTRUCTORS
        }

    def launch_arguments(self, known: Mapping[str, object]) -> dict[str, object]:
        """The settings that are arguments of `launch`, as far as it knows them."""
        found = {
            name: self._wanted[name] for name in _LAUNCH_ARGUMENTS if name in self._wanted and name in known
        }
        for name in found:
            self.applied[name] += 1
        return found

    def _wrap(self, name: str, module: types.ModuleType) -> None:
        kind = getattr(module, _CONSTRUCTORS[name][1], None)
        original = getattr(kind, "__init__", None)
        if kind is None or original is None:
            return
        signature = inspect.signature(original)
        if name not in signature.parameters:
            return
        value = self._wanted[name]
        given = tuple(value) if isinstance(value, list) else value

        @functools.wraps(original)
        def init(*args: object, **kwargs: object) -> None:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                original(*args, **kwargs)  # which reports the mistake, as without the probe
                return
            if bound.arguments.get(name) is None:
                bound.arguments[name] = given
                self.applied[name] += 1
            original(*bound.args, **bound.kwargs)

        kind.__init__ = init


def take(environment: MutableMapping[str, str]) -> Settings:
    """Read the settings, and remove them from the environment before the app sees them."""
    text = environment.pop(VARIABLE, "")
    try:
        wanted = json.loads(text) if text else {}
    except ValueError:
        wanted = {}
    return Settings(wanted if isinstance(wanted, dict) else {})
