"""A notice: one thing that people are to know, in words without secrets and without values of rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "ok"]

_LONGEST_LIST = 3  # partitions that a title names


@dataclass(frozen=True)
class Notice:
    """One thing that people are to know.

    Attributes:
        id: what it is about, so that a receiver can tell a message that comes twice.
        kind: "failure", "check", "late", "stuck" or "recovered".
        level: how bad it is.
        subject: the table, job, sensor or schedule that it is about.
        reason: what equal notices have in common beside their subject, such as the error's class.
        title: what happened, in one line.
        lines: what is known of it, and what to do.
        partitions: the partitions concerned, as people read them.
        owners: the owners of the asset.
        url: the page about it; empty where no address of Dagster's pages is configured.
        run_id: the run that it is about; empty for none.
        moment: when it happened, in seconds since 1970.

    """

    id: str
    kind: str
    level: Level
    subject: str
    reason: str
    title: str
    lines: tuple[str, ...]
    moment: float
    partitions: str = ""
    owners: tuple[str, ...] = ()
    url: str = ""
    run_id: str = ""

    @property
    def group(self) -> str:
        """The name of those notices that are counted together when there are many."""
        return f"{self.kind} {self.subject} {self.reason}"


@dataclass(frozen=True)
class Pages:
    """The addresses of Dagster's pages.

    Attributes:
        base_url: where they begin; empty where that is not configured.

    """

    base_url: str = ""

    def run(self, run_id: str) -> str:
        """Return the address of a run's page."""
        return f"{self.base_url}/runs/{run_id}" if self.base_url and run_id else ""

    def asset(self, path: Sequence[str]) -> str:
        """Return the address of an asset's page."""
        return f"{self.base_url}/assets/{'/'.join(path)}" if self.base_url else ""


def place(subject: str, partitions: Sequence[str]) -> str:
    """Return a table's name with its partitions: `orders [2026-01-01 … 2026-01-31]`."""
    return f"{subject} [{listed(partitions)}]" if partitions else subject


def listed(partitions: Sequence[str]) -> str:
    """Return partitions as people read them; of many, the first and the last."""
    if len(partitions) > _LONGEST_LIST:
        return f"{partitions[0]} … {partitions[-1]}"
    return ", ".join(partitions)


def owners_of(owners: Iterable[str]) -> str:
    """Return the line that names owners; empty for none."""
    names = list(owners)
    return f"Owner{'s' * (len(names) > 1)}: {', '.join(names)}" if names else ""
