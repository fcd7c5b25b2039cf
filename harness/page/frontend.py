"""The front end of a Gradio app without rendering: component values, events, and the events that follow.

Modelled on Gradio's own page (`js/core/src/dependency.ts` and `init.svelte.ts` of Gradio 6): the page holds the values,
sends them with each event, applies the results, and triggers the listeners of everything that changes. `tests/browser/`
drives the same apps with this module and with a real browser, and compares the calls that the server received.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gevent
import msgspec

from harness.page.activity import Activity, Step, Toast
from harness.page.blueprint import Blueprint, Component, Dependency
from harness.page.component_values import ComponentValues
from harness.page.event_queue import Event, EventQueue, Invalid, News
from harness.page.files import MARKS as FILE_MARKS
from harness.page.files import addresses
from harness.page.page_errors import HIDDEN_ERROR, OperationFailed, OperationUnknown
from harness.page.response_watcher import ResponseScanner, state_held
from harness.page.transport import Transport

# Components whose `change` event Gradio's page triggers as soon as they exist.
_CHANGE_WHEN_MOUNTED = frozenset({"browserstate", "chatbot"})
# Components whose `input` comes before their `change` when a user sets them; for the others it comes after.
_INPUT_FIRST = frozenset({"checkbox", "checkboxgroup"})


class _DependencyRun(msgspec.Struct, eq=False):
    """A running dependency.

    Attributes:
        target: component that triggered it; followers inherit it.
    """

    dependency: Dependency
    activity: Activity
    step: Step
    target: int | None
    event_data: Any


class Frontend:
    """The front end of one page.

    Args:
        blueprint: components and dependencies of the page.
        queue: receives its events.
        transport: for requests that do not go through the queue.
        prefix: of the app's API, `gradio_api/` or empty.
        session_hash: Gradio's name for the session.
        storage: the browser's local storage, for `gr.BrowserState`; it outlives the page.
        notice: called with each thing that this page cannot do.
        scanner: scans the results.
        show: fetches the files that a timer's events let the page show.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        queue: EventQueue,
        transport: Transport,
        *,
        prefix: str,
        session_hash: str,
        storage: dict[str, Any],
        notice: Callable[[str], None],
        scanner: ResponseScanner,
        show: Callable[[Activity], None],
    ) -> None:
        self._show = show
        self.blueprint = scanner.blueprint = blueprint
        self._scanner = scanner
        self._queue = queue
        self._transport = transport
        self._prefix = prefix
        self._session_hash = session_hash
        self._notice = notice
        self._values = ComponentValues(storage)
        self._running: dict[int, _DependencyRun] = {}
        self._events: dict[int, Event] = {}
        self._deferred: dict[int, _DependencyRun] = {}
        self._timers: dict[int, gevent.Greenlet] = {}

    # --- values ---

    def prop(self, component: Component, name: str) -> Any:
        """A property of a component, as it is now."""
        return self._values.prop(component, name)

    def visible(self, component: Component) -> bool:
        """Whether a user can see it: the component and every container around it is visible."""
        return all(
            self._values.prop(c, "visible") not in (False, "hidden")
            for c in (component, *self.blueprint.ancestors(component.id))
        )

    def put(self, component: Component, value: Any, activity: Activity) -> bool:
        """Give a component a value. If that changes it, trigger its `change` event, and return true."""
        changed = self._store(component, value)
        if changed:
            self.dispatch(component.id, "change", activity)
        return changed

    def enter(self, component: Component, value: Any, activity: Activity) -> None:
        """Give a component a value as a user does."""
        changed = self._store(component, value)
        events = ["change"] if changed else []
        for event in ["input", *events] if component.type in _INPUT_FIRST else [*events, "input"]:
            self.dispatch(component.id, event, activity)

    def choose(self, component: Component, value: Any, data: dict[str, Any], activity: Activity) -> None:
        """Choose one of a component's choices as a user does.

        Args:
            value: the new value of the component.
            data: the content of `gr.SelectData`.
        """

        def trigger(*events: str) -> None:
            for event in events:
                self.dispatch(component.id, event, activity, data if event == "select" else None)

        # The order of events is that of Gradio's page; it depends on the code of each component.
        if component.type == "checkboxgroup":
            trigger("select")
            self.enter(component, value, activity)
        elif component.type == "dropdown":
            changed = self._store(component, value)
            trigger("select", "input")
            if not isinstance(value, list):
                trigger("blur", "input")  # a single choice closes the list
            if changed:
                trigger("change")
        else:
            data.pop("selected", None)
            self.enter(component, value, activity)
            trigger("select")

    def _store(self, component: Component, value: Any) -> bool:
        changed = self._values.store(component, value)
        if changed and component.type == "timer":
            self._restart_timer(component)
        return changed

    def _update(self, component: Component, update: dict[str, Any], activity: Activity) -> None:
        self._values.update(component, update)
        if "value" in update:
            self.put(component, update["value"], activity)
        elif component.type == "timer":
            self._restart_timer(component)

    # --- events ---

    def load(self, activity: Activity) -> None:
        """Trigger what an app does when its page has been loaded."""
        self._mount(self.blueprint.components.values(), activity)
        for dependency, target in self.blueprint.loading():
            self._start(dependency, target, None, activity)

    def _mount(self, components: Iterable[Component], activity: Activity) -> None:
        for component in components:
            if component.type == "timer":
                self._restart_timer(component)
            elif component.type in _CHANGE_WHEN_MOUNTED:
                self.dispatch(component.id, "change", activity)

    def dispatch(self, component: int, event: str, activity: Activity, event_data: Any = None) -> None:
        """Trigger the listeners of an event of a component."""
        for dependency in self.blueprint.listeners(component, event):
            self._start(dependency, component, event_data, activity)

    def settle(self, activity: Activity, timeout_s: float) -> None:
        """Wait until everything that an activity has set off has ended, followers included.

        Raises:
            OperationUnknown: it has not ended in time, or the outcome of an event is unknown.
        """
        if activity.open == 0:
            return
        timeout = gevent.Timeout.start_new(timeout_s)
        try:
            while activity.open:
                self._queue.wait(activity.inbox, lambda: activity.open == 0)
                while activity.inbox.news:
                    self._take(activity.inbox.news.popleft())
        except gevent.Timeout as late:
            if late is not timeout:
                raise
            names = sorted({step.name for step in activity.steps if step.outcome == "running"})
            raise OperationUnknown(
                "timeout", f"{', '.join(names)}: no result within {timeout_s:g} s"
            ) from None
        finally:
            timeout.close()
            if activity.open:
                self._abandon(activity)

    def _abandon(self, activity: Activity) -> None:
        """Forget an activity: its deferred events must not begin any more."""
        self._queue.abandon(lambda event: event.inbox is activity.inbox)
        self._deferred = {n: run for n, run in self._deferred.items() if run.activity is not activity}
        for run in [run for run in self._running.values() if run.activity is activity]:
            self._end(run)

    def close(self) -> None:
        """Stop the timers."""
        for timer in self._timers.values():
            timer.kill(block=False)
        self._timers.clear()

    # --- one dependency ---

    def _start(self, dependency: Dependency, target: int | None, event_data: Any, activity: Activity) -> None:
        for cancelled in dependency.cancels:
            self._cancel(cancelled, activity)
        run = _DependencyRun(dependency, activity, Step(name=dependency.name), target, event_data)
        if dependency.id in self._running and dependency.trigger_mode != "multiple":
            if dependency.trigger_mode == "once":
                activity.skipped += 1
            else:
                before = self._deferred.pop(dependency.id, None)
                if before is not None:
                    before.activity.open -= 1
                    before.activity.skipped += 1
                    before.activity.inbox.wake()
                self._deferred[dependency.id] = run
                activity.open += 1
            return
        if dependency.streaming:
            self._notice(
                f"{dependency.name} streams from a camera or microphone, which a simulated page has not"
            )
            return
        if dependency.js_source is not None:
            self._notice(
                f"{dependency.name} runs JavaScript in the page, which a simulated page cannot: {_short(dependency.js_source)}"
            )
            if not dependency.backend:
                return
        data = [self._input(place, id_, dependency) for place, id_ in enumerate(dependency.inputs)]
        if dependency.js is not None:
            data = dependency.js(data)
        activity.steps.append(run.step)
        if dependency.backend:
            self._send(run, data)
        else:
            if dependency.js is not None:
                self._apply(dependency, data, activity, files=False)
            run.step.outcome = "completed"
            activity.completed_ns = time.monotonic_ns()
            followers = self.blueprint.followers(dependency.id)
            self._follow([*followers.success, *followers.always], run.target, activity)

    def _input(self, place: int, id_: int, dependency: Dependency) -> Any:
        component = self.blueprint.components.get(id_)
        if component is None or component.type == "state":
            return None  # the server has the value
        if place in dependency.props_of:
            return self._values.all_props(component)
        return self._values.prop(component, "value")

    def _send(self, run: _DependencyRun, data: Sequence[Any]) -> None:
        dependency, activity = run.dependency, run.activity
        body = {
            "data": data,
            "event_data": run.event_data,
            "fn_index": dependency.id,
            "trigger_id": run.target,
            "session_hash": self._session_hash,
        }
        self._running[dependency.id] = run
        activity.open += 1
        try:
            if dependency.queued:
                event = self._queue.join(body, activity.inbox, run)
                run.step.event_id = event.id
                self._events[id(run)] = event
            else:
                self._send_at_once(run, body)
        except OperationFailed as failure:
            self._failed(run, failure, followed=not isinstance(failure.__cause__, Invalid))
        except BaseException:
            self._end(run)
            raise

    def _send_at_once(self, run: _DependencyRun, body: dict[str, Any]) -> None:
        """Send an event with `queue=False`: the answer to the request is its result."""
        status, answer = self._transport.post(f"{self._prefix}run/predict", body, scan=False)
        self._scanner.answer(run.dependency.id, answer)
        run.activity.accepted_ns = run.activity.accepted_ns or time.monotonic_ns()
        run.activity.completed_ns = time.monotonic_ns()
        if status == 200:
            try:
                output = msgspec.json.decode(answer, type=dict[str, Any])
            except msgspec.DecodeError as garbled:
                raise OperationUnknown("protocol", f"{run.step.name}: run/predict: {garbled}") from garbled
            output.pop("changed_state_ids", None)  # Gradio's page ignores them here
            self._scanner.outputs(run.dependency.id, output.get("data") or (), "the answer")
            self._completed(run, output, files=any(mark in answer for mark in FILE_MARKS))
            return
        text = answer.decode("utf-8", "replace")[:300]
        if status == 500:
            try:
                error = msgspec.json.decode(answer).get("error")
            except (msgspec.DecodeError, AttributeError):
                error = text
            self._failed(run, _app_error(run, error))
        elif status < 500:
            self._failed(
                run, OperationFailed("rejected", f"{run.step.name}: run/predict answered {status}: {text}")
            )
        else:
            raise OperationUnknown("protocol", f"{run.step.name}: run/predict answered {status}: {text}")

    def _take(self, news: News) -> None:
        event, run = news.event, news.event.context
        if event.cancelled:
            return
        if news.kind == "log":
            message = news.output
            run.activity.toasts.append(
                Toast(
                    level=str(message.get("level")),
                    title=str(message.get("title") or ""),
                    text=str(message.get("log") or ""),
                )
            )
        elif news.kind == "partial":
            data = news.output.get("data") or []
            run.step.partials.append(data)
            self._apply(run.dependency, data, run.activity, files=event.files)
            self._state_changed(news.output, run.activity)
        else:
            run.activity.time(event)
            if news.kind == "completed":
                self._completed(run, news.output, files=event.files)
            elif news.kind == "failed":
                self._failed(run, _app_error(run, news.output))
            else:
                self._end(run)
                raise news.output

    def _completed(self, run: _DependencyRun, output: dict[str, Any], *, files: bool) -> None:
        activity = run.activity
        data = output.get("data")
        if data is not None:
            run.step.outputs = data
            self._apply(run.dependency, data, activity, files=files)
        run.step.outcome = "completed"
        followers = self.blueprint.followers(run.dependency.id)
        if (render := output.get("render_config")) is not None:
            self._render(render, activity)
        else:
            self._follow(followers.success, run.target, activity)
            self._state_changed(output, activity)
        self._follow(followers.always, run.target, activity)
        self._end(run)

    def _failed(self, run: _DependencyRun, failure: OperationFailed, *, followed: bool = True) -> None:
        run.step.outcome = "failed"
        run.step.error = str(failure)
        run.activity.failures.append(failure)
        run.activity.completed_ns = run.activity.completed_ns or time.monotonic_ns()
        if followed:
            followers = self.blueprint.followers(run.dependency.id)
            self._follow(followers.failure, run.target, run.activity)
            if self.blueprint.then_after_failure:
                self._follow(followers.always, run.target, run.activity)
        self._end(run)

    def _end(self, run: _DependencyRun) -> None:
        """End a run with any outcome, and begin the event that was deferred until then."""
        self._events.pop(id(run), None)
        run.activity.open -= 1
        if self._running.get(run.dependency.id) is run:
            del self._running[run.dependency.id]
            deferred = self._deferred.pop(run.dependency.id, None)
            if deferred is not None:
                deferred.activity.open -= 1
                self._start(deferred.dependency, deferred.target, deferred.event_data, deferred.activity)
                if deferred.activity is not run.activity:
                    deferred.activity.inbox.wake()

    def _cancel(self, number: int, activity: Activity) -> None:
        run = self._running.get(number)
        if run is None:
            return
        event = self._events.get(id(run))
        if event is not None:
            event.cancelled = True
            body = {"event_id": event.id, "session_hash": self._session_hash, "fn_index": number}
            try:
                self._transport.post(f"{self._prefix}cancel", body)
                self._transport.post(f"{self._prefix}reset", {"event_id": event.id})
            finally:
                event.completed_ns = time.monotonic_ns()
                run.activity.time(event)
                self._cancelled(run)
        else:
            self._cancelled(run)
        followers = self.blueprint.followers(number)
        self._follow([*followers.failure, *followers.always], number, activity)

    def _cancelled(self, run: _DependencyRun) -> None:
        run.step.outcome = "cancelled"
        self._end(run)
        run.activity.inbox.wake()

    def _follow(self, numbers: Sequence[int], target: int | None, activity: Activity) -> None:
        for number in numbers:
            dependency = self.blueprint.dependencies.get(number)
            if dependency is not None:
                self._start(dependency, target, None, activity)

    # --- results ---

    def _apply(self, dependency: Dependency, data: Sequence[Any], activity: Activity, *, files: bool) -> None:
        """Apply the outputs of a dependency to its components.

        Args:
            dependency: the dependency.
            data: its outputs.
            activity: the action that it belongs to.
            files: whether the outputs may contain files.
        """
        for id_, value in zip(dependency.outputs, data, strict=False):
            component = self.blueprint.components.get(id_)
            if component is None or component.type == "state":
                continue
            if files:
                for address in addresses(value, component.type, self._prefix):
                    components = activity.files.setdefault(address, [])
                    if component not in components:
                        components.append(component)
            if isinstance(value, dict) and value.get("__type__") == "update":
                if "value" in value:
                    activity.received[id_] = value["value"]
                self._update(component, value, activity)
            else:
                activity.received[id_] = value
                self.put(component, value, activity)

    def _state_changed(self, output: dict[str, Any], activity: Activity) -> None:
        for id_ in output.get("changed_state_ids") or ():
            self.dispatch(id_, "change", activity)

    def _render(self, render: dict[str, Any], activity: Activity) -> None:
        before = self.blueprint
        self.blueprint = self._scanner.blueprint = before.rendered(render)
        self._scanner.components(state_held(render["components"]), "what gr.render made")
        for gone in before.components.keys() - self.blueprint.components.keys():
            self._values.forget(gone)
            timer = self._timers.pop(gone, None)
            if timer is not None:
                timer.kill(block=False)
        new = {raw["id"] for raw in render["dependencies"]}
        self._mount(
            [c for id_, c in self.blueprint.components.items() if id_ not in before.components], activity
        )
        for dependency, target in self.blueprint.loading():
            if dependency.id in new:
                self._start(dependency, target, None, activity)

    # --- timers ---

    def _restart_timer(self, component: Component) -> None:
        before = self._timers.pop(component.id, None)
        if before is not None and before is not gevent.getcurrent():
            before.kill(block=False)
        if self.prop(component, "active") and self.blueprint.listeners(component.id, "tick"):
            self._timers[component.id] = gevent.spawn(self._tick, component)

    def _tick(self, component: Component) -> None:
        """Trigger a `gr.Timer`'s `tick`, independent of the user's actions. A failure is a notice, and ends the timer."""
        timer = gevent.getcurrent()
        while True:
            interval_s = float(self.prop(component, "value") or 1.0)
            gevent.sleep(interval_s)
            activity = Activity()
            try:
                self.dispatch(component.id, "tick", activity)
                self.settle(activity, max(60.0, interval_s))
                self._show(activity)
            except (OperationFailed, OperationUnknown) as error:
                self._notice(f"the timer {component} had an error: {error}")
                return
            if self._timers.get(component.id) is not timer:
                return


def _app_error(run: _DependencyRun, error: str | None) -> OperationFailed:
    return OperationFailed("app", f"{run.step.name}: {error or HIDDEN_ERROR}")


def _short(source: str) -> str:
    line = " ".join(source.split())
    return line if len(line) <= 80 else line[:77] + "…"
