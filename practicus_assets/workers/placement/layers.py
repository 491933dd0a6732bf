"""Layers of defaults and overrides, laid over each other to one worker whose fields know their origin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from practicus_assets.workers.request.quantity import amount, memory
from practicus_assets.workers.request.worker import SIZES, Worker

SPOT_ATTEMPTS = 2  # how many attempts may lose a spot node before one gets a node that stays


@dataclass(frozen=True)
class LayeredWorker:
    """A worker whose fields come from several layers.

    Attributes:
        worker: the worker, its size resolved.
        origins: for each given field, the name of its layer; of mappings and lists there may be several.

    """

    worker: Worker
    origins: Mapping[str, str]

    @classmethod
    def of(
        cls, layers: Sequence[tuple[str, Worker]], sizes: Mapping[str, Worker] | None = None
    ) -> "LayeredWorker":
        """Lay workers over each other: later ones win, mappings and lists add up.

        Args:
            layers: workers with the names of their layers, the weakest first.
            sizes: workers by the name of a size, besides the standard ones, which they may replace.

        Raises:
            DeclarationError: for an unknown size.

        """
        given: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for name, layer in layers:
            complete = layer.sized({**SIZES, **(sizes or {})}, name)
            for field, value in complete.given().items():
                origin = f"size {layer.size} of {name}" if getattr(layer, field) is None else name
                added = field in given and isinstance(value, dict | list)
                origins[field] = f"{origins[field]}, {origin}" if added else origin
                given[field] = _joined(given.get(field), value)
            for low in ("cpu", "memory"):
                high = f"{low}_limit"
                if low in given and high in given and amount(given[low]) > amount(given[high]):
                    # if the bounds contradict each other, the stronger layer wins
                    stronger, weaker = (low, high) if getattr(complete, low) is not None else (high, low)
                    given[weaker], origins[weaker] = given[stronger], f"{name}, as {stronger}"
        return cls(Worker(**given), origins)

    def after(self, out_of_memory: int, lost: int) -> "LayeredWorker":
        """Return the worker of the next attempt.

        Args:
            out_of_memory: the number of attempts that ran out of memory.
            lost: the number of attempts that lost their pod through no fault of their own.

        """
        worker, origins = self.worker, dict(self.origins)
        if out_of_memory and worker.memory is not None and worker.memory_limit is not None:
            grown = min(amount(worker.memory) * 2**out_of_memory, amount(worker.memory_limit))
            worker = replace(worker, memory=memory(grown))
            origins["memory"] = f"{out_of_memory} attempts ran out of memory"
        if lost >= SPOT_ATTEMPTS and worker.spot:
            worker = replace(worker, spot=False)
            origins["spot"] = f"{lost} attempts lost their pod"
        return LayeredWorker(worker, origins)


def largest(workers: Sequence[Worker]) -> Worker:
    """Return the worker with the most memory, then the most CPU, for a step of many partitions."""
    return max(workers, key=lambda each: [amount(str(given)) for given in (each.memory or 0, each.cpu or 0)])


def _joined(below: Any, above: Any) -> Any:
    """Return two values of a field as one; the second is the stronger."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{key: _joined(below.get(key), value) for key, value in above.items()}}
    if isinstance(below, list) and isinstance(above, list):
        return [*below, *(each for each in above if each not in below)]
    return above
