"""One step of an export: the changed partitions of a pinned version, brought to another system."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

import dagster as dg

from practicus_assets.assets.io_manager import lake_of
from practicus_assets.assets.lakes.pins import pinned_for
from practicus_assets.assets.report import names
from practicus_assets.assets.runs import metadata_of
from practicus_assets.destinations.destination import Destination
from practicus_assets.destinations.export import Export, Exported
from practicus_assets.errors import DeclarationError, naming, naming_page
from practicus_assets.external.upstream import Upstream
from practicus_assets.wording import number_of

OUTCOME = "export/outcome"
ROWS = "export/rows"
TARGET = "export/target"
ADDRESS = "export/address"
TABLE_VERSION = "export/table_version"
DATA_VERSION = "export/data_version"
SECONDS = "export/seconds"


class ExportStep:
    """What the step of an export does.

    Args:
        upstream: the table.
        destination: where its rows go.
        target: the name there.
        columns: the name there of each column that goes there; none for all.
        create: whether a target that is not there is made.

    """

    def __init__(
        self,
        upstream: Upstream,
        destination: Destination,
        target: str,
        columns: Mapping[str, str],
        *,
        create: bool,
    ) -> None:
        self._upstream = upstream
        self._destination = destination
        self._target = target
        self._columns = columns
        self._create = create

    def run(self, context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        """Bring the rows of a run there, and return what Dagster records of it."""
        with naming_page():
            return self._run(context)

    def _run(self, context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        upstream, partitions_def = self._upstream, context.assets_def.partitions_def
        metadata = metadata_of(context, upstream.key)
        layered = lake_of(context, upstream.io_manager_key).layered(upstream.key, metadata)
        table = layered.own
        if layered.base is not None:
            raise DeclarationError(
                f"{table.name} is of a lake that lies over the base {layered.base_uri}, and an export of it "
                "would replace what other systems have of the base's table.",
                "Leave exports out of runs in such a lake; promote the table, and export it from the base's.",
            )
        keys = context.partition_keys if partitions_def is not None else []
        scope = upstream.settings.scope(partitions_def, keys)
        began = time.monotonic()
        with naming(table.name, str(scope)):
            export = Export(
                table,
                pinned_for(context, upstream.key, layered, scope),
                self._target,
                self._columns,
                create=self._create,
                key=self._key(),
                required=self._required(),
                grain=_grain(partitions_def),
                run_id=context.run.run_id,
            )
            exported = self._destination.write(export)
        seconds = time.monotonic() - began
        context.log.info(self._line(export, exported, seconds))
        return dg.MaterializeResult(
            metadata=self._metadata(export, exported, seconds), data_version=dg.DataVersion(_version(export))
        )

    def _metadata(self, export: Export, exported: Exported, seconds: float) -> dict[str, Any]:
        rows_name = names.ROW_COUNT if export.scope.is_whole_table else names.PARTITION_ROW_COUNT
        return {
            OUTCOME: exported.outcome,
            ROWS: exported.rows,
            TARGET: self._target,
            ADDRESS: self._destination.address,
            TABLE_VERSION: export.snapshot.version,
            DATA_VERSION: _version(export),
            SECONDS: seconds,
            **({rows_name: exported.rows} if len(export.parts) == 1 else {}),
        }

    def _line(self, export: Export, exported: Exported, seconds: float) -> str:
        place = export.table.name + ("" if export.scope.is_whole_table else f" [{export.scope}]")
        there = f"{number_of(exported.rows, 'row')} of version {export.snapshot.version}"
        what = "exported" if exported.outcome == "exported" else "nothing written, already there are"
        earlier = ", of which a second connection learned" if exported.recovered else ""
        where = f"{self._target} in {self._destination.address}"
        return f"{place}: {what} {there}, {where}{earlier}, {seconds:.1f} s"

    def _key(self) -> tuple[str, ...]:
        """Return the columns that tell rows of the whole table apart, if the contract says so.

        A contract's key holds within the scope of a transaction, so the partition's columns belong to it.
        """
        contract, columns = self._upstream.contract, self._upstream.partition_columns
        needed = self._required()
        for unique in contract.unique if contract is not None else ():
            key = (*(c for c in columns if c not in unique), *unique)
            if all(name in needed and (not self._columns or name in self._columns) for name in key):
                return key
        return ()

    def _required(self) -> tuple[str, ...]:
        """Return the columns that hold no null, by the contract and by the partitions."""
        contract = self._upstream.contract
        declared = contract.columns if contract is not None else {}
        strict = [name for name, c in declared.items() if not c.nullable and c.severity == "ERROR"]
        return (*self._upstream.partition_columns, *strict)


def _version(export: Export) -> str:
    """Return one data version for all partitions of an export."""
    versions = list(export.data_versions.values())
    if len(versions) == 1:
        return versions[0]
    return hashlib.sha256(json.dumps(sorted(versions)).encode()).hexdigest()[:32]


def _grain(partitions_def: dg.PartitionsDefinition[Any] | None) -> str:
    """Return what tells these partitions from those of another size on the same column."""
    if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition):
        return f"{partitions_def.cron_schedule} {partitions_def.timezone}"
    if isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return ", ".join(_grain(dimension.partitions_def) for dimension in partitions_def.partitions_defs)
    return ""
