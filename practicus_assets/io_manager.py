"""The IO manager: the lake's configuration, inputs as snapshots, and outputs of plain assets."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from practicus_assets.errors import DeclarationError, naming
from practicus_assets.lake.contract import Contract
from practicus_assets.lake.conversion import read_as
from practicus_assets.lake.partitions import Scope
from practicus_assets.lake.provenance import Provenance
from practicus_assets.lake.snapshot import Snapshot
from practicus_assets.lake.storage import Table
from practicus_assets.lake.transaction import Transaction
from practicus_assets.report import commit_metadata, partition_metadata
from practicus_assets.runs import Context, pinned, provenance_of
from practicus_assets.settings import TableSettings


class DeltaIOManager(dg.ConfigurableIOManager):  # type: ignore[misc]
    """Stores assets as Delta tables below one root, and gives them to other assets as snapshots.

    A table lives at `root_uri`, followed by the parts of its asset key, joined by `/`.

    On a plain `@dg.asset`, the definition metadata says how: `partition_expr` (a column, or a mapping from
    partition dimension to column), `mode`, `merge_keys`, `on_schema_change`; and on an input,
    `AssetIn(metadata={"columns": [...]})` reads only these columns.

    Attributes:
        root_uri: a folder, or an object store prefix such as `s3://bucket/lake`.
        storage_options: delta-rs's own; values may be `dg.EnvVar`. They are no part of Dagster's
            configuration, so that no page, run or event shows them.
        preview_rows: how many rows a materialization shows; 0 for none.

    """

    root_uri: str
    storage_options: dg.ResourceDependency[dict[str, str]] = Field(default={}, repr=False)
    preview_rows: int = 5

    _inputs: dict[tuple[str, str], dict[str, int]] = PrivateAttr(default_factory=lambda: defaultdict(dict))

    def table(self, key: dg.AssetKey) -> Table:
        """Return the place of an asset's table.

        Raises:
            DeclarationError: if the key cannot be a path, or an environment variable is not set.

        """
        options = {}
        for name, value in self.storage_options.items():
            found = value.get_value() if isinstance(value, dg.EnvVar) else value
            if found is None:
                raise DeclarationError(
                    f"storage option {name} comes from the environment variable {value.env_var_name}, "
                    "which is not set.",
                    "Set it where the run's processes start.",
                )
            options[name] = str(found)
        return Table.at(self.root_uri, key.path, options)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Commit the value of a plain asset: replace its partitions, or what `mode` says."""
        if not context.has_asset_key:
            raise DeclarationError(
                f"output {context.name!r} is no asset, so it has no table.", "Give it another io_manager_key."
            )
        settings = TableSettings.from_metadata(context.definition_metadata or {})
        partitioned = context.has_asset_partitions
        scope = settings.scope(
            context.asset_partitions_def if partitioned else None,
            context.asset_partition_keys if partitioned else [],
        )
        table = self.table(context.asset_key)
        provenance = self.provenance(context, context.asset_key)
        commit = self.begin(table, scope, settings, None, provenance).write(obj)
        metadata = commit_metadata(table, scope, commit, None, provenance.inputs, self.preview_rows)
        if len(commit.fingerprints) == 1:
            metadata |= partition_metadata(commit, next(iter(commit.fingerprints)))
        context.add_output_metadata(metadata)

    def load_input(self, context: dg.InputContext) -> Any:
        """Return the table, or the partitions that map to the run's, as the parameter's annotation asks."""
        table = self.table(context.asset_key)
        upstream = context.upstream_output.definition_metadata if context.upstream_output else {}
        settings = TableSettings.from_metadata(upstream or {})
        annotation = context.dagster_type.typing_type
        columns = (context.definition_metadata or {}).get("columns")
        with naming(table.name):
            partitioned = context.has_asset_partitions
            keys = list(context.asset_partition_keys) if partitioned else []
            if partitioned and not keys:
                snapshot = pinned(context, table, Scope())
                empty = snapshot.schema.empty_table().select(columns or snapshot.schema.names)
                return snapshot if annotation is Snapshot else read_as(empty.to_reader(), annotation)
            scope = settings.scope(context.asset_partitions_def if partitioned else None, keys)
            snapshot = pinned(context, table, scope)
        provenance = provenance_of(context)
        self._inputs[provenance.run_id, provenance.step][table.name] = snapshot.version
        if annotation is Snapshot:
            return snapshot
        with naming(table.name, str(scope)):
            return read_as(snapshot.scan(columns), annotation)

    def provenance(self, context: Context, key: dg.AssetKey, code_version: str | None = None) -> Provenance:
        """Return who commits an asset in a step, and from which versions of its inputs."""
        work = provenance_of(context, asset_key=key.to_user_string(), code_version=code_version or "")
        return replace(work, inputs=dict(self._inputs[work.run_id, work.step]))

    def begin(
        self,
        table: Table,
        scope: Scope,
        settings: TableSettings,
        contract: Contract | None,
        provenance: Provenance,
    ) -> Transaction:
        """Begin a transaction on an asset's table."""
        return Transaction(
            table,
            scope,
            partition_by=settings.columns,
            mode=settings.mode,
            merge_keys=settings.merge_keys,
            delete_unmatched=settings.delete_unmatched,
            contract=contract,
            on_schema_change=settings.on_schema_change,
            provenance=provenance,
        )
