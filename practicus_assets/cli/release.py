"""`release`: publish and list releases, which say what versions of tables belong together."""

from collections.abc import Mapping
from typing import Any

import click

from practicus_assets.assets.catalog import TableEntry, chosen
from practicus_assets.assets.runs import made_by
from practicus_assets.cli import locations, output
from practicus_assets.cli.instance import dagster_instance
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.upkeep.releases import Release, publish, releases
from practicus_assets.operations.maintain import DEFAULT_RELEASES


@click.group()
def release() -> None:
    """Publish and list releases: versions of several tables that belong together."""


@release.command("publish")
@click.argument("name")
@click.argument("tables", nargs=-1)
@click.option("--run", "run_id", help="The versions that this run made; without it, the newest ones.")
@click.option("--mixed", is_flag=True, help="Even if one was computed from other rows of another.")
@output.json_option
@locations.options
def publish_command(
    name: str, tables: tuple[str, ...], run_id: str | None, *, mixed: bool, as_json: bool, **location: Any
) -> None:
    """Publish the release NAME of TABLES, or of all that there are: one commit records the version of each.

    With --run it is what the run made, and every table must be among it. Without, the newest versions are
    taken, and refused if one of them was computed from other rows of another.
    """
    entries = chosen(locations.tables(**location), tables)
    roots = {entry.root_uri for entry in entries}
    if len(roots) != 1:
        raise DeclarationError(f"the tables are in several lakes: {sorted(roots)}.", "Name tables of one.")
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


@release.command("list")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@output.json_option
@locations.options
def list_command(limit: int, *, as_json: bool, **location: Any) -> None:
    """Show releases, the newest first."""
    entries = chosen(locations.tables(**location), ())
    lakes = {entry.root_uri: entry.table.storage_options for entry in entries}
    newest = [entry for root, options in lakes.items() for entry in releases(root, options)[:limit]]
    if as_json:
        output.print_json([_record(entry) for entry in newest])
        return
    output.console().print(
        output.table(
            f"Releases; maintain keeps the newest {DEFAULT_RELEASES} readable, or as many as --releases says",
            ("number", "name", "published", "run", "tables and versions"),
            [[r.number, r.name, output.moment(r.published_at), r.run_id[:8], _versions(r)] for r in newest],
            "number",
        )
    )


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
