"""What decides a step's pod: its worker, its region, and what its author says in Dagster's terms."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from practicus_assets.workers.placement.layers import LayeredWorker
from practicus_assets.workers.placement.region import Region
from practicus_assets.workers.request.worker import Worker


@dataclass(frozen=True)
class SplitPlacements:
    """The workers that the pods of a step's splits get.

    Attributes:
        grown: that of a split's first pod, and those after each that ran out of memory, as far as they grow.
        off_spot: that of a split which has lost too many spot nodes; None if it asks for none.

    """

    grown: tuple["Placement", ...]
    off_spot: "Placement | None" = None


@dataclass(frozen=True)
class Placement:
    """The worker that a step gets, and the region it goes to.

    Attributes:
        step: the step's key.
        worker: the worker, its size resolved, and placed on nodes of the region.
        origins: for each given field, the layers that it comes from.
        region: the region.
        pod_tags: the author's tags in Dagster's terms, such as `dagster-k8s/config`; the worker is laid over
            the pod that they describe.
        starter: where the step starts its command in a pod of its own, whose image has not this package: what
            the step itself gets. The worker is that of the command then; None where the step is the work.
        splits: what the pods get that the step starts for its splits; None where these are processes.
        engine: where the step's engine has workers of its own: what each of them gets; else None.

    """

    step: str
    worker: Worker
    origins: Mapping[str, str]
    region: Region
    pod_tags: Mapping[str, str] = field(default_factory=dict)
    starter: "Placement | None" = None
    splits: SplitPlacements | None = None
    engine: "Placement | None" = None

    @property
    def next_memory(self) -> str | None:
        """The memory of the next attempt if this one runs out; None if it would not be more."""
        grown = LayeredWorker(self.worker, self.origins).after(1, 0).worker.memory
        return grown if grown != self.worker.memory else None
