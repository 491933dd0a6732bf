"""A site: a region's cluster, as the steps that are sent there need it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kubernetes.client.exceptions import ApiException

from practicus_assets.doctor.api_server import ApiServer, Forbidden
from practicus_assets.doctor.capacity import capacity
from practicus_assets.doctor.finding import Finding, Section, failed, listed, not_checked, ok
from practicus_assets.doctor.references import existence, references
from practicus_assets.doctor.rights import rights
from practicus_assets.doctor.trial import Setting, step_manifest, trial, trial_job
from practicus_assets.errors import DeclarationError, PracticusAssetsError
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE, message_of
from practicus_assets.workers.placement.assignment import Assignment
from practicus_assets.workers.placement.region import Region


class Site:
    """A region's cluster and the workers that are sent there.

    Args:
        region: which.
        placements: of the steps there.
        setting: of the code location.
        autoscaled: whether nodes are added when pods want them.

    """

    def __init__(
        self, region: Region, placements: Sequence[Assignment], setting: Setting, *, autoscaled: bool
    ) -> None:
        self._region = region
        self._placements = placements
        self._setting = setting
        self._autoscaled = autoscaled
        self._server = ApiServer(Cluster.of(region, setting.launcher))
        self._pods: list[tuple[Assignment, Mapping[str, Any]]] = []  # once the API server has answered

    @property
    def title(self) -> str:
        """How people call it."""
        label = self._region.label
        return f"{label[0].upper()}{label[1:]}, namespace {self._server.cluster.namespace}"

    def findings(self) -> Iterator[Finding]:
        """Yield what the API server tells of it."""
        try:
            version = self._server.version()
        except (DeclarationError, ApiException, *UNREACHABLE) as error:
            yield failed("API server", *_told(error))
            yield not_checked("rights, named objects, nodes, pods", "the API server cannot be asked")
            return
        yield ok("API server", f"it answers, Kubernetes {version}")
        yield from _asked("rights", lambda: rights(self._server))
        yield from _asked("rights of runs", self._rights_of_runs)
        for placement in self._placements:
            try:
                job = step_manifest(placement, self._setting)
            except DeclarationError as error:
                yield failed(f"worker of {placement.step}", error.problem, error.advice)
            else:
                self._pods.append((placement, job["spec"]["template"]["spec"]))
        wanted = {each for _, pod in self._pods for each in references(pod)}
        yield from _asked("named objects", lambda: existence(self._server, wanted))
        yield from _asked("nodes", self._capacity)

    def trials(self) -> Iterator[Section]:
        """Yield a trial for all workers whose pods are alike but for their size; take `findings` before."""
        alike: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for placement, _ in self._pods:
            job = trial_job(placement, self._setting)
            pod = json.dumps(job["spec"]["template"]["spec"], sort_keys=True)
            alike.setdefault(pod, (job, []))[1].append(placement.step)
        for job, steps in alike.values():
            title = f"A pod in {self._region.label}, as of {listed(steps)}"
            yield Section(title, self._trial(job))

    def _trial(self, job: Mapping[str, Any]) -> Iterator[Finding]:
        yield from trial(self._server.cluster, job, self._setting.seconds)

    def _rights_of_runs(self) -> Iterator[Finding]:
        launcher, region = self._setting.launcher, self._region
        name, namespace = (getattr(launcher, each, "") for each in ("service_account_name", "job_namespace"))
        if name and namespace and not region.context and not region.kubeconfig:  # it is known there
            yield from rights(self._server, (namespace, name))

    def _capacity(self) -> Iterator[Finding]:
        try:
            nodes = self._server.nodes()
        except Forbidden:
            advice = "Run doctor as a cluster's administrator."
            yield not_checked("nodes", "whoever runs this may not list nodes", advice)
            return
        asked = [(each.step, pod, each.worker.memory_limit) for each, pod in self._pods]
        yield from capacity(nodes, asked, autoscaled=self._autoscaled)


def _asked(check: str, findings: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield findings; an API server that does not answer is one."""
    try:
        yield from findings()
    except (ApiException, *UNREACHABLE) as error:
        yield failed(check, *_told(error))


def _told(error: Exception) -> tuple[str, str]:
    if isinstance(error, PracticusAssetsError):
        return error.problem, error.advice
    if isinstance(error, ApiException):
        return (
            f"the API server answered: {message_of(error)}",
            "See to the kubeconfig's credentials and context.",
        )
    return f"it cannot be reached: {error}", "See to the kubeconfig's server, the network, and the cluster."
