"""`verify`: whether tables are whole, and whether Dagster knows what they hold."""

import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

import click
import dagster as dg
from rich.markup import escape

from practicus_assets import code_location
from practicus_assets.assets.catalog import TableEntry, catalog, chosen
from practicus_assets.cli import output
from practicus_assets.cli.group import FOUND
from practicus_assets.cli.instance import dagster_instance, instance_is_set
from practicus_assets.errors import DeclarationError, TableNotFound
from practicus_assets.lake.upkeep.verification import Verification
from practicus_assets.lake.upkeep.verification import verify as verified
from practicus_assets.operations.drift import Drift, drift, report


@dataclass(frozen=True)
class _Result:
    table: str
    verification: Verification | None
    drifts: list[Drift]
    reported: int = 0

    @property
    def open_problems(self) -> int:
        """How many findings are left after a repair."""
        findings = len(self.verification.findings) if self.verification is not None else 0
        return findings + sum(not (self.reported and each.repairable) for each in self.drifts)


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Every table of the code location.")
@click.option(
    "--rows", is_flag=True, help="Read every row: compare statistics, and content with its commits."
)
@click.option(
    "--repair", is_flag=True, help="Report to Dagster what the lake holds, where it believes otherwise."
)
@output.json_option
@code_location.options
def verify(
    tables: tuple[str, ...], *, all_: bool, rows: bool, repair: bool, as_json: bool, **location: Any
) -> None:
    """Verify TABLES: the log, every data file, its statistics, and what Dagster believes is materialized.

    Nothing is changed. --repair reports materializations to Dagster, and changes nothing else: damaged files
    are mended by materializing their partitions again or by a rollback. Exits with 3 if something is wrong.
    """
    if all_ == bool(tables):
        raise DeclarationError("no tables are named, or too many.", "Name tables, or give --all.")
    if repair:
        dagster_instance()  # said before anything is read
    entries = chosen(catalog(code_location.definitions(**location)), tables)
    results = [_result(entry, rows=rows, repair=repair, quiet=as_json) for entry in entries]
    for entry, result in zip(entries, results, strict=True):
        if tables and result.verification is None and not result.drifts:
            entry.table.open()  # raises TableNotFound
    if as_json:
        output.print_json(
            {
                "dagster_compared": instance_is_set(),
                "tables": [{**asdict(each), "open_problems": each.open_problems} for each in results],
            }
        )
    else:
        _show(results, rows=rows, repair=repair)
    if any(each.open_problems for each in results):
        sys.exit(FOUND)


def _result(entry: TableEntry, *, rows: bool, repair: bool, quiet: bool) -> _Result:
    with (
        dagster_instance() if instance_is_set() else dg.DagsterInstance.ephemeral() as instance,
        output.progress(entry.name, hidden=quiet) as watch,
    ):
        scope = entry.scope(instance, entry.partition_keys(instance))
        try:
            verification = verified(entry.table, scope, rows=rows, watch=watch)
        except TableNotFound:
            verification = None
        if not instance_is_set() or (verification is not None and verification.version is None):
            return _Result(entry.name, verification, [])
        result = _Result(entry.name, verification, drift(entry, instance))
        if not repair:
            return result
        events = report(entry, instance, result.drifts)
        for event in events:
            instance.report_runless_asset_event(event)
        return replace(result, reported=len(events))


def _show(results: list[_Result], *, rows: bool, repair: bool) -> None:
    console = output.console()
    absent = [each.table for each in results if each.verification is None]
    console.print(
        output.table(
            "Tables",
            ("table", "version", "log entries", "files", "rows", "size", "older files", "orphans", "found"),
            [_row(each) for each in results if each.verification is not None],
            "version,log entries,files,rows,size,older files,orphans",
        )
    )
    if absent:
        console.print(f"No table yet: {', '.join(absent)}.")
    for result in results:
        for finding in result.verification.findings if result.verification is not None else ():
            where = escape(f"{result.table}, {finding.kind}: {finding.subject}: {finding.found}")
            console.print(f"[red]✗[/red] {where} {escape(finding.advice)}", soft_wrap=True)
        for each in result.drifts:
            done = repair and each.repairable
            mark = "[green]reported[/green]" if done else "[yellow]![/yellow]"
            console.print(f"{mark} {escape(_sentence(result.table, each))}", soft_wrap=True)
    if not instance_is_set():
        console.print("DAGSTER_HOME is not set: what Dagster believes was not compared.")
    elif not repair and any(each.repairable for result in results for each in result.drifts):
        console.print("--repair tells Dagster what the lake holds.")
    if not rows:
        console.print("Footers were read; --rows reads every row and compares content with its commits.")


def _row(result: _Result) -> list[Any]:
    found = result.verification
    problems = result.open_problems
    verdict = f"[red]{problems}[/red]" if problems else "[green]nothing[/green]"
    if found is None or found.version is None:  # it cannot be opened
        return [result.table, "none", "", "", "", "", "", "", verdict]
    return [
        result.table,
        found.version,
        found.entries,
        found.files,
        found.rows,
        output.size(found.bytes),
        f"{found.older_files:,} ({output.size(found.older_bytes)})",
        f"{found.orphans:,} ({output.size(found.orphan_bytes)})",
        verdict,
    ]


def _sentence(table: str, each: Drift) -> str:
    return f"{table}{f' [{each.partition}]' if each.partition else ''}, {each.kind}: {each.found}"
