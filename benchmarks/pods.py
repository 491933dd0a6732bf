"""What the way of a step into a pod costs, and back: of Dagster's executor and of ours.

KUBECONFIG=… PRACTICUS_IMAGE=… python -W ignore benchmarks/pods.py [--runs 3]

The cluster's node is this machine, and has the image; events go to a PostgreSQL server of this machine. A run
has five steps, one after the other: of Dagster alone they are assets that do nothing, ours are tables of one
row. The executors take turns. It prints medians of the steps, in seconds.
"""

import argparse
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository

from tests.servers.cluster import Cluster
from tests.servers.postgresql import PostgreSQL

_HERE = Path(__file__).parent / "pod_steps"
_MARK = "first line:"  # of timed.MARK
_PHASES = (
    "asked for, until the pod's first process: Kubernetes",
    "until the step begins: imports and definitions",
    "until the function's first line",
    "until the step has succeeded",
    "until the next step is asked for",
)


def times(instance: dg.DagsterInstance, run_id: str) -> list[list[float]]:
    """Return the seconds of each phase of each step of a run but the last."""
    seen: dict[str, dict[str, float]] = {}
    for entry in instance.all_logs(run_id):
        step = seen.setdefault(entry.step_key or "", {})
        if entry.dagster_event is not None:
            step.setdefault(entry.dagster_event.event_type_value, entry.timestamp)
        elif _MARK in entry.user_message:
            step["process"], step["line"] = map(float, entry.user_message.split()[-2:])
    steps = sorted((step for name, step in seen.items() if name), key=lambda step: step["line"])
    asked = [step["STEP_WORKER_STARTING"] for step in steps]
    moments = [
        (
            own["STEP_WORKER_STARTING"],
            own["process"],
            own["STEP_START"],
            own["line"],
            own["STEP_SUCCESS"],
            then,
        )
        for own, then in zip(steps, asked[1:], strict=False)
    ]
    return [[end - start for start, end in pairwise(own)] for own in moments]


def executed(module: str, instance: dg.DagsterInstance, config: dict[str, Any]) -> list[list[float]]:
    """Run the steps of a module in pods, and return the seconds of their phases."""
    repository = ReconstructableRepository.for_module(module, "defs", working_directory=str(_HERE))
    job = repository.get_reconstructable_job("steps")
    result = dg.execute_job(job, instance, run_config={"execution": {"config": config}})
    assert result.success, f"the run {result.run_id} of {module} failed"
    return times(instance, result.run_id)


def instance_of(cluster: Cluster, server: PostgreSQL, namespace: str, image: str) -> dict[str, Any]:
    """Return the configuration of an instance whose events are in the server."""
    launcher = {
        "service_account_name": "default",
        "job_image": image,
        "job_namespace": namespace,
        "instance_config_map": "instance",
        "dagster_home": "/home/dagster",
        "load_incluster_config": False,
        "kubeconfig_file": os.environ["KUBECONFIG"],
    }
    return {
        "telemetry": {"enabled": False},
        **server.dagster_storage(cluster.node_address, {"env": "INSTANCE_PASSWORD"}),
        "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher},
    }


def executors(home: str, namespace: str, image: str) -> dict[str, dict[str, Any]]:
    """Return each module with the configuration of its executor; their pods get the same."""
    variables = {"PYTHONPATH": "/steps", "LAKE": f"{home}/lake"}
    places = {"/steps": {"configMap": {"name": "steps"}}, home: {"hostPath": {"path": home}}}
    names = {path: f"volume-{number}" for number, path in enumerate(places)}
    of_dagster = {
        "job_image": image,
        "image_pull_policy": "IfNotPresent",
        "job_namespace": namespace,
        "load_incluster_config": False,
        "kubeconfig_file": os.environ["KUBECONFIG"],
        "env_secrets": ["instance"],
        "env_vars": [f"{name}={value}" for name, value in variables.items()],
        "volumes": [{"name": names[path], **source} for path, source in places.items()],
        "volume_mounts": [{"name": name, "mountPath": path} for path, name in names.items()],
    }
    of_ours = {
        "backend": "kubernetes",
        "kubernetes": {"namespace": namespace, "image": image},
        "default": {"env": variables, "secrets": ["instance"], "volumes": places},
    }
    return {"of_dagster": of_dagster, "of_ours": of_ours}


def main() -> None:
    """Run both in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    cluster, image = Cluster(), os.environ["PRACTICUS_IMAGE"]
    sys.path.insert(0, str(_HERE))
    with (
        tempfile.TemporaryDirectory() as home,
        PostgreSQL("0.0.0.0") as server,  # noqa: S104 pods come from other addresses
        cluster.namespace() as namespace,
    ):
        lake = Path(home, "lake")
        lake.mkdir()
        for each in (lake, lake.parent):
            each.chmod(0o777)
        secret = {"INSTANCE_PASSWORD": server.password}
        os.environ |= {"DAGSTER_HOME": home, "LAKE": str(lake), **secret}
        text = yaml.safe_dump(instance_of(cluster, server, namespace, image))
        Path(home, "dagster.yaml").write_text(text, encoding="utf-8")
        steps = {path.name: path.read_text(encoding="utf-8") for path in _HERE.glob("*.py")}
        cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "instance"}, "stringData": secret},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "steps"}, "data": steps},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "instance"},
                "data": {"dagster.yaml": text},
            },
            namespace=namespace,
        )
        measured: dict[str, list[list[float]]] = {}
        with dg.DagsterInstance.get() as instance:
            for turn in range(runs + 1):
                for module, config in executors(home, namespace, image).items():
                    found = executed(module, instance, config)
                    if turn:  # the first one warms the node
                        measured.setdefault(module, []).extend(found)
        print(f"{'':55} Dagster   ours")
        columns = [[median(phase) for phase in zip(*found, strict=True)] for found in measured.values()]
        for phase, *seconds in zip(_PHASES, *columns, strict=True):
            print(f"{phase:55} " + "   ".join(f"{each:6.2f}" for each in seconds))


if __name__ == "__main__":
    main()
