"""The app under test: its interpreter, its process, its probe; or an app that runs already."""

from harness.target.external import ExternalTarget, RunningApp, locate
from harness.target.interpreter import Interpreter, inspect_interpreter
from harness.target.preflight import Account, AppFacts, inspect_url
from harness.target.probe import ProbeClient
from harness.target.process import Target
from harness.target.protocol import AppUnderTest

__all__ = [
    "Account",
    "AppFacts",
    "AppUnderTest",
    "ExternalTarget",
    "Interpreter",
    "ProbeClient",
    "RunningApp",
    "Target",
    "inspect_interpreter",
    "inspect_url",
    "locate",
]
