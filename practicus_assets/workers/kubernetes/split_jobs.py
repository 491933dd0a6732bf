"""The Jobs of a step's splits: described by the executor, made by the step, which owns them."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
from kubernetes.client.exceptions import ApiException

from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.command_pod import literal
from practicus_assets.workers.kubernetes.job import step_job
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE
from practicus_assets.workers.kubernetes.starting_account import StartingAccount
from practicus_assets.workers.launch import variables
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.layers import SPOT_ATTEMPTS
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.request.manifest import job_name

SPLITS_LABEL = "practicus/splits-of"  # of the Jobs and pods of a step's splits, in all its attempts
_COMMAND = ("python", "-m", "practicus_assets.assets.splits.pod")
_NODES = ("nodeSelector", "tolerations", "affinity")


def selector(step: str, run_id: str) -> str:
    """Return the selector of the Jobs and pods of a step's splits."""
    return f"{SPLITS_LABEL}={_label(step, run_id)}"


def _label(step: str, run_id: str) -> str:
    return job_name(f"splits of {step}", run_id, 0)


@dataclass(frozen=True)
class SplitJobs:
    """What a step makes the Jobs of its splits of.

    Attributes:
        step, run_id, attempt: the step, its run and the number of its attempt.
        job: the Job of a split, as a manifest; its name, its work and its owner are not in it yet.
        resources: what the container of its first pod asks for, and that of the pod after each that ran out
            of memory.
        off_spot: the fields of its pod that decide on its node, once it lost spot nodes; None to leave them.
        lost_retries: how often a split is tried again that lost its pod.
        start_seconds: for how long none of the pods may run.
        captures_logs: whether what the pods write is to be in the step's output.

    """

    step: str
    run_id: str
    attempt: int
    job: Mapping[str, Any]
    resources: Sequence[Mapping[str, Any]]
    off_spot: Mapping[str, Any] | None
    lost_retries: int
    start_seconds: float
    captures_logs: bool

    @classmethod
    def described(
        cls,
        placement: Placement,
        run: dg.DagsterRun,
        *,
        attempt: int,
        configuration: Configuration,
        launcher: Any,
    ) -> "SplitJobs":
        """Return the Jobs of a step's splits, of which the placement says what they get.

        Args:
            placement: the step's.
            run: its run.
            attempt: the number of its attempt.
            configuration: the executor's.
            launcher: the instance's run launcher.

        Raises:
            DeclarationError: if the step would have no account that may start pods, or a Job cannot be made.

        """
        splits, region, step = placement.splits, placement.region, placement.step
        assert splits is not None, "its splits are pods"
        StartingAccount.of(placement)
        environment = variables.of_step(run.job_name, step, attempt, region.roots)

        def job_of(each: Placement) -> dict[str, Any]:
            return step_job("split", each, run, environment=environment, launcher=launcher, command=_COMMAND)

        manifests = [job_of(each) for each in splits.grown]
        first = manifests[0]
        for metadata in (first["metadata"], first["spec"]["template"]["metadata"]):
            metadata["labels"] = {**metadata["labels"], SPLITS_LABEL: _label(step, run.run_id)}
        off_spot = _pod(job_of(splits.off_spot)) if splits.off_spot is not None else None
        return cls(
            step,
            run.run_id,
            attempt,
            first,
            [_pod(manifest)["containers"][0].get("resources") or {} for manifest in manifests],
            {field: off_spot[field] for field in _NODES if field in off_spot}
            if off_spot is not None
            else None,
            configuration.lost_retries,
            configuration.split_start_seconds,
            splits.grown[0].worker.capture_logs is not False,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment variable by which the step is told."""
        return {variables.SPLIT_JOBS: literal(json.dumps(asdict(self)))}

    @classmethod
    def of_this_step(cls) -> "SplitJobs":
        """Return what the step of this process is told."""
        return cls(**json.loads(os.environ[variables.SPLIT_JOBS]))

    @property
    def selector(self) -> str:
        """The selector of the pods of the step's splits, in all attempts."""
        return selector(self.step, self.run_id)

    def memory(self, out_of_memory: int) -> str | None:
        """Return the most memory of a pod after so many that ran out of it; None if it is not more."""
        if out_of_memory >= len(self.resources):
            return None
        limit = (self.resources[out_of_memory].get("limits") or {}).get("memory")
        return str(limit) if limit is not None else None

    def name(self, index: int, number: int, owner: Mapping[str, str]) -> str:
        """Return the name of the Job of a split, which no other pod of the same step makes as well.

        Args:
            index: the split, from 0.
            number: the number of the attempt at it, from 1.
            owner: an owner reference, to the pod of the step.

        """
        step = f"split {index + 1} {self.attempt} of {self.step}"
        return job_name(step, self.run_id, number, owner["uid"])

    def made(
        self,
        name: str,
        work: str,
        owner: Mapping[str, str],
        *,
        out_of_memory: int = 0,
        lost: int = 0,
    ) -> dict[str, Any]:
        """Return the Job of a split.

        Args:
            name: its name.
            work: the text by which its pod finds its work.
            owner: an owner reference, to the pod of the step.
            out_of_memory: how many of its pods ran out of memory.
            lost: how many of its pods were lost.

        """
        job: dict[str, Any] = json.loads(json.dumps(self.job))
        job["metadata"] |= {"name": name, "ownerReferences": [dict(owner)]}
        template = job["spec"]["template"]
        template["metadata"] = {**template["metadata"], "name": name}
        pod = template["spec"]
        container = pod["containers"][0]
        container["resources"] = dict(self.resources[min(out_of_memory, len(self.resources) - 1)])
        container["env"] = [*container.get("env", ()), {"name": variables.SPLIT, "value": literal(work)}]
        if lost >= SPOT_ATTEMPTS and self.off_spot is not None:
            for field in _NODES:
                pod.pop(field, None)
            pod |= self.off_spot
        return job


def end_splits(cluster: Cluster, step: str, run_id: str) -> None:
    """Delete the Jobs of a step's splits that have not ended, as far as the API server lets it.

    Those without a pod, as under a quota, are found where the account may list Jobs.
    """
    labelled = selector(step, run_id)
    with suppress(ApiException, *UNREACHABLE):
        for pod in cluster.pods(labelled):
            job = pod["metadata"]["labels"].get("job-name")
            if job and not pod_status.is_over(pod):
                cluster.delete_job(job)
    with suppress(ApiException, *UNREACHABLE):
        for unended in (each for each in cluster.jobs(labelled) if not pod_status.is_job_over(each)):
            cluster.delete_job(unended["metadata"]["name"])


def _pod(job: Mapping[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod
