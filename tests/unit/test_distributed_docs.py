"""The files of docs/distributed.md are valid, and say to gradsoak what gradsoak understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from harness.cli.verbs import app
from tests.conftest import REPO

FOLDER = REPO / "docs/distributed"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def parse(arguments: list[str]) -> dict[str, Any]:
    """What `gradsoak run` understands; an option that does not exist is an error."""
    run = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    return run.make_context("run", list(arguments)).params


def image_arguments() -> list[str]:
    """What stands before the arguments of a container."""
    found = re.search(r"^ENTRYPOINT (\[.*\])$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    return list(yaml.safe_load(found.group(1)))


def check_pair(master: dict[str, Any], workers: dict[str, Any], replicas: int) -> None:
    """A master and workers that will find each other."""
    assert master["master"]
    assert not master["worker"]
    assert workers["worker"]
    assert not workers["master"]
    assert master["workers"] == replicas
    assert master["master_port"] == workers["master_port"]
    assert master["target"] == workers["target"]
    assert master["allow_remote"]
    assert workers["allow_remote"]
    assert master["master_bind_host"] == "0.0.0.0"


def test_the_image_runs_what_the_files_rely_on() -> None:
    assert image_arguments() == ["gradsoak", "run"]


def test_the_compose_file_starts_a_master_and_as_many_workers_as_it_expects() -> None:
    (compose,) = documents("compose.yaml")
    services = compose["services"]
    master, workers = (parse(shlex.split(services[name]["command"])) for name in ("master", "worker"))
    check_pair(master, workers, services["worker"]["deploy"]["replicas"])
    assert workers["master_host"] == "master"
    for name in ("master", "worker"):
        source, _, rest = services[name]["volumes"][0].partition(":")
        assert (FOLDER / source).resolve().is_dir()
        assert rest == f"{master['target']}:ro"
    assert services["app"]["entrypoint"][1] == f"{master['target']}/app.py"


def test_the_operator_gives_both_roles_arguments_that_they_understand() -> None:
    (test,) = documents("locusttest.yaml")
    assert (test["apiVersion"], test["kind"]) == ("locust.io/v1", "LocustTest")
    spec = test["spec"]
    # Fields of the custom resource that the operator defines.
    assert set(spec) <= {
        "annotations", "labels", "image", "imagePullPolicy", "imagePullSecrets", "workers", "args", "env", "master",
        "worker", "locustfile", "metrics",
    }  # fmt: skip
    arguments = shlex.split(spec["args"])
    master = parse(["--master", *arguments])
    workers = parse(["--worker", "--master-host", f"{test['metadata']['name']}-master", *arguments])
    check_pair(master, workers, spec["workers"])
    assert master["target"] == "/home/locust"
    assert master["master_port"] is None


def test_the_jobs_find_each_other_and_the_run_is_kept() -> None:
    by_name = {(d["kind"], d["metadata"]["name"]): d for d in documents("jobs.yaml")}
    jobs = {
        role: by_name["Job", f"gradsoak-{role}"]["spec"]["template"]["spec"] for role in ("master", "worker")
    }
    master, workers = (parse(jobs[role]["containers"][0]["args"]) for role in ("master", "worker"))
    check_pair(master, workers, by_name["Job", "gradsoak-worker"]["spec"]["parallelism"])
    service = by_name["Service", workers["master_host"]]["spec"]
    assert service["ports"] == [{"port": 5557}]
    labels = by_name["Job", "gradsoak-master"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"] == labels
    claim = jobs["master"]["volumes"][1]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in by_name
    mounts = {m["name"]: m["mountPath"] for m in jobs["master"]["containers"][0]["volumeMounts"]}
    assert Path(master["out"]).is_relative_to(mounts["runs"])
    assert master["target"] == mounts["scenario"]


PAGE = (REPO / "docs/distributed.md").read_text()
COMMANDS = re.findall(r"^    gradsoak run (.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_is_understood(command: str) -> None:
    assert len(COMMANDS) == 3
    parse(shlex.split(command))
