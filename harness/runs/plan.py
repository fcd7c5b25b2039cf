"""The plan of a run: what was asked for, and the manifest that records it."""

from __future__ import annotations

import os
import platform
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import msgspec
import psutil

from harness import __version__
from harness.addresses import redacted
from harness.app_under_test import Account, Interpreter, RunningApp
from harness.checkers import CHECKERS
from harness.load.cluster.client import Distribution
from harness.records import SCHEMA_VERSION, ClockAnchor, Driver, Machine, Profile, Purpose, RunManifest
from harness.scenario import Scenario


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line decides about a run.

    Attributes:
        params: the scenario's adjustable values, overrides applied.
        interpreter: what runs the app, None if it runs already.
        ready_timeout_s: longest wait for the app to answer its first request.
        argv: the command line, for the manifest.
        driver: what sessions are made of: our page, or an unmodified gradio_client.
        cluster: how the load is divided among several processes, None for a single one.
        external: the app, if it runs already; None to start the scenario's own.
        auth: user names and passwords that sessions log in with, in turn. Never written to a file.
        environment: what the app's environment is given besides the parameters.
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


# What makes Gradio let go of a closed session's State after a second, and notice soon that it has closed, without a heartbeat
# for each page four times a second. Source: gradio/state_holder.py and `get_heartbeat_rate` in gradio/utils.py, 6.31.
COMPRESSED_TTL = {"GRADIO_IS_E2E_TEST": "1", "GRADIO_HEARTBEAT_INTERVAL": "1"}


def launch_environment(options: RunOptions) -> dict[str, str]:
    """What the app's environment is given besides the parameters; nothing for an app that runs already."""
    if options.external is not None:
        return {}
    return {**(COMPRESSED_TTL if options.profile.compress_ttl else {}), **options.environment}


def new_run_id(scenario: str) -> str:
    """A name for a run that sorts by time: `20261122-114200-counters-7f3a`."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{scenario}-{secrets.token_hex(2)}"


def random_seed() -> int:
    """A seed for a run that was given none."""
    return random.SystemRandom().randrange(2**31)


def build_manifest(options: RunOptions, run_id: str) -> RunManifest:
    """Everything that is decided before the run begins; `state` is added once the workload is loaded."""
    scenario, interpreter, external = options.scenario, options.interpreter, options.external
    expect = None
    if scenario.expect is not None:
        expect = {"verdict": scenario.expect.verdict}
        if scenario.expect.kind is not None:
            expect["kind"] = scenario.expect.kind
    return RunManifest(
        schema_version=SCHEMA_VERSION,
        gradsoak_version=__version__,
        run_id=run_id,
        run_tag=secrets.token_hex(2),
        scenario=scenario.name,
        scenario_path=str(scenario.folder),
        title=scenario.title,
        argv=options.argv,
        seed=options.seed,
        profile=options.profile,
        params=options.params,
        driver=options.driver,
        expect=expect,
        guarantees=scenario.guarantees,
        state={},
        checks=[checker.name for checker in CHECKERS],
        git_sha=_git_sha(scenario.folder),
        target_python=interpreter.path if interpreter else None,
        target_python_version=interpreter.version if interpreter else None,
        target_packages=interpreter.packages if interpreter else {},
        harness_packages={
            d.metadata["Name"].lower(): d.version for d in distributions() if d.metadata["Name"]
        },
        gradio_version=external.facts.gradio_version if external else _gradio_version(interpreter),
        machine=Machine(
            system=platform.system(),
            release=platform.release(),
            architecture=platform.machine(),
            cpu_count=os.cpu_count() or 1,
            memory_bytes=psutil.virtual_memory().total,
        ),
        clock=ClockAnchor(monotonic_ns=time.monotonic_ns(), wall_ns=time.time_ns()),
        external=external.record if external else None,
        environment=launch_environment(options),
        purpose=options.purpose,
        what_if=options.what_if,
    )


def _gradio_version(interpreter: Interpreter | None) -> str:
    assert interpreter is not None  # an app that does not run already needs one
    return interpreter.gradio_version


def _git_sha(folder: Path) -> str | None:
    """Commit of the checkout that the scenario stands in, with `+` if it has changes; None outside of one."""
    try:
        sha = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10, check=False
        )
        if sha.returncode != 0:
            return None
        dirty = subprocess.run(
            ["git", "status", "--porcelain"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return sha.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def command_line() -> list[str]:
    """The command that the user typed, for the manifest: without passwords."""
    return ["gradsoak", *without_secrets(sys.argv[1:])]


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """A command line whose logins, and whatever a URL carries besides its path, are replaced by `***`."""
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
