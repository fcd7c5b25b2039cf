"""The options of all verbs, each declared once, in groups."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, Self

import typer

from harness import profiles
from harness.cli.grouped_parameters import OptionGroup
from harness.errors import UsageError
from harness.profile_settings import SETTINGS, Setting
from harness.profiles import BASES
from harness.records import Driver, Profile
from harness.scenario import Scenario

# Panels of `--help`.
_SETTINGS_PANELS = {
    "load": "Load (settings of the profile)",
    "memory": "Memory (settings of the profile)",
}
_MEMORY = "Memory, in runs of their own"
_APP = "The app"
_RUNNING_APP = "An app that is running already"
_CLUSTER = "Many cores, many machines"

READY_TIMEOUT_S = 60.0

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Folder to write to. Default: a new one below ./reports.", show_default=False),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Seed of everything random in the load. Default: a new one, recorded."),
]
DriverName = Annotated[
    str,
    typer.Option(
        "--driver",
        metavar="page|stock",
        help="What drives a session: page (a browser's page) or stock (gradio_client's own Client, for comparison).",
    ),
]


def driver(name: str) -> Driver:
    """The driver of that name.

    Raises:
        UsageError: there is none.
    """
    if name == "page":
        return "page"
    if name == "stock":
        return "stock"
    raise UsageError(f"There is no driver {name!r}.", "Give --driver page or --driver stock.")


@dataclass(frozen=True, kw_only=True)
class ProfileOptions(OptionGroup):
    """`--profile`, and an option for each setting of a profile, of the same name; made from `SETTINGS`.

    Attributes:
        name: name of the profile.
        overrides: settings that the command line changes, as `profiles.resolve` takes them.
    """

    name: str
    overrides: Mapping[str, Any]

    @classmethod
    def parameters(cls) -> list[Parameter]:
        """`--profile`, and the options of the settings."""
        choice = Annotated[
            str,
            typer.Option(
                "--profile",
                help="How much load, for how long: quick or full; staircase for memory, soak for slow leaks. "
                "Options change its settings; a DURATION is 90, 90s or 1m30s.",
                metavar="|".join(BASES),
            ),
        ]
        profile = Parameter("profile", Parameter.KEYWORD_ONLY, default="quick", annotation=choice)
        return [profile, *map(_of_setting, SETTINGS.values())]

    @classmethod
    def collect(cls, values: Mapping[str, Any]) -> Self:
        """The profile's name, and those settings that were given."""
        overrides: dict[str, Any] = {}
        for setting in SETTINGS.values():
            if (value := values[setting.name]) is not None:
                table = overrides.setdefault(setting.table, {}) if setting.table else overrides
                table[setting.key] = value
        return cls(name=values["profile"], overrides=overrides)

    def resolve(self, scenario: Scenario) -> Profile:
        """The profile under which a scenario runs.

        Raises:
            UsageError: see `profiles.resolve`.
        """
        return profiles.resolve(self.name, scenario.profiles, self.overrides)


def _of_setting(setting: Setting) -> Parameter:
    # A duration is a text, since it may be given as `2m`.
    kind: Any = str if setting.is_duration else setting.type
    limits = setting.limits()
    metavar = "|".join(setting.choices) or ("DURATION" if setting.is_duration else None)
    option = typer.Option(
        f"{setting.option}/--no-{setting.option[2:]}" if setting.type is bool else setting.option,
        help=setting.description + (f" {limits[0].upper()}{limits[1:]}." if limits else ""),
        metavar=metavar,
        rich_help_panel=_SETTINGS_PANELS[setting.about],
    )
    return Parameter(
        setting.name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


@dataclass(frozen=True, kw_only=True)
class LaunchOptions(OptionGroup):
    """How an app is started."""

    python: Annotated[
        str | None,
        typer.Option(
            "--python", help="Interpreter that runs the app. Default: the current one.", rich_help_panel=_APP
        ),
    ] = None
    ready_timeout: Annotated[
        str | None,
        typer.Option(
            "--ready-timeout",
            metavar="DURATION",
            help=f"Longest wait for the app's first answer. Default: {READY_TIMEOUT_S:g}s; with --url, no wait.",
            rich_help_panel=_APP,
        ),
    ] = None

    def ready_timeout_s(self, default: float = READY_TIMEOUT_S) -> float:
        """Longest wait for the app's first answer, seconds.

        Raises:
            UsageError: what was given is not a duration.
        """
        if self.ready_timeout is None:
            return default
        return profiles.parse_duration(self.ready_timeout, "--ready-timeout")


@dataclass(frozen=True, kw_only=True)
class AppOptions(OptionGroup):
    """What an app is given: parameters in its environment, and logins."""

    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            metavar="NAME=VALUE",
            help="Set a parameter of the app: a variable in its environment. May be repeated.",
            rich_help_panel=_APP,
        ),
    ] = None
    auth: Annotated[
        list[str] | None,
        typer.Option(
            "--auth",
            metavar="USER:PASSWORD|@FILE",
            help="Login for an app that asks for one; @FILE holds one per line. May be repeated: sessions use them in turn. "
            "Default: the environment variable GRADSOAK_AUTH.",
            rich_help_panel=_APP,
        ),
    ] = None

    def params(self) -> dict[str, str]:
        """Parameter → value.

        Raises:
            UsageError: one is not NAME=VALUE.
        """
        return dict(map(_assignment, self.param or []))

    def accounts(self) -> list[tuple[str, str]]:
        """User names and passwords from `--auth`, or from the environment variable GRADSOAK_AUTH (one per line).

        Raises:
            UsageError: one of them is not USER:PASSWORD, or a file cannot be read. The message does not repeat it.
        """
        texts = self.auth or os.environ.get("GRADSOAK_AUTH", "").splitlines()
        lines = [line for text in texts for line in (_lines(text[1:]) if text.startswith("@") else [text])]
        found = [_account(line) for line in lines if line.strip()]
        if not found and any(text.strip() for text in texts):
            raise UsageError(
                "The file named with --auth holds no login.", "Write one USER:PASSWORD on each line."
            )
        return found


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--param {text!r} is not NAME=VALUE.", "For example: --param LIST_ITEMS=50000.")
    return name, value


def _account(line: str) -> tuple[str, str]:
    user, colon, password = line.partition(":")
    if not colon or not user.strip():
        raise UsageError(
            "A login is not USER:PASSWORD.",
            "For example: --auth alice:secret, or --auth @FILE with one such line for each account.",
        )
    return user.strip(), password


def _lines(name: str) -> Sequence[str]:
    path = Path(name).expanduser()
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(
            f"The file of logins {path} cannot be read: {reason}.",
            "Name a file with one USER:PASSWORD on each line.",
        ) from error


@dataclass(frozen=True, kw_only=True)
class RunningAppOptions(OptionGroup):
    """An app that is running already."""

    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Drive the app that already runs at this address, instead of starting the scenario's own.",
            rich_help_panel=_RUNNING_APP,
        ),
    ] = None
    pid: Annotated[
        int | None,
        typer.Option(
            "--pid",
            help="With --url: the app's process, if it is not the one that listens there.",
            rich_help_panel=_RUNNING_APP,
        ),
    ] = None
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote",
            help="Allow addresses of other machines: of the app, of a master, of workers.",
            rich_help_panel=_RUNNING_APP,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class FollowUpOptions(OptionGroup):
    """Follow-up runs, which explain the memory of the main run."""

    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="SETTING",
            help="Repeat the run with one setting changed, and measure what that gains. May be repeated. "
            "time_to_live=SECONDS, state_session_capacity=N, delete_cache=FREQUENCY,AGE, jemalloc, MALLOC_ARENA_MAX=2 or any "
            "other environment variable, or a parameter of the scenario, NAME=VALUE.",
            rich_help_panel=_MEMORY,
        ),
    ] = None
    memray: Annotated[
        bool,
        typer.Option(
            "--memray",
            help="Start the app once more under memray afterwards, to find the lines of code that allocated what stays.",
            rich_help_panel=_MEMORY,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class ClusterOptions(OptionGroup):
    """Several processes, of this or of other machines, that make the load together."""

    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Divide the load among N processes of this machine; with --master, the number of workers to wait for.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None
    master: Annotated[
        bool,
        typer.Option(
            "--master",
            help="Make no load in this process: wait for workers of other machines.",
            rich_help_panel=_CLUSTER,
        ),
    ] = False
    worker: Annotated[
        bool,
        typer.Option(
            "--worker",
            help="Only make load, for a master elsewhere. The master decides the load; options about it are ignored here.",
            rich_help_panel=_CLUSTER,
        ),
    ] = False
    master_host: Annotated[
        str | None,
        typer.Option(
            "--master-host",
            help="With --worker: the master's address. Default: 127.0.0.1.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None
    master_port: Annotated[
        int | None,
        typer.Option(
            "--master-port",
            help="Port at which workers connect. Default: 5557; any free one for --workers without --master.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None
    master_bind_host: Annotated[
        str | None,
        typer.Option(
            "--master-bind-host",
            help="Address at which the master listens. Default: 127.0.0.1.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None
    shards: Annotated[
        str | None,
        typer.Option(
            "--shards",
            metavar="folder|return",
            help="How workers of this machine hand in their records: folder (they write into the run folder) or return (they "
            "send them, as workers of other machines do). Default: folder.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None
    shared_dir: Annotated[
        Path | None,
        typer.Option(
            "--shared-dir",
            help="With --worker: folder, shared with the master's machine, that holds the master's run folder. Default: none; "
            "the records are sent.",
            show_default=False,
            rich_help_panel=_CLUSTER,
        ),
    ] = None
    join_timeout: Annotated[
        str | None,
        typer.Option(
            "--join-timeout",
            metavar="DURATION",
            help="Longest wait of a master for its workers, and of a worker for its master. Default: 60s.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None
