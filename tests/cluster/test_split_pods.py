"""Splits in pods of a real cluster: what they land, what becomes of one, and of all if their step dies."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository
from deltalake import write_deltalake

from tests.cluster.conftest import INSTANCE, storage
from tests.servers.cluster import Cluster
from tests.servers.postgresql import PostgreSQL
from tests.servers.seaweedfs import SeaweedFS
from tests.workers.place import Place, Run, until

STEPS = Path(__file__).parent / "split_steps"
CHECKOUT = Path(__file__).parents[2]
_KILL = "import os, signal; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), signal.SIGKILL)"


@pytest.fixture(scope="module")
def place(  # noqa: PLR0917 a place needs all of these
    cluster: Cluster,
    home_namespace: str,
    image: str,
    postgresql: PostgreSQL,
    s3: SeaweedFS,
    s3_in_pods: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> "SplitPlace":
    """Steps go to pods, from this process, and may start those of their splits by the rights of deploy/."""
    home = tmp_path_factory.mktemp("splits")
    instance = {**INSTANCE, **storage(cluster, postgresql)}
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    secrets = {"INSTANCE_PASSWORD": postgresql.password, **s3_in_pods}
    code = {"splitting.py": (STEPS / "splitting.py").read_text()}
    accounts = yaml.safe_load_all((CHECKOUT / "deploy" / "region" / "accounts.yaml").read_text())
    cluster.apply(
        *accounts,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "steps"}, "data": code},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lake"}, "stringData": secrets},
        namespace=home_namespace,
    )
    config = {
        "backend": "kubernetes",
        "kubernetes": {
            "namespace": home_namespace,
            "image": image,
            "service_account": "dagster-step",
            "command_account": "dagster-command",
        },
        "default": {
            "secrets": ["lake"],
            "env": {"PYTHONPATH": "/steps", "LAKE": s3.root_uri},
            "volumes": {"/steps": {"configMap": {"name": "steps"}}},
        },
    }
    return SplitPlace(home, s3.root_uri, s3.storage_options(), config, {**secrets, "PYTHONPATH": str(STEPS)})


class SplitPlace(Place):
    """A place whose jobs are those of `splitting`."""

    def run(self, job: str, *, tags: Any = None, config: Any = None) -> Run:
        repository = ReconstructableRepository.for_module("splitting", "defs", working_directory=str(STEPS))
        os.environ.update({**self.environment, "LAKE": self.lake})
        result = dg.execute_job(
            repository.get_reconstructable_job(f"job_{job}"),
            instance=self.instance,
            run_config={"execution": {"config": self.config}, **(config or {})},
        )
        return Run(self.instance, result.run_id)

    def start(self, job: str, *, tags: Any = None, config: Any = None) -> "subprocess.Popen[str]":
        file = self.home / f"{job}.json"
        file.write_text(json.dumps({"execution": {"config": self.config}, **(config or {})}))
        command = [sys.executable, "-W", "ignore", "-m", "dagster", "job", "execute", "-m", "splitting"]
        environment = {**os.environ, "DAGSTER_HOME": str(self.home), "LAKE": self.lake, **self.environment}
        return subprocess.Popen(
            [*command, "-a", "defs", "-j", f"job_{job}", "-c", str(file)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def splits_of(cluster: Cluster, home_namespace: str) -> Any:
    """Return the pods of the splits of a run, those in a phase alone where one is given."""

    def pods(run: Run, phase: str = "") -> list[dict[str, Any]]:
        found = cluster.get("pods", home_namespace, f"dagster/run-id={run.run_id},practicus/splits-of")
        return [pod for pod in found if phase in {"", pod["status"]["phase"]}]

    return pods


def fingerprint(run: Run, table: str) -> Any:
    [event] = run.events("ASSET_MATERIALIZATION", table)
    return event.step_materialization_data.materialization.metadata["delta/fingerprint"].value


def test_splits_in_pods_land_what_processes_do_and_one_that_is_killed_for_memory_gets_more(
    place: SplitPlace, splits_of: Any
) -> None:
    run = place.run("both")
    assert run.succeeded, run.messages()
    assert fingerprint(run, "in_pods") == fingerprint(run, "in_processes")
    table = place.table("in_pods")
    assert table.version() == 0
    assert table.to_pyarrow_table().num_rows == 1000
    logged = [each.user_message for each in place.instance.all_logs(run.run_id)]
    warned = [line for line in logged if "runs again" in line]
    assert len(warned) == 1, warned
    assert "in_pods: split 2 of 3: its pod split-2-1-of-in-pods-" in warned[0]
    assert "killed for memory, of which it may have 400Mi. It runs again alone with 800Mi" in warned[0]
    assert [sum(f"in_pods: split {n} of 3 has" in line for line in logged) for n in (1, 2, 3)] == [1, 1, 1]
    [killed] = splits_of(run)  # which stays, to look inside; the others are gone with their answers
    [container] = killed["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "400Mi"}
    assert killed["spec"]["serviceAccountName"] == "dagster-step"
    assert killed["spec"]["automountServiceAccountToken"] is False
    assert place.storage_options["AWS_SECRET_ACCESS_KEY"] not in json.dumps(killed)
    assert "AWS_SECRET_ACCESS_KEY" in json.dumps(killed)


def test_a_step_that_is_killed_leaves_the_old_table_and_no_pod_of_its_splits(
    place: SplitPlace, cluster: Cluster, home_namespace: str, splits_of: Any
) -> None:
    write_deltalake(
        f"{place.lake}/slow", pa.table({"part": [7]}), storage_options=dict(place.storage_options)
    )
    process = place.start("slow")
    run = place.newest("slow")
    until(lambda: len(splits_of(run, "Running")) == 2, "the pods of both splits")
    owners = [pod["metadata"]["ownerReferences"][0]["kind"] for pod in splits_of(run)]
    assert owners == ["Job", "Job"]
    [job, _] = cluster.get("jobs", home_namespace, f"dagster/run-id={run.run_id},practicus/splits-of")
    [owner] = job["metadata"]["ownerReferences"]
    assert owner["kind"] == "Pod"
    cluster.kubectl("exec", owner["name"], "--", "python", "-c", _KILL, namespace=home_namespace)
    process.communicate()
    assert "WorkerCrashed" in run.error("STEP_FAILURE", "slow")
    until(lambda: not splits_of(run), "the pods of its splits to go")
    assert (place.table("slow").version(), place.rows("slow")) == (0, [{"part": 7}])
