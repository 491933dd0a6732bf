"""`release`: publish and list releases, which say what versions of tables belong together."""

from collections.abc import Mapping, Sequence
from typing import Any

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.lakes.layered_table import refuse_release_of_layers
from practicus_assets.assets.runs import made_by
from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.instance import dagster_instance
from practicus_assets.cli.answers.listing import Column
from practicus_assets.code_location import CodeLocation
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.upkeep.releases import Release, publish, releases
from practicus_assets.operations.defaults import RELEASES

_COLUMNS = (
    Column("number", is_number=True),
    Column("name", wraps=True),
    Column("published"),
    Column("run"),
    Column("tables and versions", wraps=True),
)


def publish_release(
    name: str,
    tables: Sequence[str],
    run_id: str | None,
    code_locations: Sequence[CodeLocation],
    *,
    mixed: bool,
    as_json: bool,
) -> None:
    """Publish a release.

    Args:
        name: the release's name.
        tables: the tables' names; none for all.
        run_id: the id of the run whose versions are published; None for the newest ones.
        code_locations: the code locations whose tables these are.
        mixed: whether tables may be computed from other rows of each other.
        as_json: whether programs read the output.

    """
    entries = locations.tables(code_locations, tables)
    roots = {entry.root_uri for entry in entries}
    if len(roots) != 1:
        raise DeclarationError(f"the tables are in several lakes: {sorted(roots)}.", "Name tables of one.")
    refuse_release_of_layers(entry.layered for entry in entries if tables or entry.is_written)
    versions = _of_run(entries, run_id) if run_id else _newest(entries, named=bool(tables))
    published = publish(
        roots.pop(), name, versions, entries[0].table.storage_options, run_id=run_id or "", mixed=mixed
    )
    if as_json:
        output.print_json(_record(published))
    else:
        output.console().print(
            f"[green]Published[/green] {published.name}, number {published.number}: {_versions(published)}"
        )


def list_releases(limit: int, code_locations: Sequence[CodeLocation], *, as_json: bool) -> None:
    """Print the newest releases of each lake.

    Args:
        limit: how many releases of a lake at most.
        code_locations: the code locations whose tables these are.
        as_json: whether programs read the output.

    """
    entries = locations.tables(code_locations, ())
    lakes = {entry.root_uri: entry.table.storage_options for entry in entries}
    newest = [entry for root, options in lakes.items() for entry in releases(root, options)[:limit]]
    if as_json:
        output.print_json([_record(entry) for entry in newest])
        return
    rows = [[r.number, r.name, output.moment(r.published_at), r.run_id[:8], _versions(r)] for r in newest]
    output.print_table("Releases", _COLUMNS, rows)
    kept = f"maintain keeps the newest {RELEASES} readable, or as many as --releases says."
    output.console().print(kept if rows else "There is no release yet: release publish NAME makes one.")


def _newest(entries: list[TableEntry], *, named: bool) -> Mapping[str, int]:
    """Return the newest version of each table; of tables that were not named only if they are there."""
    there = [e for e in entries if named or e.table.open_if_exists() is not None]
    return {entry.name: entry.table.open().version for entry in there}


def _of_run(entries: list[TableEntry], run_id: str) -> Mapping[str, int]:
    with dagster_instance() as instance:
        record = instance.get_run_record_by_id(run_id)
        if record is None:
            raise DeclarationError(f"this instance knows no run {run_id}.", "Give the whole run id.")
        versions = {entry.name: made_by(record, instance, entry.key) for entry in entries}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        raise DeclarationError(f"the run {run_id} did not materialize {missing}.", "Name the tables it did.")
    return {name: version for name, version in versions.items() if version is not None}


def _record(published: Release) -> dict[str, Any]:
    names = ("root_uri", "number", "name", "published_at", "run_id", "versions")
    return {name: getattr(published, name) for name in names}


def _versions(published: Release) -> str:
    return ", ".join(f"{table} {version}" for table, version in sorted(published.versions.items()))
