"""Splits: into how many parts the work of a step is cut, by what, and which of them a function works on."""

from dataclasses import dataclass
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.parameters import named_parameters
from practicus_assets.workers.request.tags import SPLIT_WORKER_TAG
from practicus_assets.workers.request.worker import Worker

_MOST = 10_000
_EXAMPLE = 'Write splits=16, Splits(16, of="flights") or Splits(16, by="origin").'


@named_parameters
@dataclass(frozen=True)
class Splits:
    """How the work of one table's step is cut into parts, each of which a process or pod of its own does.

    The rows of the one input that is divided are cut into so many parts, and the other inputs are given whole
    to each of them. With `by`, every input that has this column is divided by it, so that all rows of one
    value meet in one split.

    Attributes:
        count: how many splits there are.
        of: the input that is divided; it need not be named where there is one.
        by: the column by whose values inputs are divided.
        at_once: how many splits run at the same time; by default as many as the step's worker has cores, or
            32 in pods of their own.
        worker: with it, each split is a pod of its own where its step is one; what the worker does not say is
            as the step's. Elsewhere splits stay processes, in the step's worker.

    """

    count: int
    of: str | None = None
    by: str | None = None
    at_once: int | None = None
    worker: Worker | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a number of splits, a name, or a worker.

        Raises:
            DeclarationError: naming the value.

        """
        if type(self.count) is not int or not 1 <= self.count <= _MOST:
            raise DeclarationError(
                f"splits is {self.count!r}, which is no number from 1 to {_MOST:,}.", _EXAMPLE
            )
        for name in ("of", "by"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise DeclarationError(f"{name}={value!r} of splits is no name.", _EXAMPLE)
        if self.of is not None and self.by is not None:
            raise DeclarationError(
                f"splits are of {self.of!r} and by {self.by!r}.",
                "Name one of them: by divides every input that has the column.",
            )
        if self.at_once is not None and (type(self.at_once) is not int or self.at_once < 1):
            raise DeclarationError(
                f"at_once={self.at_once!r} of splits is no number from 1.", "Leave it out, or write 2."
            )
        if self.worker is not None and not isinstance(self.worker, Worker):
            raise DeclarationError(
                f"worker={self.worker!r} of splits is no Worker.",
                'Write Splits(16, worker=Worker(memory="4Gi")).',
            )
        if self.worker is not None and self.worker.region is not None:
            raise DeclarationError(
                f"the worker of splits names the region {self.worker.region!r}, and splits run where their "
                "step does.",
                "Name the region in the worker of the asset.",
            )

    @classmethod
    def of_value(cls, value: Any) -> "Splits | None":
        """Return what an author wrote as `splits=`; None for None.

        Raises:
            DeclarationError: for what is neither a number nor `Splits`.

        """
        return value if value is None or isinstance(value, Splits) else cls(value)

    @staticmethod
    def tags(splits: "Splits | None") -> dict[str, Any]:
        """Return the `op_tags` by which the executor knows that splits are to be pods."""
        worker = splits.worker if splits is not None else None
        return {SPLIT_WORKER_TAG: worker.given()} if worker is not None else {}


@dataclass(frozen=True)
class Split:
    """One part of the work of a step, as the parameter that a function annotates `Split`.

    A function that reads no table divides its work by it:

        names = sorted(folder.iterdir())[split.index :: split.count]

    Attributes:
        index: which part it is, from 0.
        count: how many parts there are.
        partition_keys: the keys of the run's partitions; none for a table without partitions.

    """

    index: int = 0
    count: int = 1
    partition_keys: tuple[str, ...] = ()

    @property
    def partition_key(self) -> str:
        """The key of the run's partition.

        Raises:
            DeclarationError: if the run is of none, or of several.

        """
        if len(self.partition_keys) != 1:
            raise DeclarationError(
                f"the run is of {len(self.partition_keys)} partitions, and has no single partition_key.",
                "Use partition_keys.",
            )
        return self.partition_keys[0]

    def __str__(self) -> str:
        return f"split {self.index + 1} of {self.count}"
