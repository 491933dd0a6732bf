"""The catalog: the assets that are tables of a lake, with the place and the settings of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.assets.lakes.layered_table import LayeredTable
from practicus_assets.assets.metadata.places import place, shared
from practicus_assets.assets.metadata.spellings import ours
from practicus_assets.assets.report.names import DIMENSION_TAG
from practicus_assets.assets.settings import TableSettings
from practicus_assets.assets.table_definition import TableDefinition
from practicus_assets.errors import DeclarationError, TableNotFound, did_you_mean
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.wording import in_short, names_of

_LONGEST_TEXT = 500
_SHOWN_NAMES = 12


@dataclass(frozen=True)
class TableEntry:
    """An asset that is a table.

    Attributes:
        key: the asset's key.
        table: where it lives.
        root_uri: the root of its lake.
        settings: how it is stored.
        partitions_def: the asset's partitions; None if it has none.
        layered: the table with that of the base, if the lake lies over one.
        contract: what the table promises; None if nothing, or if another process read the definitions.
        is_written: whether a materialization writes the table; False for external assets and for those that
            return nothing, which may be no tables at all.
        location: the code location's name, where another one has a table of the same name.

    """

    key: dg.AssetKey
    table: Table
    root_uri: str
    settings: TableSettings
    partitions_def: dg.PartitionsDefinition[Any] | None
    layered: LayeredTable
    contract: Contract | None = None
    is_written: bool = True
    location: str = ""

    @property
    def name(self) -> str:
        """How people call the table."""
        return self.table.name

    @property
    def label(self) -> str:
        """The table's name, after that of its code location where names meet."""
        return f"{self.location}:{self.name}" if self.location else self.name

    def missing(self) -> TableNotFound:
        """Return the error that there is no table."""
        advice = f"Materialize {self.name} first."
        if self.layered.base_at(None) is not None:
            advice = f"It is in the base, {self.layered.base_uri}, and is read there; commands there know it."
        elif not self.is_written:
            advice = f"{self.name} is an external asset, or one that returns nothing: no run here writes it."
        return TableNotFound(f"there is no Delta table at {self.table.uri}.", advice)

    def partition_keys(self, instance: dg.DagsterInstance) -> list[str]:
        """Return the keys of every partition that the asset has now; none if it has no partitions."""
        if self.partitions_def is None:
            return []
        return list(self.partitions_def.get_partition_keys(dynamic_partitions_store=instance))

    def scope(self, instance: dg.DagsterInstance, keys: Sequence[str]) -> Scope:
        """Return the scope of partitions.

        Args:
            instance: the Dagster instance, which knows the keys of dynamic partitions.
            keys: the partitions' keys; none for the whole table.

        Raises:
            DeclarationError: for a key that the asset does not have.

        """
        if not keys:
            return Scope()
        existing = self.partition_keys(instance)
        unknown = sorted(set(keys) - set(existing))
        if unknown:
            ends = f"from {existing[0]} to {existing[-1]}" if existing else "none"
            raise DeclarationError(
                f"{self.name} has no {names_of('partition', unknown[:5])}; it has {len(existing):,}, {ends}.",
                did_you_mean(
                    unknown[0], existing, "Give keys as Dagster shows them; of two dimensions, joined by '|'."
                ),
            )
        by_text = {str(key): key for key in existing}
        return self.settings.scope(self.partitions_def, [by_text[key] for key in dict.fromkeys(keys)])

    def materialization(
        self, partition: str, description: str, metadata: Mapping[str, Any], tags: Mapping[str, str]
    ) -> dg.AssetMaterialization:
        """Return an event that reports a partition, or the whole table where `partition` is empty."""
        dimensions: dict[str, str] = {}
        if partition and isinstance(self.partitions_def, dg.MultiPartitionsDefinition):
            key = self.partitions_def.get_partition_key_from_str(partition)
            dimensions = {f"{DIMENSION_TAG}{name}": value for name, value in key.keys_by_dimension.items()}
        return dg.AssetMaterialization(
            asset_key=self.key,
            partition=partition or None,
            description=description,
            metadata=dict(metadata),
            tags={**tags, **dimensions},
        )


def entry(assets: dg.AssetsDefinition, key: dg.AssetKey, lake: DeltaIOManager) -> TableEntry:
    """Return the entry of an asset that a lake stores."""
    specification = assets.get_asset_spec(key)
    settings = lake.settings(specification.metadata)
    layered = lake.layered(key, specification.metadata)
    return TableEntry(
        key,
        layered.own,
        lake.root(),
        settings,
        specification.partitions_def,
        layered,
        assets.contract if isinstance(assets, TableDefinition) else None,
        _is_written(assets, key),
    )


def may_be_table(assets: dg.AssetsDefinition, key: dg.AssetKey, lake: DeltaIOManager) -> bool:
    """Return False for an asset that nothing here writes, and that has words of other IO managers as its own.

    Such as one of dbt with its own `schema`: the lake is its IO manager only because each asset has one.
    """
    metadata = assets.get_asset_spec(key).metadata
    if _is_written(assets, key) or any(name.startswith("delta/") for name in metadata):
        return True
    try:
        ours(metadata)
        place(lake.table_path, key, metadata)
    except DeclarationError:
        return False
    return True


def _is_written(assets: dg.AssetsDefinition, key: dg.AssetKey) -> bool:
    if not assets.is_materializable:
        return False
    output = assets.get_output_name_for_asset_key(key)
    return not assets.node_def.output_def_named(output).dagster_type.is_nothing


def catalog(definitions: dg.Definitions, names: Sequence[str] = ()) -> dict[str, TableEntry]:
    """Return every asset of a code location that a `DeltaIOManager` stores, by the name of its table.

    Assets that return nothing are among them, for Dagster gives each asset an IO manager: whether there is a
    table shows in the lake. Partitioned ones that do not name the column of their partitions are not.

    Args:
        definitions: the definitions of the code location.
        names: the names of tables that must be there; others are refused before the lake is configured, for
            which Dagster loads its storage.

    Raises:
        DeclarationError: if the lake's configuration or an asset's settings are wrong, or a name is missing.

    """
    needed = _io_manager_keys(definitions.resolve_asset_graph().assets_defs)
    resources = {
        name: resource
        for name, resource in (definitions.resources or {}).items()
        if name in needed.values() and isinstance(resource, DeltaIOManager)
    }
    needed = {
        (assets, key): name
        for (assets, key), name in needed.items()
        if name in resources and may_be_table(assets, key, resources[name])
    }
    stored = [
        "/".join(place(resources[name].table_path, key, assets.get_asset_spec(key).metadata))
        for (assets, key), name in needed.items()
    ]
    _refuse_unknown(names, stored)
    with configured(resources) as made:
        lakes: Mapping[str, DeltaIOManager] = {name: getattr(made, name) for name in resources}
        entries = [entry(assets, key, lakes[name]) for (assets, key), name in needed.items()]
        tables = [table for table in entries if _is_stored(table)]
    _refuse_shared(tables)
    return {table.name: table for table in sorted(tables, key=lambda table: table.is_written)}


def _refuse_shared(tables: Iterable[TableEntry]) -> None:
    owners: dict[str, TableEntry] = {}
    for table in tables:
        owner = owners.setdefault(table.table.uri, table)
        if owner is not table and owner.is_written and table.is_written:
            raise shared(table.name, [owner.key, table.key])


def _is_stored(table: TableEntry) -> bool:
    """Return whether an asset can be a table: without a column of its partitions it could not be written."""
    if table.partitions_def is None:
        return True
    try:
        table.settings.columns_of(table.partitions_def)
    except DeclarationError:
        return False
    return True


@contextmanager
def configured(resources: Mapping[str, DeltaIOManager]) -> Iterator[Any]:
    """Give lakes the values of the environment variables that they name, as attributes of one object.

    Raises:
        DeclarationError: if one is not set.

    """
    try:
        with dg.build_resources(resources) as made:
            yield made
    except dg.DagsterInvalidConfigError as error:
        problems = "; ".join(" ".join(problem.message.split()) for problem in error.errors)
        raise DeclarationError(
            f"the lake's configuration is incomplete: {in_short(problems, _LONGEST_TEXT)}.",
            "Set what it names where this command runs.",
        ) from error


def _io_manager_keys(
    definitions: Iterable[dg.AssetsDefinition],
) -> dict[tuple[dg.AssetsDefinition, dg.AssetKey], str]:
    return {
        (assets, key): assets.get_io_manager_key_for_asset_key(key)
        for assets in definitions
        for key in sorted(assets.keys)
    }


def chosen(entries: Mapping[str, TableEntry], names: Sequence[str]) -> list[TableEntry]:
    """Return the entries of these tables; of all, if none is named.

    Raises:
        DeclarationError: for a name that is not among them.

    """
    _refuse_unknown(names, entries)
    return [entries[name] for name in names or sorted(entries)]


def _refuse_unknown(names: Sequence[str], existing: Iterable[str]) -> None:
    tables = sorted(existing)
    unknown = [name for name in names if name not in tables]
    if not unknown:
        return
    few = tables[:_SHOWN_NAMES]
    more = f" and {len(tables) - len(few):,} more" if len(tables) > len(few) else ""
    verb = "is" if len(unknown) == 1 else "are"
    raise DeclarationError(
        f"there {verb} no {names_of('table', unknown)} here.",
        did_you_mean(
            unknown[0],
            tables,
            f"There are {', '.join(few)}{more}." if few else "The code location has no tables.",
            most=3,
        ),
    )
