"""Problems of declarations: what of a code location's tables cannot be, or does not fit what is stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, configured, entry, may_be_table
from practicus_assets.assets.io_manager import DeltaIOManager, no_lake
from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.assets.metadata.places import shared
from practicus_assets.assets.table_definition import TablesDefinition
from practicus_assets.code_location import CodeLocation
from practicus_assets.definitions import definitions_of, loading
from practicus_assets.errors import DeclarationError, PracticusAssetsError, did_you_mean
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.planning.schema import change_of_run
from practicus_assets.wording import names_of

_DEFAULT = "io_manager"  # the key under which Dagster has an IO manager where nothing is set


@dataclass(frozen=True)
class DeclarationProblem:
    """Something that a run would be refused for.

    Attributes:
        table: the asset's key; empty for what is about the whole code location.
        text: what is wrong.
        advice: what to do.

    """

    table: str
    text: str
    advice: str = ""

    @classmethod
    def of(cls, error: PracticusAssetsError, table: str = "") -> "DeclarationProblem":
        """Return an error of one table as a problem."""
        return cls(table, error.problem, error.advice)


@dataclass(frozen=True)
class CheckedTables:
    """What was found.

    Attributes:
        problems: what is wrong, by table.
        tables: how many tables were looked at.
        stored: how many of them are there.

    """

    problems: tuple[DeclarationProblem, ...]
    tables: int
    stored: int


def checked(location: CodeLocation, store: dg.DagsterInstance) -> CheckedTables:
    """Look at the declaration of each table, and at the newest version of those that are there.

    Args:
        location: the code location.
        store: an instance that knows dynamic partitions, be it an empty one.

    Raises:
        DeclarationError: if the definitions cannot be loaded, so that there is nothing to look at.

    """
    definitions = definitions_of(location)
    with loading(location):
        complete = _with_io_managers(definitions)
        search = _Search(complete, {**_own_resources(definitions), **(definitions.resources or {})}, store)
    problems = list(search.problems())
    try:
        with loading(location):
            complete.get_repository_def().get_all_jobs()  # what does not fit together shows here
    except DeclarationError as error:
        problems.append(DeclarationProblem.of(error))
    return CheckedTables(tuple(dict.fromkeys(problems)), search.tables, search.stored)


def _with_io_managers(definitions: dg.Definitions) -> dg.Definitions:
    """Return definitions with an IO manager under each key that assets name; Dagster ends at the first."""
    named = {each.get_io_manager_key_for_asset_key(key) for each in _assets(definitions) for key in each.keys}
    missing = named - {*(definitions.resources or {}), *_own_resources(definitions), _DEFAULT}
    if not missing:
        return definitions
    return dg.Definitions.merge(
        definitions, dg.Definitions(resources=dict.fromkeys(missing, dg.mem_io_manager))
    )


def _own_resources(definitions: dg.Definitions) -> Mapping[str, Any]:
    """Return the resources that assets bring themselves, as a source does its IO manager."""
    return {key: each for asset in _assets(definitions) for key, each in asset.resource_defs.items()}


def _assets(definitions: dg.Definitions) -> list[dg.AssetsDefinition]:
    return [each for each in definitions.assets or () if isinstance(each, dg.AssetsDefinition)]


class _Search:
    def __init__(
        self, definitions: dg.Definitions, resources: Mapping[str, Any], store: dg.DagsterInstance
    ) -> None:
        self._graph = definitions.resolve_asset_graph()
        self._resources = resources
        self._store = store
        self._lakes: dict[str, DeltaIOManager | None] = {}
        self._columns: dict[dg.AssetKey, list[str]] = {}
        self.tables = 0
        self.stored = 0

    def problems(self) -> Iterator[DeclarationProblem]:
        """Yield what is wrong, that of lakes and places first."""
        entries: list[TableEntry] = []
        for key in self._graph.toposorted_asset_keys:
            yield from self._lake_of(key)
            try:
                entries += self._entry(key)
            except DeclarationError as error:
                yield DeclarationProblem.of(error, key.to_user_string())
        owners: dict[str, list[TableEntry]] = {}
        for table in entries:
            if table.is_written:
                owners.setdefault(table.table.uri, []).append(table)
        for tables in owners.values():
            if len(tables) > 1:
                one = shared(tables[0].name, [table.key for table in tables])
                yield DeclarationProblem.of(one, tables[0].key.to_user_string())
        for table in entries:
            yield from self._of_table(table)

    def _lake_of(self, key: dg.AssetKey) -> Iterator[DeclarationProblem]:
        """Yield what is wrong with the IO manager of an asset."""
        assets = self._graph.get(key).assets_def
        io_manager_key = assets.get_io_manager_key_for_asset_key(key)
        if io_manager_key not in self._lakes:
            yield from self._configure(io_manager_key)
        resource = self._resources.get(io_manager_key)
        is_needed = isinstance(assets, TablesDefinition) or io_manager_key not in {_DEFAULT, *self._resources}
        if is_needed and not isinstance(resource, DeltaIOManager):
            yield DeclarationProblem.of(no_lake(io_manager_key, resource), key.to_user_string())

    def _entry(self, key: dg.AssetKey) -> Iterator[TableEntry]:
        """Yield the entry of an asset, if it is a table; raises DeclarationError for wrong settings."""
        assets = self._graph.get(key).assets_def
        lake = self._lakes[assets.get_io_manager_key_for_asset_key(key)]
        if lake is not None and may_be_table(assets, key, lake):
            yield entry(assets, key, lake)

    def _configure(self, io_manager_key: str) -> Iterator[DeclarationProblem]:
        """Yield what is wrong with a lake, of which all tables are left out then."""
        resource = self._resources.get(io_manager_key)
        self._lakes[io_manager_key] = None
        if not isinstance(resource, DeltaIOManager):
            return
        try:
            with configured({io_manager_key: resource}) as made:
                lake = getattr(made, io_manager_key)
                lake.base()
                self._lakes[io_manager_key] = lake
        except PracticusAssetsError as error:
            yield DeclarationProblem.of(error)

    def _of_table(self, table: TableEntry) -> Iterator[DeclarationProblem]:
        name = table.key.to_user_string()
        if table.partitions_def is not None:
            try:
                table.settings.columns_of(table.partitions_def)
            except DeclarationError as error:
                if table.is_written:
                    yield DeclarationProblem.of(error, name)
                return
        self.tables += 1
        try:
            at = self._newest(table)
            if at is not None:
                self.stored += 1
                self._columns[table.key] = list(at.schema.names)
            elif table.contract is not None and table.contract.closed:
                self._columns[table.key] = list(table.contract.columns)
            if table.is_written:
                change = change_of_run(table, at, self._store)
                if change.refused:
                    yield DeclarationProblem(name, f"a run would be refused: {change.refused}")
        except PracticusAssetsError as error:
            yield DeclarationProblem.of(error, name)
        yield from self._inputs(table.key)

    @staticmethod
    def _newest(table: TableEntry) -> TableVersion | None:
        return table.table.open_if_exists() or table.layered.base_at(None)

    def _inputs(self, key: dg.AssetKey) -> Iterator[DeclarationProblem]:
        """Yield the inputs of an asset that name what their table does not have."""
        assets = self._graph.get(key).assets_def
        if not assets.is_executable:
            return
        inputs: Mapping[str, Any] = assets.node_def.input_dict
        for name, source in assets.keys_by_input_name.items():
            if name not in inputs:
                continue
            try:
                columns = InputSettings.from_metadata(inputs[name].metadata).columns
            except DeclarationError as error:
                yield DeclarationProblem.of(error, key.to_user_string())
                continue
            there = self._columns.get(source)
            unknown = [each for each in columns or () if there is not None and each not in there]
            if unknown and there is not None:
                yield DeclarationProblem(
                    key.to_user_string(),
                    f"the input {name!r} reads {names_of('column', unknown)}, which "
                    f"{source.to_user_string()} does not have.",
                    did_you_mean(unknown[0], there, f"It has {', '.join(there)}."),
                )
