"""Scenarios: find one by name or path, and read its `scenario.toml`."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.profiles import BASES
from harness.records import GUARANTEES

APP = "app.py"
WORKLOAD = "workload.py"
SETTINGS = "scenario.toml"
_VERDICTS = ("pass", "fail", "unknown", "inconclusive")


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The outcome that a scenario declares.

    Attributes:
        verdict: `pass`, `fail`, `unknown` or `inconclusive`.
        kind: kind of anomaly that must be among those found; None for any or none.
    """

    verdict: str = "pass"
    kind: str | None = None

    def met_by(self, verdict: str, kinds: set[str]) -> bool:
        """Whether a run gave this outcome.

        Args:
            verdict: the run's verdict.
            kinds: kinds of anomalies that it found.
        """
        return verdict == self.verdict and (self.kind is None or self.kind in kinds)

    def __str__(self) -> str:
        return self.verdict + (f" ({self.kind})" if self.kind else "")


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str = ""
    description: str = ""
    app: str = APP
    workload: str = WORKLOAD
    params: dict[str, str | int | float] = {}
    expect: Expectation | None = None
    patterns: list[int] = []
    core: bool = False
    restart: bool = False
    guarantees: dict[str, str] = {}
    profile: dict[str, dict[str, Any]] = {}


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """An app, what users do with it, and what must be true.

    Attributes:
        name: name of the folder.
        folder: absolute path of the folder.
        app: path of the app, which may be outside the folder. The file may be missing if the app is not to be started.
        workload: path of the workload, which may belong to another scenario.
        title: title, a few words.
        description: one sentence.
        params: parameters with their defaults; the app gets them as environment variables.
        expect: the declared outcome; None if none is declared.
        patterns: numbers of the patterns of docs/scenarios.md that it shows; empty for a planted fault.
        core: whether it belongs to the core suite, which `gradsoak bench` runs by default.
        restart: whether the app is stopped and started again after the load, and users return.
        guarantees: guarantee → why it does not apply to this app; see `harness.guarantees`.
        profiles: the scenario's own settings, by profile name.
    """

    name: str
    folder: Path
    app: Path
    workload: Path
    title: str
    description: str
    params: dict[str, str]
    expect: Expectation | None
    patterns: list[int] = []
    core: bool = False
    restart: bool = False
    guarantees: dict[str, str] = {}
    profiles: dict[str, dict[str, Any]]


def bundled_folder() -> Path:
    """Folder of the bundled scenarios: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"


def bundled() -> list[Scenario]:
    """All bundled scenarios, sorted by name."""
    return [load(folder) for folder in sorted(bundled_folder().iterdir()) if (folder / APP).is_file()]


def core() -> list[Scenario]:
    """The bundled scenarios of the core suite, sorted by name."""
    return [scenario for scenario in bundled() if scenario.core]


def find(target: str, needs_app: bool = True) -> Scenario:
    """Find a scenario by the name of a bundled one, or by the path of a folder.

    Args:
        target: name or path, as the user gave it.
        needs_app: whether its app will be started; otherwise the folder need not hold one.

    Raises:
        UsageError: there is no such scenario, or it is not valid. The hint names similar ones.
    """
    folder = bundled_folder() / target
    if "/" not in target and (folder / APP).is_file():
        return load(folder)
    path = Path(target).expanduser()
    if path.is_dir():
        return load(path.resolve(), needs_app)
    if path.is_file():
        raise UsageError(
            f"{target} is a file.",
            f"Give the scenario folder: the folder that holds {APP}, {WORKLOAD} and {SETTINGS}.",
        )
    names = [scenario.name for scenario in bundled()]
    near = difflib.get_close_matches(target, names, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Bundled scenarios: {', '.join(names)}."
    raise UsageError(f"There is no scenario {target!r}, neither bundled nor as a folder.", hint)


def load(folder: Path, needs_app: bool = True) -> Scenario:
    """Read a scenario folder.

    Args:
        folder: absolute path.
        needs_app: see `find`.

    Raises:
        UsageError: a file is missing or not valid.
    """
    settings = _read_settings(folder / SETTINGS)
    app = (folder / settings.app).resolve()
    if needs_app and not app.is_file():
        raise UsageError(
            f"{folder} has no {APP}."
            if settings.app == APP
            else f"{folder / SETTINGS} names the app {settings.app}, and {app} does not exist.",
            f"A scenario folder holds {APP}, {WORKLOAD} and {SETTINGS}; see docs/write-a-scenario.md. "
            "If the app is already running, give its address with --url.",
        )
    workload = (folder / settings.workload).resolve()
    if not workload.is_file():
        raise UsageError(
            f"{folder} has no {settings.workload}.",
            "The workload describes what users do; see docs/write-a-scenario.md.",
        )
    if settings.expect is not None and settings.expect.verdict not in _VERDICTS:
        raise UsageError(
            f"{folder / SETTINGS} expects the verdict {settings.expect.verdict!r}.",
            f"Choose one of: {', '.join(_VERDICTS)}.",
        )
    unknown = sorted(set(settings.profile) - set(BASES))
    if unknown:
        raise UsageError(
            f"{folder / SETTINGS} has settings for the profile {unknown[0]!r}, which does not exist.",
            f"Profiles: {', '.join(BASES)}.",
        )
    unknown = sorted(set(settings.guarantees) - set(GUARANTEES))
    if unknown:
        raise UsageError(
            f"{folder / SETTINGS} names the guarantee {unknown[0]!r}, which does not exist.",
            f"Guarantees: {', '.join(GUARANTEES)}.",
        )
    return Scenario(
        name=folder.name,
        folder=folder,
        app=app,
        workload=workload,
        title=settings.title or folder.name,
        description=settings.description,
        params={name: str(value) for name, value in settings.params.items()},
        expect=settings.expect,
        patterns=settings.patterns,
        core=settings.core,
        restart=settings.restart,
        guarantees=settings.guarantees,
        profiles=settings.profile,
    )


def override_params(scenario: Scenario, given: Mapping[str, str]) -> dict[str, str]:
    """The scenario's parameters, with those that the command line gives.

    Raises:
        UsageError: the scenario has no parameter of a name that is given.
    """
    for name in given:
        if name not in scenario.params:
            known = ", ".join(sorted(scenario.params)) or "none"
            raise UsageError(
                f"--param {name}: the scenario {scenario.name} has no parameter of that name.",
                f"It has: {known}.",
            )
    return {**scenario.params, **given}


def _read_settings(path: Path) -> _Settings:
    if not path.is_file():
        return _Settings()
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Settings)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is not valid: {error}.", "See docs/file-formats.md for its settings."
        ) from error
