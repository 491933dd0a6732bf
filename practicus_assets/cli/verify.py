"""`verify`: whether tables are whole, and whether Dagster knows what they hold."""

import sys
from dataclasses import asdict
from typing import Any

import click
import dagster as dg
from rich.markup import escape

from practicus_assets.assets.catalog import TableEntry, chosen
from practicus_assets.cli import locations, output
from practicus_assets.cli.group import FOUND, exit_code
from practicus_assets.cli.instance import dagster_instance, instance_is_set
from practicus_assets.errors import DeclarationError
from practicus_assets.operations.verify import VerifiedTable, VerifyConfig, verify_table


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
@locations.options
def verify(
    tables: tuple[str, ...], *, all_: bool, rows: bool, repair: bool, as_json: bool, **location: Any
) -> None:
    """Verify TABLES: the log, every data file, its statistics, and what Dagster believes is materialized.

    Nothing is changed. --repair reports materializations to Dagster, and changes nothing else: to fix a
    damaged file, materialize its partition again or roll it back. Exits with 3 if something is wrong.
    """
    if all_ == bool(tables):
        raise DeclarationError("no tables are named, or too many.", "Name tables, or give --all.")
    if repair:
        dagster_instance()  # refused before anything is read
    entries = chosen(locations.tables(**location), tables)
    config = VerifyConfig(tables=list(tables), rows=rows, repair=repair)
    results = []
    for entry in entries:
        result = _verified(entry, config, quiet=as_json)
        if tables and result.is_absent:
            raise entry.missing()
        if entry.is_written or not result.is_absent:
            results.append(result)
    if as_json:
        compared = instance_is_set()
        output.print_json({"dagster_compared": compared, "tables": [_plain(result) for result in results]})
    else:
        _show(results, rows=rows, repair=repair)
    errors = [exit_code(result.error) for result in results if result.error is not None]
    if errors or any(result.open_problems for result in results):
        sys.exit(max(errors, default=FOUND))


def _verified(entry: TableEntry, config: VerifyConfig, *, quiet: bool) -> VerifiedTable:
    with output.progress(entry.label, hidden=quiet) as progress:
        if not instance_is_set():
            return verify_table(entry, None, config, progress)
        with dagster_instance() as instance:
            result = verify_table(entry, instance, config, progress)
            _report(instance, result)
            return result


def _report(instance: dg.DagsterInstance, result: VerifiedTable) -> None:
    for event in result.events:
        instance.report_runless_asset_event(event)


def _plain(result: VerifiedTable) -> dict[str, Any]:
    return {
        "table": result.table,
        "verification": asdict(result.verification) if result.verification is not None else None,
        "drifts": [asdict(drift) for drift in result.drifts],
        "reported": len(result.events),
        "error": str(result.error) if result.error is not None else None,
        "open_problems": result.open_problems,
    }


def _show(results: list[VerifiedTable], *, rows: bool, repair: bool) -> None:
    console = output.console()
    console.print(
        output.table(
            "Tables",
            (
                "table",
                "version",
                "log entries",
                "files",
                "rows",
                "size",
                "older files",
                "orphans",
                "problems",
            ),
            [_row(result) for result in results if result.verification is not None],
            "version,log entries,files,rows,size,older,orphans",
        )
    )
    absent = [result.table for result in results if result.is_absent]
    if absent:
        console.print(f"No table yet: {', '.join(absent)}.")
    for result in results:
        if result.error is not None:
            console.print(f"[red]✗[/red] {escape(str(result.error))}", soft_wrap=True)
        for problem in result.problems:
            where = escape(f"{result.table}, {problem.kind}: {problem.subject}: {problem.text}")
            console.print(f"[red]✗[/red] {where} {escape(problem.advice)}", soft_wrap=True)
        for drift in result.drifts:
            repaired = drift not in result.open_drifts
            mark = "[green]reported[/green]" if repaired else "[yellow]![/yellow]"
            console.print(f"{mark} {escape(drift.sentence(result.table))}", soft_wrap=True)
    if not instance_is_set():
        console.print("DAGSTER_HOME is not set: what Dagster believes was not compared.")
    elif not repair and any(drift.repairable for result in results for drift in result.drifts):
        console.print("--repair reports to Dagster what the lake holds.")
    if not rows:
        console.print("Footers were read; --rows reads every row and compares content with its commits.")


def _row(result: VerifiedTable) -> list[Any]:
    verification = result.verification
    count = result.open_problems
    verdict = f"[red]{count}[/red]" if count else "[green]none[/green]"
    if verification is None or verification.version is None:  # it cannot be opened
        return [result.table, "none", "", "", "", "", "", "", verdict]
    return [
        result.table,
        verification.version,
        verification.entries,
        verification.files,
        verification.rows,
        output.size(verification.bytes),
        f"{verification.older_files:,} ({output.size(verification.older_bytes)})",
        f"{verification.orphans:,} ({output.size(verification.orphan_bytes)})",
        verdict,
    ]
