"""A region's cluster, checked for what its steps need."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kubernetes.client.exceptions import ApiException

from practicus_assets.doctor.api_server import ApiServer, Forbidden
from practicus_assets.doctor.capacity import capacity
from practicus_assets.doctor.finding import Finding, Section, failed, listed, not_checked, ok
from practicus_assets.doctor.references import existence, references
from practicus_assets.doctor.rights import rights
from practicus_assets.doctor.trial import TrialSettings, step_manifest, trial, trial_job
from practicus_assets.errors import DeclarationError, PracticusAssetsError
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE, message_of
from practicus_assets.workers.kubernetes.starting_account import Right, StartingAccount
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.placement.region import Region


class RegionExamination:
    """Examines a region's cluster for what the workers there need.

    Args:
        region: the region.
        workers: the workers of the steps that are sent there.
        settings: the settings of the code location's trials.
        autoscaled: whether nodes are added when pods want them.

    """

    def __init__(
        self, region: Region, workers: Sequence[Placement], settings: TrialSettings, *, autoscaled: bool
    ) -> None:
        self._region = region
        self._workers = workers
        self._settings = settings
        self._autoscaled = autoscaled
        self._server = ApiServer(Cluster.of(region, settings.launcher))
        self._pods: list[tuple[Placement, Mapping[str, Any]]] = []  # once the API server has answered
        self._started: list[tuple[Placement, Mapping[str, Any]]] = []  # those that these pods start

    @property
    def title(self) -> str:
        """The heading of its findings."""
        label = self._region.label
        return f"{label[0].upper()}{label[1:]}, namespace {self._server.cluster.namespace}"

    def findings(self) -> Iterator[Finding]:
        """Yield what the API server says about what the workers need."""
        try:
            version = self._server.version()
        except (DeclarationError, ApiException, *UNREACHABLE) as error:
            yield failed("API server", *_problem(error))
            yield not_checked("rights, named objects, nodes, pods", "the API server cannot be asked")
            return
        yield ok("API server", f"it answers, Kubernetes {version}")
        yield from _answered("rights", lambda: rights(self._server))
        yield from _answered("rights of runs", self._rights_of_runs)
        starting: dict[str, dict[Right, None]] = {}
        for worker in self._workers:
            try:
                account = StartingAccount.of(worker)
                own, *started = [(each, self._pod(each)) for each in _with_started(worker)]
            except DeclarationError as error:
                yield failed(f"worker of {worker.step}", error.problem, error.advice)
                continue
            self._pods.append(own)
            self._started += started
            if account is not None:
                starting.setdefault(account.name, {}).update(dict.fromkeys(account.rights))
        for name, needed in starting.items():
            yield from _answered("rights of steps", lambda: self._rights_of_steps(name, list(needed)))  # noqa: B023 it is called at once
        wanted = {each for _, pod in self._pods + self._started for each in references(pod)}
        yield from _answered("named objects", lambda: existence(self._server, wanted))
        yield from _answered("nodes", self._capacity)

    def trials(self) -> Iterator[Section]:
        """Yield one trial per group of workers whose pods differ only in size; consume `findings` first."""
        alike: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for worker, _ in self._pods:
            job = trial_job(worker, self._settings)
            pod = json.dumps(job["spec"]["template"]["spec"], sort_keys=True)
            alike.setdefault(pod, (job, []))[1].append(worker.step)
        for job, steps in alike.values():
            title = f"A pod in {self._region.label}, as of {listed(steps)}"
            yield Section(title, self._trial(job))

    def _trial(self, job: Mapping[str, Any]) -> Iterator[Finding]:
        yield from trial(self._server.cluster, job, self._settings.seconds)

    def _rights_of_runs(self) -> Iterator[Finding]:
        launcher, region = self._settings.launcher, self._region
        name, namespace = (getattr(launcher, each, "") for each in ("service_account_name", "job_namespace"))
        if name and namespace and not region.context and not region.kubeconfig:  # it is known there
            yield from rights(self._server, (namespace, name))

    def _rights_of_steps(self, name: str, needed: Sequence[Right]) -> Iterator[Finding]:
        account = (self._server.cluster.namespace, name)
        yield from rights(self._server, account, needed, "its steps use, which start pods")

    def _pod(self, placement: Placement) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = step_manifest(placement, self._settings)["spec"]["template"]["spec"]
        return spec

    def _capacity(self) -> Iterator[Finding]:
        try:
            nodes = self._server.nodes()
        except Forbidden:
            advice = "Run doctor as a cluster's administrator."
            yield not_checked("nodes", "the caller may not list nodes", advice)
            return
        asked = [(each.step, pod, each.worker.memory_limit) for each, pod in self._pods + self._started]
        yield from capacity(nodes, asked, autoscaled=self._autoscaled)


def _with_started(placement: Placement) -> list[Placement]:
    """Return what a step's pod gets, and then what the pods get that start beside it."""
    splits = placement.splits.grown[:1] if placement.splits is not None else ()
    return [placement, *filter(None, (placement.starter, placement.engine, *splits))]


def _answered(check: str, findings: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield findings, and a failed one if the API server does not answer."""
    try:
        yield from findings()
    except (ApiException, *UNREACHABLE) as error:
        yield failed(check, *_problem(error))


def _problem(error: Exception) -> tuple[str, str]:
    if isinstance(error, PracticusAssetsError):
        return error.problem, error.advice
    if isinstance(error, ApiException):
        return (
            f"the API server answered: {message_of(error)}",
            "Check the kubeconfig's credentials and context.",
        )
    return f"it cannot be reached: {error}", "Check the kubeconfig's server, the network and the cluster."
