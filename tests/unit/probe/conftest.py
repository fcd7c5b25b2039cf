from __future__ import annotations

import sys
import types

import pytest

from harness.probe import heap_graph


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks do not go into modules, which would lead them to everything that this process holds."""
    modules = [part for m in sys.modules.values() if isinstance(m, types.ModuleType) for part in (m, vars(m))]
    monkeypatch.setattr(heap_graph, "own_objects", lambda: iter(modules))
