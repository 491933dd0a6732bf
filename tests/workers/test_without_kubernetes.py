"""A laptop without the packages for pods: what needs no cluster works, and the rest says what to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("practicus-assets"))
BLOCKED = """
import sys

for package in ("dagster_k8s", "kubernetes"):
    sys.modules[package] = None  # as if it were not installed: importing it raises ModuleNotFoundError
"""
SHOP = """
import os
import dagster as dg
from practicus_assets import DeltaIOManager, Worker, table_asset, worker_executor, worker_tags

@table_asset(worker=Worker(cpu=1, tolerations=[{"key": "gpu", "operator": "Exists"}], gpu=1))
def orders(): ...

@dg.asset(op_tags=worker_tags(Worker(memory="1Gi")))
def events():
    import pandas as pd
    return pd.DataFrame({"pid": [os.getpid()]})

lake = DeltaIOManager(root_uri=os.environ["LAKE"])
defs = dg.Definitions(assets=[orders, events], resources={"io_manager": lake}, executor=worker_executor)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    here = {
        "PYTHONPATH": str(tmp_path),
        "LAKE": str(tmp_path / "lake"),
        "DAGSTER_HOME": str(tmp_path / "home"),
    }
    return {**{k: v for k, v in os.environ.items() if k != "PRACTICUS_WORKERS"}, **here}


def run(*command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_step_runs_in_a_process_of_its_own_and_the_doctor_is_content(environment: dict[str, str]) -> None:
    dagster = (sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize", "-m", "shop")
    done = run(*dagster, "--select", "events", environment=environment)
    assert done.returncode == 0, done.stderr
    assert "Steps run in local processes" in done.stderr
    done = run(COMMAND, "doctor", "-m", "shop", environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(COMMAND, "verify", "events", "-m", "shop", environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_needs_a_cluster_says_what_to_install(environment: dict[str, str]) -> None:
    install = "pip install 'practicus-assets[kubernetes]'"
    worker = run(COMMAND, "worker", "orders", "-m", "shop", environment=environment)
    assert (worker.returncode, "Traceback" in worker.stderr) == (1, False), worker.stderr
    assert install in worker.stderr
    pods = {**environment, "PRACTICUS_WORKERS": "kubernetes"}
    doctor = run(COMMAND, "doctor", "-m", "shop", environment=pods)
    assert (doctor.returncode, install in doctor.stdout) == (1, True), doctor.stdout + doctor.stderr
    dagster = (sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize", "-m", "shop")
    step = run(*dagster, "--select", "events", environment=pods)
    assert (step.returncode, install in step.stderr) == (1, True), step.stderr


def test_an_instance_that_launches_runs_in_pods_says_so_too(environment: dict[str, str]) -> None:
    launcher = "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {}}\n"
    Path(environment["DAGSTER_HOME"], "dagster.yaml").write_text(launcher)
    doctor = run(COMMAND, "doctor", "-m", "shop", environment=environment)
    assert doctor.returncode == 1
    assert "dagster_k8s" in doctor.stderr
    assert "Traceback" not in doctor.stderr
