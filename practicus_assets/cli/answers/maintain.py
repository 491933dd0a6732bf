"""`maintain`: compact, checkpoint, vacuum and expire."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from practicus_assets.assets.catalog import chosen
from practicus_assets.assets.metadata.places import ARTIFACTS
from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.instance import dagster_instance
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.failure import exit_code
from practicus_assets.code_location import CodeLocation
from practicus_assets.operations.configs import MaintainConfig
from practicus_assets.operations.maintain import (
    MaintainedTable,
    maintain_artifacts,
    maintain_op_outputs,
    maintain_table,
)
from practicus_assets.operations.op_outputs import RemovableOutputs
from practicus_assets.wording import bytes_of, number_of

_COLUMNS = (
    Column("table", wraps=True),
    Column("compacted", wraps=True),
    Column("checkpoint"),
    Column("files removed", is_number=True),
    Column("log entries removed", is_number=True),
    Column("kept since"),
    Column("held by", wraps=True),
)


def maintain_tables(
    settings: Mapping[str, Any], code_locations: Sequence[CodeLocation], *, as_json: bool
) -> None:
    """Show what maintenance would do, or do it; exit with the code of an error if a table had one.

    Args:
        settings: the fields of `MaintainConfig`.
        code_locations: the code locations whose tables these are.
        as_json: whether programs read the output.

    """
    config = MaintainConfig(**settings)
    tables = locations.tables(code_locations, ())
    entries = chosen({entry.label: entry for entry in tables}, config.tables)
    results = []
    with dagster_instance() as instance:
        for entry in entries:
            with output.progress(entry.label, hidden=as_json) as progress:
                result = maintain_table(entry, instance, config, progress=progress)
            if config.tables and result.cutoff is None:
                raise entry.missing()
            if entry.is_written or result.cutoff is not None:
                results.append(result)
        lakes = maintain_op_outputs(tables, instance, config)
        lakes += maintain_artifacts(tables, instance, config)
    outputs = [lake for lake in lakes if lake.files or lake.error]
    if as_json:
        output.print_json([*map(_plain, results), *map(_plain_outputs, outputs)])
    else:
        _show(results, outputs, apply=config.apply)
    errors = [*(result.error for result in results), *(lake.error for lake in outputs)]
    codes = [exit_code(error) for error in errors if error is not None]
    if codes:
        sys.exit(max(codes))


def _plain(result: MaintainedTable) -> dict[str, Any]:
    error = str(result.error) if result.error is not None else None
    return {**asdict(result), "held": result.held, "error": error}


def _plain_outputs(outputs: RemovableOutputs) -> dict[str, Any]:
    error = str(outputs.error) if outputs.error is not None else None
    kind = "artifacts" if outputs.folder == ARTIFACTS else "op_outputs"
    return {kind: outputs.root_uri, **asdict(outputs), "error": error}


def _show(results: list[MaintainedTable], outputs: list[RemovableOutputs], *, apply: bool) -> None:
    console = output.console()
    rows = [_row(result) for result in results if result.cutoff is not None and result.error is None]
    output.print_table("Done" if apply else "To be done", _COLUMNS, rows)
    for result in results:
        if result.error is not None:
            console.print(f"[red]✗[/red] {escape(str(result.error))}", soft_wrap=True)
        elif result.held:
            console.print(f"{result.table}: nothing is removed: {result.held}.")
    for lake in outputs:
        if lake.error is not None:
            console.print(f"[red]✗[/red] {escape(str(lake.error))}", soft_wrap=True)
        else:
            console.print(f"{lake} ({bytes_of(lake.bytes)}).", markup=False)
    if not results:
        console.print("There is no table here.")
        return
    absent = [result.table for result in results if result.cutoff is None]
    if absent:
        console.print(f"No table yet: {', '.join(absent)}.")
    if not apply:
        console.print("Nothing was changed: give --apply to do it.")


def _row(result: MaintainedTable) -> list[str]:
    compaction, files, log_files = result.compaction, result.files, result.log_files
    rewritten = ""
    if compaction is not None:
        after = "" if compaction.files_after is None else f" to {compaction.files_after:,}"
        files_before = f"{number_of(compaction.files_before, 'file')}{after}"
        rewritten = f"{files_before} in {number_of(compaction.partitions, 'partition')}"
        if not compaction.partitions:
            rewritten = "nothing"
        if compaction.overtaken:
            rewritten += f", {compaction.overtaken:,} overtaken by writers"
    held = [f"run {result.held_by[:8]}"] if result.held_by else []
    held += [f"release {name} (version {version})" for version, name in sorted(result.kept.items())]
    return [
        result.table,
        rewritten,
        "" if result.checkpoint is None else f"version {result.checkpoint}",
        "" if files is None else f"{len(files.paths):,} ({bytes_of(files.bytes)})",
        "" if log_files is None else f"{len(log_files.paths):,} ({bytes_of(log_files.bytes)})",
        output.moment(result.cutoff) if result.cutoff is not None else "",
        ", ".join(held),
    ]
