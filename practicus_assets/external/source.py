"""`Source`: a table, a query or files of another system, as an external asset that other assets read."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import dagster as dg

from practicus_assets.assets.asset_options import Key
from practicus_assets.assets.report.column_schema import table_schema
from practicus_assets.assets.report.names import COLUMN_SCHEMA, PARTITION_EXPR
from practicus_assets.assets.settings import PartitionBy
from practicus_assets.external import names
from practicus_assets.external.changes.observation import observable_asset
from practicus_assets.external.changes.observer import Observer, observe
from practicus_assets.external.declaration import Consistent, Declaration, declared
from practicus_assets.external.source_resource import SourceResource
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.parameters import named_parameters
from practicus_assets.sources.credentials import Credential
from practicus_assets.sources.relation import Relation


@named_parameters
class Source(dg.AssetsDefinition):
    """A table, a query or files of another system, which assets read by its name.

        orders = Source("orders", PostgreSQL(…).table("public.orders"))

    It stands in `Definitions(assets=[…])` as an asset that is observed, and that no run makes. The parameter
    of an asset's function that has its name gets its rows, as the parameter is annotated, and of a
    partitioned one only those of the run's partitions.

    Args:
        name: the asset's name, or its key.
        relation: what is read, as a system gives it: `PostgreSQL(…).table("public.orders")`.
        key_prefix: what comes before the name in the asset's key.
        partitions_def: the source's partitions.
        partition_expr: the column that tells partitions apart, or an expression in the system's own
            language; of several dimensions, a mapping from each dimension to its own.
        columns: the columns that the source promises: a mapping from name to `Column` or type, a `Contract`
            of these, or a pandera model. Values are cast exactly, or refused by name. Further columns, and
            all without a declaration, have the types that the system gives.
        updated_at: the column that holds when a row was last changed.
        lag: how much later than its `updated_at` a row may appear, e.g. "3d".
        consistent: "run" if all steps of a run are to read one state, where system and executor can; "step"
            if each step may read a newer one.
        group_name, owners, tags, description, metadata, automation_condition: as of a `dg.AssetSpec`.

    Attributes:
        declaration: what is declared.

    Raises:
        DeclarationError: if the arguments do not fit together.

    """

    declaration: Declaration

    def __init__(
        self,
        name: Key,
        relation: Relation[Any],
        *,
        key_prefix: str | Sequence[str] = (),
        partitions_def: dg.PartitionsDefinition[Any] | None = None,
        partition_expr: PartitionBy | None = None,
        columns: Any = None,
        updated_at: str | None = None,
        lag: Any = None,
        consistent: Consistent = "run",
        group_name: str | None = None,
        owners: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        automation_condition: dg.AutomationCondition[Any] | None = None,
    ) -> None:
        key = dg.AssetKey.from_coercible(name)
        key = key.with_prefix(key_prefix) if key_prefix else key
        self.declaration = declared(
            key.to_user_string(),
            relation,
            partitions_def=partitions_def,
            partition_expr=partition_expr,
            columns=columns,
            updated_at=updated_at,
            lag=lag,
            consistent=consistent,
        )
        resource_key = f"source__{names.identifier(key)}"
        spec = dg.AssetSpec(
            key,
            partitions_def=partitions_def,
            group_name=group_name,
            owners=owners,
            tags=tags,
            description=description,
            metadata={**_metadata(self.declaration), **(metadata or {})},
            automation_condition=automation_condition,
            kinds={relation.system.kind},
        ).with_io_manager_key(resource_key)
        observed = observable_asset(spec, observe(Observer(key, self.declaration, partitions_def)))
        resources = {resource_key: SourceResource(self.declaration)}
        _initialize(self, {**observed.get_attributes_dict(), "resource_defs": resources})

    @classmethod
    def from_connection_file(
        cls,
        path: str | Path,
        name: Key | None = None,
        *,
        credentials: Mapping[str, Credential] | None = None,
        **options: Any,
    ) -> "Source":
        """Return the source that a connection file of Practicus AI names (see docs/sources.md).

        Args:
            path: where the file is.
            name: the asset's name, or its key; by default that of the file: `orders` of `orders_conn.json`.
            credentials: the login by the file's names for it, where the file has none or another one, e.g.
                `{"password": dg.EnvVar("SHOP_PASSWORD")}`.
            options: as of the class.

        Raises:
            DeclarationError: if it cannot be read, is of a type that has no counterpart, or asks for what
                would change the rows.

        """
        from practicus_assets.sources.connection_file import read_connection_file  # noqa: PLC0415 few are by files
        from practicus_assets.sources.connection_relation import relation_of  # noqa: PLC0415 as above

        connection = read_connection_file(path, credentials)
        return cls(name or connection.table_name, relation_of(connection), **options)

    @staticmethod
    def dagster_internal_init(**attributes: Any) -> "Source":
        """Return a copy with other attributes; Dagster makes its copies by this name."""
        source = Source.__new__(Source)
        source.declaration = attributes.pop("declaration")
        _initialize(source, attributes)
        return source

    def get_attributes_dict(self) -> dict[str, Any]:
        """Return what a copy is made of."""
        return {**super().get_attributes_dict(), "declaration": self.declaration}

    def with_resources(self, resource_defs: Mapping[str, dg.ResourceDefinition]) -> Self:  # noqa: ARG002
        """Return the source as it is: what reads it is its own."""
        return self

    @property
    def relation(self) -> Relation[Any]:
        """What is read, in its system."""
        return self.declaration.relation

    @property
    def observer(self) -> Observer:
        """What finds the changes of the source since it was last observed."""
        return Observer(self.key, self.declaration, self.partitions_def)

    def scope(self, keys: Sequence[str]) -> Scope:
        """Return what partitions are in the relation; all rows, if the source has none.

        Args:
            keys: the keys of at least one partition, if the source has partitions.

        """
        return self.declaration.scope(self.partitions_def, keys)


def _initialize(source: Source, attributes: Mapping[str, Any]) -> None:
    """Make a source what an asset with these attributes is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # of a parameter that Dagster itself passes
        dg.AssetsDefinition.__init__(source, **attributes)


def _metadata(declaration: Declaration) -> dict[str, Any]:
    """Return what the catalog shows of a source; nothing that opens a connection."""
    relation, contract = declaration.relation, declaration.contract
    schema = contract.schema if contract is not None else None
    entries = {
        names.ADDRESS: relation.system.address,
        names.RELATION: relation.name,
        names.POOL: relation.system.pool,
        PARTITION_EXPR: declaration.partition_expr,
        COLUMN_SCHEMA: table_schema(schema, contract) if schema is not None else None,
    }
    return {name: entry for name, entry in entries.items() if entry is not None}
