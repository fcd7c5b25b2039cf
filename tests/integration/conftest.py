"""An app that runs already, for all tests that leave it as it was."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.outside import running_app


@pytest.fixture(scope="session")
def click_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of an app that counts clicks correctly.

    A run of it with `--url` takes half the time of a run that starts its own app.
    """
    with running_app(tmp_path_factory.mktemp("click-app")) as running:
        yield running


@pytest.fixture
def click_url(click_app: tuple[str, subprocess.Popen[bytes]]) -> str:
    return click_app[0]
