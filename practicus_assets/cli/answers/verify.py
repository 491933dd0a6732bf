"""`verify`: whether tables are whole, and whether Dagster knows what they hold."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
from rich.text import Text

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.instance import dagster_instance
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.dagster_home import instance_is_set
from practicus_assets.cli.failure import PROBLEMS, exit_code
from practicus_assets.code_location import CodeLocation
from practicus_assets.operations.configs import VerifyConfig
from practicus_assets.operations.verify import VerifiedTable, verify_table
from practicus_assets.wording import bytes_of

_SHOWN_PROBLEMS = 20  # of each table
_COLUMNS = (
    Column("table", wraps=True),
    Column("version", is_number=True),
    Column("log entries", is_number=True),
    Column("files", is_number=True),
    Column("rows", is_number=True),
    Column("size", is_number=True),
    Column("older files", is_number=True),
    Column("orphans", is_number=True),
    Column("problems", is_number=True),
)


def verify_tables(
    tables: Sequence[str], code_locations: Sequence[CodeLocation], *, rows: bool, repair: bool, as_json: bool
) -> None:
    """Verify tables, and print what is wrong; exit with 3, or with the code of an error, if something is.

    Args:
        tables: the tables' names; none for all.
        code_locations: the code locations whose tables these are.
        rows: whether every row is read.
        repair: whether Dagster is told what the lake holds.
        as_json: whether programs read the output.

    """
    entries = locations.tables(code_locations, tables)
    config = VerifyConfig(tables=list(tables), rows=rows, repair=repair)
    results = []
    for entry in entries:
        result = _verified(entry, config, quiet=as_json)
        if tables and result.is_absent:
            with locations.naming_in_json(entry, as_json=as_json):
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
        sys.exit(max(errors, default=PROBLEMS))


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
    verified = [_row(result) for result in results if result.verification is not None]
    output.print_table("Tables", _COLUMNS, verified)
    if not results:
        console.print("There is no table here.")
    absent = [result.table for result in results if result.is_absent]
    if absent:
        console.print(f"No table yet: {', '.join(absent)}.")
    for result in results:
        lines = list(_problem_lines(result))
        for line in lines[:_SHOWN_PROBLEMS]:
            console.print(line, soft_wrap=True)
        more = len(lines) - _SHOWN_PROBLEMS
        if more > 0:
            console.print(f"  And {more:,} more of {result.table}; --json has them all.", markup=False)
    if not instance_is_set():
        console.print("DAGSTER_HOME is not set: what Dagster believes was not compared.")
    elif not repair and any(drift.repairable for result in results for drift in result.drifts):
        console.print("--repair reports to Dagster what the lake holds.")
    if results and not rows:
        console.print("Footers were read; --rows reads every row and compares content with its commits.")


def _problem_lines(result: VerifiedTable) -> Iterator[Text]:
    """Yield a line for each thing that is wrong with a table, errors and damages first."""
    if result.error is not None:
        yield Text.assemble(("✗", "red"), f" {result.error}")
    for problem in result.problems:
        place = f"{result.table}, {problem.kind}: {problem.subject}"
        yield Text.assemble(("✗", "red"), f" {place}: {problem.text} {problem.advice}")
    for drift in result.drifts:
        is_reported = bool(result.events) and drift.repairable
        mark = ("reported", "green") if is_reported else ("!", "yellow")
        yield Text.assemble(mark, f" {drift.sentence(result.table)}")


def _row(result: VerifiedTable) -> list[Any]:
    verification = result.verification
    count = result.open_problems
    verdict = Text(f"{count:,}", "red") if count else Text("none", "green")
    if verification is None or verification.version is None:  # it cannot be opened
        return [result.table, "none", "", "", "", "", "", "", verdict]
    return [
        result.table,
        str(verification.version),
        verification.entries,
        verification.files,
        verification.rows,
        bytes_of(verification.bytes),
        f"{verification.older_files:,} ({bytes_of(verification.older_bytes)})",
        f"{verification.orphans:,} ({bytes_of(verification.orphan_bytes)})",
        verdict,
    ]
