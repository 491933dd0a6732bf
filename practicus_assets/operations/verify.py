"""Verify: whether tables of assets are whole and Dagster knows what they hold, for command and job."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, chosen
from practicus_assets.errors import PracticusAssetsError, TableNotFound
from practicus_assets.lake.upkeep.progress import Progress, unseen
from practicus_assets.lake.upkeep.verify import TableProblem, Verification, verify_files
from practicus_assets.operations.configs import VerifyConfig
from practicus_assets.operations.drift import Drift, drift, repairs


@dataclass(frozen=True)
class VerifiedTable:
    """What was found out about one table.

    Attributes:
        table: the table's name.
        verification: the state of its log and files; None if there is no table, or an error came first.
        drifts: where Dagster believes otherwise; empty if Dagster was not asked.
        events: the materializations that repair drifts, to be reported; empty without `repair`.
        error: why the table could not be verified; None if it was.

    """

    table: str
    verification: Verification | None = None
    drifts: tuple[Drift, ...] = ()
    events: tuple[dg.AssetMaterialization, ...] = ()
    error: PracticusAssetsError | None = None

    @property
    def is_absent(self) -> bool:
        """Whether there is no table, and Dagster does not believe otherwise."""
        return self.verification is None and not self.drifts and self.error is None

    @property
    def problems(self) -> tuple[TableProblem, ...]:
        """What is wrong with the log and the files."""
        return self.verification.problems if self.verification is not None else ()

    @property
    def open_drifts(self) -> list[Drift]:
        """The drifts that the events do not repair."""
        return [drift for drift in self.drifts if not (self.events and drift.repairable)]

    @property
    def open_problems(self) -> int:
        """How many problems are left once the events are reported."""
        return len(self.problems) + len(self.open_drifts) + (self.error is not None)


def verify_table(
    entry: TableEntry,
    instance: dg.DagsterInstance | None,
    config: VerifyConfig,
    progress: Progress = unseen,
) -> VerifiedTable:
    """Verify one table, and compare it with what Dagster believes. Nothing is written.

    Args:
        entry: the table.
        instance: the Dagster instance to compare with; None to look at the lake only.
        config: what to do.
        progress: the callback that gets how many files are done, of how many.

    """
    verification = None
    try:
        verification = _verification(entry, instance, config, progress)
        if instance is None or (verification is not None and verification.version is None):
            return VerifiedTable(entry.label, verification)
        drifts = tuple(drift(entry, instance))
        events = tuple(repairs(entry, instance, drifts)) if config.repair else ()
    except PracticusAssetsError as error:
        return VerifiedTable(entry.label, verification, error=error)
    return VerifiedTable(entry.label, verification, drifts, events)


def _verification(
    entry: TableEntry, instance: dg.DagsterInstance | None, config: VerifyConfig, progress: Progress
) -> Verification | None:
    """Return the state of a table's log and files; None if there is no table."""
    with dg.DagsterInstance.ephemeral() if instance is None else nullcontext(instance) as store:
        scope = entry.scope(store, entry.partition_keys(store))
    try:
        return verify_files(entry.table, scope, rows=config.rows, progress=progress)
    except TableNotFound:
        return None  # whether that is wrong depends on what Dagster believes


def _metadata(verification: Verification) -> dict[str, Any]:
    return {f"verify/{n}": value for n, value in asdict(verification).items() if isinstance(value, int)}


def _sentences(verified: VerifiedTable) -> list[str]:
    name = verified.table
    sentences = [str(verified.error)] if verified.error is not None else []
    sentences += [f"{name}, {p.kind}: {p.subject}: {p.text} {p.advice}" for p in verified.problems]
    return sentences + [drift.sentence(name) for drift in verified.open_drifts]


def verified(
    context: dg.OpExecutionContext, tables: Mapping[str, TableEntry], config: VerifyConfig
) -> Iterator[Any]:
    """Verify tables, and yield what Dagster records; fail if something is wrong."""
    sentences: list[str] = []
    for entry in chosen(tables, config.tables):
        found = verify_table(entry, context.instance, config)
        if found.verification is not None:
            yield dg.AssetObservation(entry.key, metadata=_metadata(found.verification))
        elif found.error is None and entry.is_written:
            context.log.info("%s has no table yet", entry.name)
        yield from found.events
        sentences += _sentences(found)
    if sentences:
        raise dg.Failure("\n".join(sentences), metadata={"problems": len(sentences)}, allow_retries=False)
