"""The values and other properties of a page's components, as they are now."""

from __future__ import annotations

from typing import Any

from harness.page.blueprint import Component


class ComponentValues:
    """What the components of one page hold.

    Args:
        storage: the local storage of the browser, for `gr.BrowserState`; it outlives the page.
    """

    __slots__ = ("_changed", "_storage")

    def __init__(self, storage: dict[str, Any]) -> None:
        self._storage = storage
        # Only properties that differ from the blueprint: thousands of idle pages share the rest.
        self._changed: dict[int, dict[str, Any]] = {}

    def prop(self, component: Component, name: str) -> Any:
        """A property of a component, as it is now."""
        own = self._changed.get(component.id)
        if own is not None and name in own:
            return own[name]
        if name != "value":
            return component.props.get(name)
        if component.type == "browserstate":
            stored = self._storage.get(component.props.get("storage_key", ""))
            # The app may draw a new secret at each start; a value encrypted with another secret cannot be read.
            if stored is not None and stored[0] == component.props.get("secret"):
                return stored[1]
            return component.props.get("default_value")
        return component.initial_value

    def all_props(self, component: Component) -> dict[str, Any]:
        """All properties of a component, its value included."""
        return {
            **component.props,
            **self._changed.get(component.id, {}),
            "value": self.prop(component, "value"),
        }

    def store(self, component: Component, value: Any) -> bool:
        """Give a component a value; whether that changes it."""
        if value is None and component.type == "textbox":
            value = ""  # an empty text field holds an empty text
        if self.prop(component, "value") == value:
            return False
        self._changed.setdefault(component.id, {})["value"] = value
        if component.type == "browserstate" and value not in (None, "", 0, False):
            props = component.props
            self._storage[props.get("storage_key", "")] = (props.get("secret"), value)
        return True

    def update(self, component: Component, update: dict[str, Any]) -> None:
        """Take over the properties of a `gr.update`, except the value."""
        own = self._changed.setdefault(component.id, {})
        for name, value in update.items():
            if name not in ("__type__", "value"):
                own[name] = value

    def forget(self, component: int) -> None:
        """Forget a component that `gr.render` has removed."""
        self._changed.pop(component, None)
