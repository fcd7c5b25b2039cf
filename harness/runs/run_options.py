"""The options of a run, its identifier, and the command line that was typed."""

from __future__ import annotations

import random
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from harness.addresses import redacted
from harness.app_under_test import Account, Interpreter, RunningApp
from harness.load.cluster.client import Distribution
from harness.records import Driver, Profile, Purpose
from harness.scenario import Scenario


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one run.

    Attributes:
        params: the scenario's parameters, with the values of `--param` applied.
        interpreter: the interpreter that starts the app; None if the app runs already.
        ready_timeout_s: longest wait for the app's first response.
        argv: the command line, for the manifest.
        driver: `page`, or `stock` for an unmodified gradio_client.
        cluster: how the load is divided among several processes; None for one process.
        external: the app that runs already; None if the harness starts the scenario's app.
        auth: user names and passwords, which sessions take in turn. No file contains them.
        environment: environment variables of the app, in addition to the parameters.
        purpose, what_if: see `harness.records.RunManifest`.
    """

    scenario: Scenario
    profile: Profile
    params: dict[str, str]
    seed: int
    interpreter: Interpreter | None
    ready_timeout_s: float
    argv: list[str]
    driver: Driver = "page"
    cluster: Distribution | None = None
    external: RunningApp | None = None
    auth: list[Account] = []
    environment: dict[str, str] = {}
    purpose: Purpose = "run"
    what_if: str | None = None


# With the first variable Gradio deletes a closed session's State after one second, but sends each page four heartbeats a second.
# The second reduces that to one. Source: gradio/state_holder.py and `get_heartbeat_rate` in gradio/utils.py, 6.31.
COMPRESSED_TTL = {"GRADIO_IS_E2E_TEST": "1", "GRADIO_HEARTBEAT_INTERVAL": "1"}


def launch_environment(options: RunOptions) -> dict[str, str]:
    """The app's environment variables in addition to the parameters. Empty for an app that runs already."""
    if options.external is not None:
        return {}
    return {**(COMPRESSED_TTL if options.profile.compress_ttl else {}), **options.environment}


def new_run_id(scenario: str) -> str:
    """A new run identifier, which sorts by time: `20261122-114200-counters-7f3a`."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{scenario}-{secrets.token_hex(2)}"


def random_seed() -> int:
    """A random seed, for a run without `--seed`."""
    return random.SystemRandom().randrange(2**31)


def command_line() -> list[str]:
    """Return the command that the user typed, without passwords."""
    return ["gradsoak", *without_secrets(sys.argv[1:])]


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without secrets. `***` replaces logins, and every part of a URL except its host and path."""
    shown = []
    option = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if option in ("--auth", "--url"):
            shown.append(_redacted(option, argument))
            option = ""
        elif equals and name in ("--auth", "--url"):
            shown.append(f"{name}={_redacted(name, value)}")
        else:
            shown.append(argument)
            option = argument
    return shown


def _redacted(option: str, value: str) -> str:
    if option == "--auth":
        return value if value.startswith("@") else "***"
    return redacted(value)
