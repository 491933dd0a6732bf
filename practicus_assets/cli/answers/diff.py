"""`diff`: what changed between two versions of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.answers.locations import naming_in_json
from practicus_assets.code_location import CodeLocation
from practicus_assets.lake.upkeep.diff import Diff, PartitionDiff
from practicus_assets.operations.configs import DiffConfig
from practicus_assets.operations.diff import diff_table
from practicus_assets.wording import bytes_of, number_of

_SHOWN_PARTITIONS = 40


_VERSIONS = (
    Column("version", is_number=True),
    Column("rows", is_number=True),
    Column("files", is_number=True),
    Column("size", is_number=True),
    Column("columns", is_number=True),
)
PARTITIONS = (
    Column("partition", wraps=True),
    Column("rows before", is_number=True),
    Column("rows after", is_number=True),
    Column("lost", is_number=True),
    Column("gained", is_number=True),
)


def show_diff(
    table: str,
    before: str,
    after: str,
    samples: int,
    code_locations: Sequence[CodeLocation],
    *,
    as_json: bool,
) -> None:
    """Print what changed between two versions of a table.

    Args:
        table: the table's name.
        before: the older version, or the run that made it.
        after: the newer version, or the run that made it.
        samples: how many rows to show that only one version has.
        code_locations: the code locations whose tables these are.
        as_json: whether programs read the output.

    """
    [entry] = locations.tables(code_locations, [table])
    config = DiffConfig(table=table, before=before, after=after, samples=samples)
    with naming_in_json(entry, as_json=as_json), output.progress(table, hidden=as_json) as progress:
        changes = diff_table(entry, config, progress)
    if as_json:
        output.print_json(changes)
    else:
        _show(table, changes)


def _show(table: str, changes: Diff) -> None:
    console = output.console()
    sides = (changes.before, changes.after)
    output.print_table(
        f"{table}, version {changes.before.version} to {changes.after.version}",
        _VERSIONS,
        [[str(s.version), s.rows, s.files, bytes_of(s.bytes), len(s.columns)] for s in sides],
    )
    for line in column_changes(changes.before.columns, changes.after.columns):
        console.print(escape(line))
    rows = [partition_row(each) for each in changes.partitions[:_SHOWN_PARTITIONS]]
    output.print_table("Changed", PARTITIONS, rows)
    more = len(changes.partitions) - _SHOWN_PARTITIONS
    if more > 0:
        console.print(f"And {number_of(more, 'partition')} more; --json has them all.")
    for sign, color, samples in (("-", "red", changes.lost), ("+", "green", changes.gained)):
        for row in samples:
            console.print(f"[{color}]{sign} {escape(_named(row))}[/{color}]", soft_wrap=True)
    if changes.rewritten:
        have = "has" if changes.rewritten == 1 else "have"
        console.print(f"{number_of(changes.rewritten, 'partition')} {have} other files and the same rows.")
    if not changes.partitions:
        console.print("No rows differ.")


def column_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return a line for each column that is new, gone, or of another type."""
    lines = [f"column {name} {kind}: new" for name, kind in new.items() if name not in old]
    lines += [f"column {name} {kind}: gone" for name, kind in old.items() if name not in new]
    both = [name for name in old if name in new]
    return lines + [f"column {n}: {old[n]} became {new[n]}" for n in both if old[n] != new[n]]


def partition_row(partition: PartitionDiff) -> list[Any]:
    """Return the cells of a partition whose rows differ."""
    lost, gained = _signed("-", partition.lost), _signed("+", partition.gained)
    return [_named(partition.partition), partition.rows_before, partition.rows_after, lost, gained]


def _named(values: Any) -> str:
    return ", ".join(f"{column}={value}" for column, value in values.items()) or "(table)"


def _signed(sign: str, count: int) -> str:
    return f"{sign}{count:,}" if count else "0"
