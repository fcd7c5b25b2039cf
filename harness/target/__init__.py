"""The app under test: its interpreter, its process, its probe."""

from harness.target.interpreter import Interpreter, inspect_interpreter
from harness.target.probe import ProbeClient
from harness.target.process import Target

__all__ = ["Interpreter", "ProbeClient", "Target", "inspect_interpreter"]
