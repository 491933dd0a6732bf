"""The examination: everything that is asked about a code location and the places where its steps run."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from kubernetes.client.exceptions import ApiException

from practicus_assets.doctor.api_server import ApiServer, Forbidden
from practicus_assets.doctor.capacity import capacity
from practicus_assets.doctor.finding import Finding, Section, failed, not_checked, ok
from practicus_assets.doctor.machine import machine
from practicus_assets.doctor.placements import Placement, Placements, placements
from practicus_assets.doctor.references import existence, references
from practicus_assets.doctor.rights import rights
from practicus_assets.doctor.trial import Setting, step_manifest, trial, trial_job
from practicus_assets.errors import DeclarationError, PracticusAssetsError
from practicus_assets.workers.cluster import Cluster, Unreachable, said
from practicus_assets.workers.executor import refuse_local_instance
from practicus_assets.workers.region import Region
from practicus_assets.workers.steps import current_image, jobs


@dataclass(frozen=True)
class Examination:
    """What is examined.

    Attributes:
        definitions: of the code location.
        locations: see `Setting`.
        instance: Dagster's; None if DAGSTER_HOME is not set.
        backend: "local" or "kubernetes", instead of what the configuration says; None leaves it at that.
        seconds: for which each pod is given.
        pods: whether pods are started.
        autoscaled: whether nodes are added when pods want them.

    """

    definitions: dg.Definitions
    locations: Sequence[Mapping[str, str]]
    instance: dg.DagsterInstance | None
    backend: str | None
    seconds: float
    pods: bool
    autoscaled: bool

    def sections(self) -> Iterator[Section]:
        """Yield what is found, place by place; nothing is looked for before it is asked for."""
        launcher = self.instance.run_launcher if self.instance is not None else None
        asked = placements(jobs(self.definitions), self.instance, launcher, self.backend)
        yield Section("Code location", asked.findings)
        yield Section("Instance", self._instance(asked))
        if asked.local:
            yield Section("This machine", machine(self.definitions))
        for region in asked.regions.values():
            cluster = Cluster.of(region, launcher)
            title = region.label[0].upper() + region.label[1:]
            here = [each for each in asked.found if each.region.name == region.name]
            findings = self._region(ApiServer(cluster), region, here, launcher)
            yield Section(f"{title}, namespace {cluster.namespace}", findings)

    def _instance(self, asked: Placements) -> Iterator[Finding]:
        if self.instance is None:
            yield not_checked("instance", "DAGSTER_HOME is not set", "Set it as for dagster's own commands.")
            return
        try:
            self.instance.get_runs_count()
        except Exception as error:  # noqa: BLE001 whatever the storage raises
            yield failed("instance", f"{type(error).__name__}: {error}", "See dagster.yaml and the database.")
            return
        storage = type(self.instance.run_storage).__name__
        yield ok("instance", f"{storage} answers; {type(self.instance.run_launcher).__name__} launches runs")
        if asked.regions:
            try:
                refuse_local_instance(self.instance)
            except DeclarationError as error:
                yield failed("events", error.found, error.advice)

    def _region(
        self, server: ApiServer, region: Region, here: Sequence[Placement], launcher: Any
    ) -> Iterator[Finding]:
        try:
            version = server.version()
        except (DeclarationError, ApiException, *Unreachable) as error:
            yield failed("API server", *_told(error))
            yield not_checked("rights, named objects, nodes, pods", "the API server cannot be asked")
            return
        yield ok("API server", f"it answers, Kubernetes {version}")
        yield from _asked("rights", lambda: rights(server))
        account = getattr(launcher, "service_account_name", None)
        if account and not region.in_cluster and not region.context:
            yield from _asked("rights of runs", lambda: rights(server, account))
        setting = Setting(
            locations=self.locations,
            instance=self._reference(),
            launcher=launcher,
            image=current_image(launcher),
            seconds=self.seconds,
        )
        manifests: list[tuple[Placement, Mapping[str, Any]]] = []
        for placement in here:
            try:
                manifests.append((placement, step_manifest(placement.step, placement.worker, setting)))
            except DeclarationError as error:
                yield failed(f"worker of {placement.step}", error.found, error.advice)
        pods = [(placement, job["spec"]["template"]["spec"]) for placement, job in manifests]
        wanted = {each for _, pod in pods for each in references(pod)}
        yield from _asked("named objects", lambda: existence(server, wanted))
        yield from _asked("nodes", lambda: self._capacity(server, pods))
        if not self.pods:
            yield not_checked("pods", "--no-pods was given")
            return
        tried = set()
        for placement, _ in pods:
            job = trial_job(placement.worker, region.roots, setting)
            alike = json.dumps(job["spec"]["template"]["spec"], sort_keys=True)
            if alike not in tried:
                tried.add(alike)
                yield from trial(server.cluster, job, setting.seconds)

    def _reference(self) -> dict[str, str] | None:
        """Return what a pod needs to find the instance; None if it cannot."""
        try:
            if self.instance is None:
                return None
            refuse_local_instance(self.instance)
        except DeclarationError:
            return None
        return dict(self.instance.get_ref().to_dict())

    def _capacity(
        self, server: ApiServer, pods: Sequence[tuple[Placement, Mapping[str, Any]]]
    ) -> Iterator[Finding]:
        try:
            nodes = server.nodes()
        except Forbidden:
            advice = "Run doctor as a cluster's administrator."
            yield not_checked("nodes", "whoever runs this may not list nodes", advice)
            return
        asked = [(each.step, pod, each.worker.memory_limit) for each, pod in pods]
        yield from capacity(nodes, asked, autoscaled=self.autoscaled)


def _asked(check: str, findings: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield findings; an API server that does not answer is one."""
    try:
        yield from findings()
    except (ApiException, *Unreachable) as error:
        yield failed(check, *_told(error))


def _told(error: Exception) -> tuple[str, str]:
    if isinstance(error, PracticusAssetsError):
        return error.found, error.advice
    if isinstance(error, ApiException):
        return f"the API server answered: {said(error)}", "See to the kubeconfig's credentials and context."
    return f"it cannot be reached: {error}", "See to the kubeconfig's server, the network, and the cluster."
