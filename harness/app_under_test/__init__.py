"""The app under test: its interpreter, its process and its probe; or an app that is already running."""

from harness.app_under_test.app_process import Target
from harness.app_under_test.external_app import ExternalTarget, RunningApp, locate
from harness.app_under_test.interface import AppUnderTest
from harness.app_under_test.interpreter import Interpreter, inspect_interpreter
from harness.app_under_test.preflight import Account, AppFacts, inspect_url
from harness.app_under_test.probe_client import ProbeClient

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
