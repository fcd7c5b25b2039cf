from __future__ import annotations

import shutil
from pathlib import Path

from harness.checkers.models import Unavailable
from harness.evaluate import own_models
from harness.run_dir import WORKLOAD, RunDir
from harness.workload import counter, load_workload
from tests.conftest import REPO

UNDO_REDO = REPO / "scenarios/undo_redo/workload.py"


def stored(tmp_path: Path, workload: str | None) -> Path:
    """The path of a run's copy of its workload; None makes none."""
    run_dir = RunDir.create(tmp_path / "run")
    if workload is not None:
        run_dir.write_bytes(WORKLOAD, workload.encode())
    return run_dir.workload_path


def test_the_models_of_a_run_are_those_of_the_workload_in_its_folder(tmp_path: Path) -> None:
    workload = stored(tmp_path, UNDO_REDO.read_text())
    state = {**load_workload(UNDO_REDO).variables, "n": counter()}
    (model,) = own_models(workload, state).values()
    assert not isinstance(model, Unavailable)
    assert model.step(model.step(model.initial, "add", "x"), "undo", None) == ([], ["x"])
    assert model.shows((["x"], [])) == ["x"]


def test_a_workload_without_models_of_its_own_is_not_imported(tmp_path: Path) -> None:
    assert own_models(stored(tmp_path, "raise SystemExit"), {"n": counter()}) == {}


def test_a_model_that_cannot_be_loaded_is_missing_for_a_reason(tmp_path: Path) -> None:
    state = load_workload(UNDO_REDO).variables
    gone = own_models(stored(tmp_path, None), state)["text"]
    assert isinstance(gone, Unavailable)
    assert "cannot be imported: FileNotFoundError" in gone.reason
    shutil.rmtree(tmp_path / "run")
    broken = own_models(stored(tmp_path, "1 / 0"), state)["text"]
    assert isinstance(broken, Unavailable)
    assert "ZeroDivisionError" in broken.reason
    shutil.rmtree(tmp_path / "run")
    other = own_models(stored(tmp_path, (REPO / "scenarios/counter/workload.py").read_text()), state)
    assert other == {"text": Unavailable("workload.py in the run folder has none.")}


def test_without_a_run_folder_there_is_no_model() -> None:
    state = load_workload(UNDO_REDO).variables
    assert own_models(None, state) == {"text": Unavailable("There is no workload.py.")}


def test_the_workload_is_sealed_with_the_run(tmp_path: Path) -> None:
    run_dir = RunDir(stored(tmp_path, "# as it was\n").parent)
    seal = run_dir.seal("completed", "")
    run_dir.write_bytes(WORKLOAD, b"# as it is now\n")
    assert [damage.sentence for damage in run_dir.changed_since(seal, {})] == [
        "workload.py was changed after the run was sealed."
    ]
