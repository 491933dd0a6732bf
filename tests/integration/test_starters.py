"""What `new workflow` writes runs: its own test, the checks of Dagster, and `test-tasks`."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from practicus_assets import workflow
from practicus_assets.errors import DeclarationError
from practicus_assets.starters.workflow import workflow_starter
from practicus_assets.workers.request.tags import WORKER_TAG

pytestmark = [pytest.mark.process, pytest.mark.slow]
PROJECT = """
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "shop"
code_location_target_module = "shop.definitions"
"""
DG = Path(sys.executable).with_name("dg")


def succeeds(folder: Path, *command: str) -> str:
    paths = [str(folder), str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("DAGSTER_HOME", None)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("as_practicus", [False, True], ids=["own", "practicus"])
def test_a_new_workflow_passes_its_test_and_the_checks_of_dagster(
    tmp_path: Path, *, as_practicus: bool
) -> None:
    workflow_starter("shop", "a >> [b, c] >> d", as_practicus=as_practicus).write(tmp_path)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    assert "1 passed" in succeeds(tmp_path, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "shop")
    if as_practicus:
        validate = ("-m", "dagster", "definitions", "validate", "-m", "shop.definitions")
        assert "passed validation" in succeeds(tmp_path, sys.executable, *validate)
    else:
        assert "All definitions loaded successfully" in succeeds(tmp_path, str(DG), "check", "defs")


def test_worker_files_of_a_folder_lie_between_the_default_and_what_the_code_says(tmp_path: Path) -> None:
    workflow_starter("shop", "a >> b", as_practicus=False).write(tmp_path)
    from practicus_assets import Worker

    definitions = workflow(
        "shop",
        "a >> b",
        path=tmp_path / "shop/tasks",
        default_worker=Worker(size="Large", region="eu"),
        workers={"b": Worker(gpu=1)},
        worker_files=True,
    )
    job = definitions.resolve_job_def("shop")
    workers = {name: job.get_node_named(name).tags[WORKER_TAG] for name in ("a", "b")}
    assert '"size": "Small"' in workers["a"]
    assert all(text in workers["b"] for text in ('"size": "Medium"', '"region": "eu"', '"gpu": 1'))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "the worker file b_worker.json is no JSON"),
        ('{"sizee": "x"}', "b_worker.json"),
        ("[]", "b_worker.json"),
    ],
    ids=["no JSON", "unknown field", "no object"],
)
def test_a_wrong_worker_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    for task in "ab":
        (tmp_path / f"{task}.sh").touch()
    (tmp_path / "b_worker.json").write_text(text)
    with pytest.raises(DeclarationError, match=said):
        workflow("shop", "a >> b", path=tmp_path, worker_files=True)
    assert isinstance(workflow("shop", "a >> b", path=tmp_path), dg.Definitions)
