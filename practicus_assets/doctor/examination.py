"""The examination of a code location, and of the places where its steps run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import dagster as dg

from practicus_assets.doctor.code_server import code_servers
from practicus_assets.doctor.finding import Finding, Section, failed, not_checked, ok, warning
from practicus_assets.doctor.folders import folders
from practicus_assets.doctor.lakes import lakes
from practicus_assets.doctor.machine import machine
from practicus_assets.doctor.placements import Placements, placements
from practicus_assets.doctor.probe import said
from practicus_assets.errors import DeclarationError
from practicus_assets.wording import number_of
from practicus_assets.workers.launch.backend import k8s_launcher, refuse_local_instance
from practicus_assets.workers.steps import current_image, jobs, planned_run


@dataclass(frozen=True)
class Examination:
    """What is examined.

    Attributes:
        definitions: the definitions of the code location.
        locations: see `TrialSettings`.
        instance: Dagster's instance; None if DAGSTER_HOME is not set.
        backend: the backend, instead of what the configuration says: "local" or "kubernetes"; None leaves it
            at that.
        seconds: the time that each pod is given to end.
        pods: whether pods are started.
        servers: the addresses of code servers.
        autoscaled: whether nodes are added when pods want them.

    """

    definitions: dg.Definitions
    locations: Sequence[Mapping[str, str]]
    instance: dg.DagsterInstance | None
    backend: str | None
    seconds: float
    pods: bool
    autoscaled: bool
    servers: Sequence[str]

    def sections(self) -> Iterator[Section]:
        """Yield one section per place.

        Findings are lazy: checks run when a section's are iterated, so consume the sections in order.
        """
        launcher = k8s_launcher(self.instance) if self.instance is not None else None
        asked = placements(jobs(self.definitions), self.instance, self.backend)
        yield Section("Code location", asked.findings)
        yield from folders(self.definitions)
        yield from lakes(self.definitions)
        yield Section("Instance", self._instance(asked))
        if self.servers:
            yield Section("Code servers", code_servers(self.servers))
        if asked.local:
            yield Section("This machine", machine(self.definitions))
        if asked.regions:
            yield from self._regions(asked, launcher)

    def _regions(self, asked: Placements, launcher: Any) -> Iterator[Section]:
        try:
            import practicus_assets.workers.kubernetes  # noqa: F401, PLC0415 says what to install
        except DeclarationError as error:
            yield Section("Kubernetes", [failed("packages", error.problem, error.advice)])
            return
        from practicus_assets.doctor.region import RegionExamination  # noqa: PLC0415 needs those packages
        from practicus_assets.doctor.trial import STEP, TrialSettings  # noqa: PLC0415 the same

        settings = TrialSettings(
            locations=self.locations,
            instance=self._reference(),
            launcher=launcher,
            run=planned_run(STEP, run_id=str(uuid4()), image=current_image(launcher)),
            seconds=self.seconds,
        )
        for region in asked.regions.values():
            workers = [worker for worker in asked.pods if worker.region.name == region.name]
            examination = RegionExamination(region, workers, settings, autoscaled=self.autoscaled)
            yield Section(examination.title, examination.findings())
            if self.pods:
                yield from examination.trials()

    def _instance(self, asked: Placements) -> Iterator[Finding]:
        if self.instance is None:
            yield not_checked("instance", "DAGSTER_HOME is not set", "Set it as for dagster's own commands.")
            return
        try:
            self.instance.get_runs_count()
        except Exception as error:  # noqa: BLE001 whatever the storage raises
            yield failed("instance", said(error), "See dagster.yaml and the database.")
            return
        storage = type(self.instance.run_storage).__name__
        yield ok("instance", f"{storage} answers; {type(self.instance.run_launcher).__name__} launches runs")
        yield from self._freshness(self.instance)
        if asked.regions:
            try:
                refuse_local_instance(self.instance)
            except DeclarationError as error:
                yield failed("events", error.problem, error.advice)

    def _freshness(self, instance: dg.DagsterInstance) -> Iterator[Finding]:
        """Yield whether the freshness policies of assets are evaluated, where there are some."""
        nodes = self.definitions.get_repository_def().asset_graph.asset_nodes
        count = sum(1 for node in nodes if node.freshness_policy is not None)
        if not count:
            return
        policies = number_of(count, "asset")
        if instance.freshness_enabled:
            yield ok("freshness", f"the daemon evaluates the policies of {policies}")
        else:
            yield warning(
                "freshness",
                f"{policies} with a freshness policy, and the freshness daemon is off",
                "Write freshness: {enabled: true} into dagster.yaml, and restart the daemon.",
            )

    def _reference(self) -> dict[str, str] | None:
        """Return what a pod needs to find the instance; None if it cannot."""
        try:
            if self.instance is None:
                return None
            refuse_local_instance(self.instance)
        except DeclarationError:
            return None
        return dict(self.instance.get_ref().to_dict())
