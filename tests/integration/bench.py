"""A bench: a Dagster instance and a lake, and short words for running assets and looking at tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from practicus_assets import DeltaIOManager

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass
class Bench:
    """Where tests run assets.

    Attributes:
        instance: of Dagster.
        root: of the lake.
        resources: beside the IO manager.

    """

    instance: dg.DagsterInstance
    root: str
    resources: dict[str, Any] = field(default_factory=dict)

    def run(
        self,
        assets: Sequence[Any],
        *,
        select: Any = None,
        partition: str | None = None,
        between: tuple[str, str] | None = None,
        tags: dict[str, str] | None = None,
        run_config: Any = None,
        fails: bool = False,
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets, by default all of them, in one run."""
        bounds = {RANGE_START: between[0], RANGE_END: between[1]} if between else {}
        result = dg.materialize(
            list(assets),
            selection=select,
            partition_key=partition,
            instance=self.instance,
            resources={"io_manager": DeltaIOManager(root_uri=self.root), **self.resources},
            tags={**bounds, **(tags or {})},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **(run_config or {})},
            raise_on_error=False,
        )
        assert result.success is not fails, errors(result)
        return result

    def table(self, name: str, version: int | None = None) -> DeltaTable:
        return DeltaTable(f"{self.root}/{name}", version=version)

    def exists(self, name: str) -> bool:
        return DeltaTable.is_deltatable(f"{self.root}/{name}")

    def version(self, name: str) -> int:
        return self.table(name).version()

    def frame(self, name: str, version: int | None = None) -> pd.DataFrame:
        table = pa.table(self.table(name, version).to_pyarrow_table())
        return table.select(sorted(table.column_names)).to_pandas()

    def rows(self, name: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return a table's rows, sorted."""
        frame = self.frame(name)
        return sorted(frame[list(columns) or list(frame.columns)].itertuples(index=False, name=None))

    def write(self, name: str, frame: pd.DataFrame, **options: Any) -> None:
        """Write to a table as somebody else, with delta-rs."""
        write_deltalake(f"{self.root}/{name}", pa.Table.from_pandas(frame, preserve_index=False), **options)

    def metadata(self, name: str, partition: str | None = None) -> dict[str, Any]:
        """Return the plain metadata of an asset's latest materialization."""
        return {key: entry.value for key, entry in self.event(name, partition).metadata.items()}

    def event(self, name: str, partition: str | None = None) -> dg.AssetMaterialization:
        wanted = dg.AssetRecordsFilter(
            dg.AssetKey(name.split("/")), asset_partitions=[partition] if partition else None
        )
        found = self.instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
        assert found is not None
        return found

    def data_version(self, name: str, partition: str | None = None) -> str:
        return (self.event(name, partition).tags or {})["dagster/data_version"]

    def materializations(self, name: str) -> int:
        return len(self.instance.fetch_materializations(dg.AssetKey(name.split("/")), limit=1000).records)


def errors(result: dg.ExecuteInProcessResult) -> str:
    """Return what the failed steps of a run say."""
    texts = []
    for event in result.all_events:
        data = event.event_specific_data
        error = getattr(data, "error", None)
        while error is not None:
            texts.append(error.message)
            error = error.cause
    return "\n".join(texts)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Return a run's check results by name."""
    return {found.check_name: found for found in result.get_asset_check_evaluations()}
