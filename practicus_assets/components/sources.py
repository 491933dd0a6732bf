"""`Sources`: tables of another system, as YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import dagster as dg
from pydantic import BaseModel, Field

from practicus_assets.components.environment import described, late, login
from practicus_assets.components.partitions import Partitions
from practicus_assets.components.scaffolding import write_new
from practicus_assets.errors import DeclarationError
from practicus_assets.starters.names import refuse_identifier
from practicus_assets.starters.system import COLUMNS, ROWS, SYSTEMS

if TYPE_CHECKING:
    from practicus_assets.sources.relation import Relation


class SourcesToBegin(BaseModel):
    """What `dg scaffold defs` asks for."""

    system: Literal["files", "mysql", "postgresql"] = Field("files", description="what the sources are in")


class SourcesScaffolder(dg.Scaffolder[SourcesToBegin]):
    """What `dg scaffold defs` writes: one table of a database; or of CSV files, and such a file."""

    @classmethod
    def get_scaffold_params(cls) -> type[SourcesToBegin]:
        """Return what it asks for."""
        return SourcesToBegin

    def scaffold(self, request: dg.ScaffoldRequest[SourcesToBegin]) -> None:
        """Write the component's file, and a file for it to read where it is of files.

        Raises:
            DeclarationError: if a source cannot be called as the component's folder. Nothing was written.

        """
        name = request.target_path.name
        refuse_identifier("source", name)
        system = SYSTEMS[request.params.system]
        login = {field: value.as_yaml for field, value in system.login(name).items()}
        if login:
            tables = {name: {"relation": system.relation(name)}}
            dg.scaffold_component(request, {request.params.system: login, "tables": tables})
            return
        table = {"relation": system.relation(name), "columns": dict(COLUMNS)}
        dg.scaffold_component(request, {"files": "data", "tables": {name: table}})
        write_new(request.target_path / "data" / name / "rows.csv", ROWS)


@dataclass(frozen=True)
class SourceTable(dg.Resolvable):
    """One table of a system, or what a query or a pattern of files gives."""

    relation: Annotated[
        str | None, described("a table such as public.orders, or a pattern such as orders/{day}.csv")
    ] = None
    query: Annotated[str | None, described("a SELECT, instead of a relation; of databases alone")] = None
    columns: Annotated[dict[str, str] | None, described("types of columns, by name")] = None
    partitions: Annotated[Partitions | None, described("the partitions")] = None
    partition_expr: Annotated[str | None, described("the column that tells partitions apart")] = None
    updated_at: Annotated[str | None, described("the column that holds when a row was last changed")] = None
    lag: Annotated[str | None, described('how late rows may appear, such as "3d"')] = None
    description: Annotated[str | None, described("what the catalog says of it")] = None


@dg.scaffold_with(SourcesScaffolder)
@dataclass(frozen=True)
class Sources(dg.Component, dg.Resolvable):
    """Tables of PostgreSQL, MySQL or files, as assets that others read by their names.

    One of files, postgresql and mysql says where they are; `{{ env.NAME }}` in url, password and
    storage_options is read where a step runs, and shown nowhere.
    """

    tables: Annotated[dict[str, SourceTable], described("what is read, by the names of the assets")]
    files: Annotated[
        str | None, described("a folder, from that of this file, or a prefix such as s3://bucket/raw")
    ] = None
    storage_options: Annotated[dict[str, str], late("of files, as of a lake")] = field(default_factory=dict)
    postgresql: Annotated[
        dict[str, Any] | None, login("url alone, or host, port, database, user, password, sslmode, …")
    ] = None
    mysql: Annotated[dict[str, Any] | None, login("host, port, database, user, password, ssl_mode, …")] = None
    key_prefix: Annotated[str | None, described("what comes before the names in the assets' keys")] = None
    group_name: Annotated[str | None, described("the assets' group")] = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the assets. Raises DeclarationError for a system that is none, or a table that is none."""
        from practicus_assets.external.source import Source

        read = self._reader(context.path)
        assets = [
            Source(
                name,
                read(name, table),
                key_prefix=self.key_prefix or (),
                partitions_def=table.partitions.definition() if table.partitions is not None else None,
                partition_expr=table.partition_expr,
                columns=table.columns,
                updated_at=table.updated_at,
                lag=table.lag,
                description=table.description,
                group_name=self.group_name,
            )
            for name, table in self.tables.items()
        ]
        return dg.Definitions(assets=assets)

    def _reader(self, folder: Path) -> Any:
        """Return the function from a table's name and declaration to its relation."""
        given = [name for name in ("files", "postgresql", "mysql") if getattr(self, name) is not None]
        if len(given) != 1:
            raise DeclarationError(
                f"the sources are in {' and '.join(given) or 'no system'}.",
                "Give one of files, postgresql and mysql.",
            )
        if self.files is not None:
            from practicus_assets.sources.files.store import Files

            root = self.files if "://" in self.files else str(folder / self.files)
            return _Reader(Files(root, storage_options=self.storage_options))
        if self.storage_options:
            raise DeclarationError(f"storage_options are of files, and not of {given[0]}.", "Remove them.")
        return _Reader(_database(given[0], getattr(self, given[0])))


@dataclass(frozen=True)
class _Reader:
    system: Any

    def __call__(self, name: str, table: SourceTable) -> "Relation[Any]":
        if (table.relation is None) == (table.query is None):
            raise DeclarationError(
                f"the source {name} needs a relation or a query, and not both.", "Write one of them."
            )
        if table.query is not None:
            if not hasattr(self.system, "query"):
                raise DeclarationError(
                    f"the source {name} is of files, which take no query.", "Write relation."
                )
            return self.system.query(table.query, name=name)  # type: ignore[no-any-return]
        of = getattr(self.system, "files", None) or self.system.table
        return of(table.relation)  # type: ignore[no-any-return]


def _database(kind: str, fields: Mapping[str, Any]) -> Any:
    from practicus_assets.sources.mysql.system import MySQL
    from practicus_assets.sources.postgresql.system import PostgreSQL

    if kind == "mysql":
        return MySQL(**fields)
    return PostgreSQL.from_url(**fields) if "url" in fields else PostgreSQL(**fields)
