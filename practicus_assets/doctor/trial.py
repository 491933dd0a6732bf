"""A trial: a pod that starts as a step's would, looks around, and is removed."""

import inspect
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import dagster as dg
from kubernetes.client.exceptions import ApiException

from practicus_assets.doctor import probe
from practicus_assets.doctor.finding import Finding, failed, warning
from practicus_assets.errors import PracticusAssetsError
from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.job import step_job
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE, message_of
from practicus_assets.workers.launch import variables
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.request.manifest import CONTAINER
from practicus_assets.workers.request.tags import without_resources

STEP = "doctor"
_LOOK_S = 0.5
_SPARE_S = 60
_MEMORY = "1Gi"  # to import the definitions
_PASSING = {"emptyDir", "configMap", "secret", "projected", "downwardAPI", "ephemeral"}


@dataclass(frozen=True)
class TrialSettings:
    """What the trials of a code location have in common.

    Attributes:
        locations: arguments of `definitions.definitions` by which a pod loads the definitions.
        instance: a reference to Dagster's instance as a dictionary; None if there is none.
        launcher: the instance's run launcher, if pods inherit its configuration.
        run: a run of the code location as its code server would launch it.
        seconds: the time that a pod is given to end.

    """

    locations: Sequence[Mapping[str, str]]
    instance: Mapping[str, str] | None
    launcher: Any
    run: dg.DagsterRun
    seconds: float


def step_manifest(placement: Placement, settings: TrialSettings) -> dict[str, Any]:
    """Return the Job of a step as the executor would make it, but for what only a run knows.

    Raises:
        DeclarationError: if the Job cannot be made, e.g. because no image is named anywhere.

    """
    return _job(placement.step, placement, settings)


def trial_job(placement: Placement, settings: TrialSettings) -> dict[str, Any]:
    """Return the Job of a trial: that of a step, but small, short, and with another command.

    Args:
        placement: the step's worker; the size of the pod that it asks for is left out.
        settings: the settings of the code location's trials.

    Raises:
        DeclarationError: if the Job cannot be made, e.g. because no image is named anywhere.

    """
    placement = placement.starter or placement  # an image without this package cannot try anything
    small = replace(
        placement.worker,
        cpu="50m",
        cpu_limit=None,
        memory=_MEMORY,
        memory_limit=None,
        ephemeral_storage=None,
        gpu=None,
        time_limit_seconds=int(settings.seconds) + _SPARE_S,
        keep_failed_seconds=_SPARE_S,
    )
    alike = replace(placement, step=STEP, worker=small, pod_tags=without_resources(placement.pod_tags))
    job = _job(f"practicus-doctor-{uuid4().hex[:10]}", alike, settings)
    pod = job["spec"]["template"]["spec"]
    container = next(each for each in pod["containers"] if each["name"] == CONTAINER)
    passing = {each["name"] for each in pod.get("volumes") or () if set(each) & _PASSING}
    asked = {
        "versions": probe.versions(),
        "instance": settings.instance,
        "durable": [each["mountPath"] for each in container["volumeMounts"] if each["name"] not in passing],
        "wants_token": bool(pod.get("automountServiceAccountToken")),
    }
    pod["terminationGracePeriodSeconds"] = 1  # it has nothing to finish
    container["env"] += [
        {"name": probe.VARIABLE, "value": json.dumps(asked)},
        {"name": variables.IN_POD, "value": "no"},  # the probe looks by itself whether the lake stays
    ]
    container["args"] = ["python", "-W", "ignore", "-c", _script(settings.locations)]
    return job


def _job(name: str, placement: Placement, settings: TrialSettings) -> dict[str, Any]:
    environment = variables.of_step(STEP, placement.step, 1, placement.region.roots)
    return step_job(name, placement, settings.run, environment=environment, launcher=settings.launcher)


def _script(locations: Sequence[Mapping[str, str]]) -> str:
    return f"""{inspect.getsource(probe)}

def loader(location):
    def load():
        from practicus_assets.definitions import definitions
        return definitions(**location)
    return load

main([loader(each) for each in {json.dumps([dict(each) for each in locations])}])
"""


def trial(cluster: Cluster, job: Mapping[str, Any], seconds: float) -> list[Finding]:
    """Return what a pod finds where it runs, or why it did not start; the pod is removed in any case.

    Args:
        cluster: the cluster on which it runs.
        job: the Job that `trial_job` returned.
        seconds: the time after which it is given up.

    """
    name = job["metadata"]["name"]
    container = next(
        each for each in job["spec"]["template"]["spec"]["containers"] if each["name"] == CONTAINER
    )
    what = f"pod of image {container['image']}"
    findings: list[Finding] = []
    try:
        cluster.create_job(job)
        findings += _outcome(cluster, name, what, seconds)
    except ApiException as error:
        findings.append(
            failed(
                what,
                f"the API server refused: {message_of(error)}",
                "Correct the worker, or the namespace's rules.",
            )
        )
    except UNREACHABLE as error:
        findings.append(failed(what, f"the API server went away: {error}", "Run doctor again."))
    finally:  # an interrupt too
        findings += _removed(cluster, name)
    return findings


def _outcome(cluster: Cluster, job: str, what: str, seconds: float) -> Iterator[Finding]:
    began = time.monotonic()
    waits = ""
    while time.monotonic() - began < seconds:
        time.sleep(_LOOK_S)
        pods = cluster.pods(f"job-name={job}")
        if not pods:
            warnings = cluster.events("Job", job)
            waits = str(warnings[-1].get("message")) if warnings else "its Job has made no pod"
            continue
        [pod, *_] = pods
        if _finished(pod):
            yield from _results(cluster, pod, what, time.monotonic() - began)
            return
        end = pod_status.end(pod)
        if end is not None:
            yield failed(what, *_told(end.error, _last_line(cluster, pod) if end.started else ""))
            return
        waits = pod_status.obstacle(pod) or _warning(cluster, pod)
    advice = "Provide what it waits for, or give it longer: --timeout."
    yield failed(what, f"it did not come to its end in {seconds:.0f} s. {waits or 'It runs.'}", advice)


def _finished(pod: Mapping[str, Any]) -> bool:
    """Whether the step's container did its work, whatever others of the pod still do."""
    ends = [
        (each.get("state") or {}).get("terminated")
        for each in pod["status"].get("containerStatuses") or ()
        if each["name"] == CONTAINER
    ]
    return any(end is not None and end["exitCode"] == 0 for end in ends)


def _warning(cluster: Cluster, pod: Mapping[str, Any]) -> str:
    if pod_status.has_started(pod):
        return ""
    warnings = cluster.events("Pod", pod["metadata"]["name"])
    return str(warnings[-1].get("message")) if warnings else "It has not started."


def _results(cluster: Cluster, pod: Mapping[str, Any], what: str, took: float) -> Iterator[Finding]:
    lines = cluster.log_tail(pod["metadata"]["name"], CONTAINER).splitlines()
    line = next((each for each in reversed(lines) if each.startswith(probe.MARK)), None)
    if line is None:
        yield failed(what, "it ran, and its log cannot be read", "Grant the right: get pods/log.")
        return
    node = pod["spec"].get("nodeName")
    yield Finding(what, "ok", f"it started on node {node}, looked around and ended in {took:.0f} s")
    for result in json.loads(line.removeprefix(probe.MARK)):
        yield Finding(*result)


def _told(error: PracticusAssetsError, line: str) -> tuple[str, str]:
    if not line:
        return error.problem, error.advice
    return f"{error.problem} It wrote: {line}", error.advice


def _last_line(cluster: Cluster, pod: Mapping[str, Any]) -> str:
    lines = cluster.log_tail(pod["metadata"]["name"], CONTAINER).split("\n")
    return next((each.strip() for each in reversed(lines) if each.strip()), "")


def _removed(cluster: Cluster, job: str) -> Iterator[Finding]:
    try:
        cluster.delete_job(job)
    except (ApiException, *UNREACHABLE) as error:
        remove = cluster.kubectl("delete", "job", job)
        yield warning(f"Job {job}", f"it could not be removed: {error}", f"Remove it with: {remove}")
